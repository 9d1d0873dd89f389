"""The tables of tracking.

A run has a small integer `seq` inside the database, so that series, points and parameters stay narrow; outside it is
known by `id`. Points arrive as one packed `journal` row per request and are folded, per run and key, into compressed
`chunk`s (`codec.py`); `series` holds what lists and searches need of a metric, so that they never open a point.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.errors import NotFound

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _of_run() -> sa.Column[int]:
    return sa.Column("run_seq", _SERIAL, primary_key=True, autoincrement=False)


run = sa.Table(
    "tracking_run",
    metadata,
    sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("experiment", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("parent_id", sa.String(64)),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    # Null for runs that never sent a heartbeat: those cannot be found missing.
    sa.Column("heartbeat_ms", sa.BigInteger),
    # Points in the journal that are not folded yet, and when run_metrics was last told.
    sa.Column("pending", sa.Integer, nullable=False),
    sa.Column("told_ms", sa.BigInteger, nullable=False),
    sa.Index("tracking_run_start", "start_ms", "id"),
    sa.Index("tracking_run_experiment", "experiment", "start_ms", "id"),
    sa.Index("tracking_run_parent", "parent_id"),
    sa.Index("tracking_run_heartbeat", "status", "heartbeat_ms"),
)
param = sa.Table(
    "tracking_param",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    # The same value as a number where it is one: "10" sorts after "9".
    sa.Column("number", sa.Float(53)),
)
tag = sa.Table(
    "tracking_tag",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
series = sa.Table(
    "tracking_series",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("last_ms", sa.BigInteger, nullable=False),
    # Null is NaN: SQLite has no other way to keep one.
    sa.Column("last_value", sa.Float(53)),
    sa.Column("min_value", sa.Float(53)),
    sa.Column("max_value", sa.Float(53)),
    sa.Index("tracking_series_last", "key", "last_value"),
)
journal = sa.Table(
    "tracking_journal",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_seq", _SERIAL, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Index("tracking_journal_run", "run_seq", "id"),
    sqlite_autoincrement=True,
)
chunk = sa.Table(
    "tracking_chunk",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
artifact = sa.Table(
    "tracking_artifact",
    metadata,
    _of_run(),
    sa.Column("path", sa.String(1024), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)


def upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], keys: list[str]) -> None:
    """Insert `rows`, or overwrite the other columns of those whose `keys` are there already."""
    if not rows:
        return
    names = list(rows[0])
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    action = f"do update set {sets}" if sets else "do nothing"
    # Table and column names come from this file, values are bound.
    statement = sa.text(
        f"insert into {table.name} ({', '.join(names)}) values ({', '.join(f':{name}' for name in names)})"  # noqa: S608
        f" on conflict ({', '.join(keys)}) {action}"
    )
    connection.execute(statement, rows)


def seq_of(connection: sa.Connection, run_id: str) -> int:
    """The internal number of a run. Raises NotFound."""
    found = connection.execute(sa.select(run.c.seq).where(run.c.id == run_id)).scalar_one_or_none()
    if found is None:
        raise unknown_run(run_id)
    return found


def unknown_run(run_id: str) -> NotFound:
    """The error for a run id that does not exist."""
    return NotFound(
        f"there is no run '{run_id[:80]}'", hint="`homeostat tracking search-runs` lists them", run=run_id[:80]
    )
