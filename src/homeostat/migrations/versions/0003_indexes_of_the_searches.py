"""Searches of runs find what they compare in the indexes.

Made from 0002.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("tracking_param_number", "tracking_param", ["key", "number", "run_seq"])
    op.create_index("tracking_run_divided", "tracking_run", ["lifecycle", "experiment_id", "kind", "status"])
    op.drop_index("tracking_series_last", "tracking_series")
    op.create_index(
        "tracking_series_last", "tracking_series", ["key", "last_value", "run_seq", "min_value", "max_value"]
    )
