"""The notify slice's tables. A delivery belongs to one event and one channel, so an event heard twice is told once."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.db import metadata

channels = sa.Table(
    "notify_channel",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("events", sa.Text, nullable=False),
    sa.Column("models", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)
deliveries = sa.Table(
    "notify_delivery",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("channel", sa.String(128), nullable=False),
    sa.Column("event_id", sa.BigInteger),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("sent_ms", sa.BigInteger),
    sa.UniqueConstraint("channel", "event_id"),
    sa.Index("notify_delivery_status", "status", "channel", "id"),
)
