"""Labels: one row for each truth, kept apart from predictions, which are never changed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.db import metadata

label = sa.Table(
    "monitoring_label",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    # Time before key: a day's labels then lie together, and are written and read as one stretch.
    sa.Column("label_ms", sa.BigInteger, primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("label", sa.Float, nullable=False),
)

# The profile of what a version learnt from: `digest` names its JSON among the blobs, `words` says what it is of.
profile = sa.Table(
    "monitoring_profile",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
)


def read_profile(c: sa.Connection, model: str, version: int) -> sa.Row[Any] | None:
    """The kept profile of a version."""
    return c.execute(sa.select(profile).where(profile.c.model == model, profile.c.version == version)).first()


def keep_profile(c: sa.Connection, row: dict[str, Any]) -> None:
    """Keep a profile; one that is there stays."""
    if read_profile(c, row["model"], row["version"]) is None:
        c.execute(sa.insert(profile).values(row))
