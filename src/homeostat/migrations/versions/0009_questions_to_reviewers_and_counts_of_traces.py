"""questions to reviewers, and counts of traces from an index

Made from 0008. The index of traces holds all that their searches and counts compare and order by.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "tracking_label_schema",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("experiment_id", "name", name="tracking_label_schema_is"),
    )
    with op.batch_alter_table("tracking_trace", schema=None) as batch_op:
        batch_op.drop_index("tracking_trace_experiment")
        batch_op.create_index(
            "tracking_trace_experiment", ["experiment_id", "request_ms", "id", "state", "duration_ms"], unique=False
        )
