"""The tables that traces are found and counted by, and those of who reviews them.

What a trace and its spans are is kept in `store`, as wide rows; here is what is asked of them, in narrow ones.
"""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.db import metadata

# How much of a word is kept to be found by: an index of PostgreSQL holds no longer rows.
LONGEST = 200

# Tags and metadata of traces, one row each, in the order in which they are asked for. Written by `trace_words`.
word = sa.Table(
    "tracking_trace_word",
    metadata,
    sa.Column("experiment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # "tag", "metadata" or "attribute".
    sa.Column("kind", sa.String(16), primary_key=True),
    # The key and the value, cut off after LONGEST characters.
    sa.Column("key", sa.String(LONGEST), primary_key=True),
    sa.Column("value", sa.String(LONGEST), primary_key=True),
    sa.Column("request_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("trace_id", sa.String(128), primary_key=True),
    sqlite_with_rowid=False,
)
# What filters and statistics ask of spans, those of a trace beside each other.
fact = sa.Table(
    "tracking_span_fact",
    metadata,
    sa.Column("experiment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # Of the trace.
    sa.Column("request_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("trace_id", sa.String(128), primary_key=True),
    sa.Column("span_id", sa.String(32), primary_key=True),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("duration_ms", sa.BigInteger),
    sa.Column("model", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column("input_cost", sa.Float),
    sa.Column("output_cost", sa.Float),
    sa.Column("total_cost", sa.Float),
    sqlite_with_rowid=False,
)
# Traces that people are to look at: who, what they are asked, and what they have looked at.
review_queue = sa.Table(
    "tracking_review_queue",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    # The name in small letters: no two differ by case alone.
    sa.Column("key", sa.String(250), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("experiment_id", "key", name="tracking_review_queue_is"),
)
review_item = sa.Table(
    "tracking_review_item",
    metadata,
    sa.Column("queue_id", sa.String(64), primary_key=True),
    sa.Column("item_id", sa.String(128), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("tracking_review_item_order", "queue_id", "created_ms", "item_id"),
    sa.Index("tracking_review_item_of", "item_id", "queue_id"),
)
