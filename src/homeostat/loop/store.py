"""Tables of the loop: configurations, recorded facts, decisions, readings. Facts and decisions are written once."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.db import metadata

config = sa.Table(
    "loop_config",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("applied_ms", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
)

# What a decision rests on: written before it, never changed. `step` names the rule that reads it.
facts = sa.Table(
    "loop_facts",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("model", sa.String(128), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("step", sa.String(16), nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
)

decision = sa.Table(
    "loop_decision",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("model", sa.String(128), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    # The place among the decisions of one moment: a review comes before the judgement it leads to.
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("challenger", sa.Integer),
    sa.Column("facts_id", sa.String(32), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("realised", sa.Text),
    sa.Index("loop_decision_time", "model", "at_ms", "place"),
)

# One look at a model: open until everything it leads to is done.
look = sa.Table(
    "loop_look",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, primary_key=True),
    sa.Column("full", sa.Boolean, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)

reading = sa.Table(
    "loop_reading",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("variable", sa.String(255), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, primary_key=True),
    sa.Column("mature", sa.Float, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)

quality = sa.Table(
    "loop_quality",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("from_ms", sa.BigInteger, primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
)

# Who looks at a model at this moment, and until when that is believed.
turn = sa.Table(
    "loop_turn",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)
