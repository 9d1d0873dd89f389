"""Lineage as it happens: which run read and wrote which versions. The `lineage` slice reads these facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.clock import now_ms
from homeostat.core.context import current_run
from homeostat.core.db import metadata

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

table = sa.Table(
    "core_lineage",
    metadata,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("direction", sa.String(8), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("asset", sa.String(255), primary_key=True),
    sa.Column("version", sa.String(80), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Index("core_lineage_asset", "kind", "asset", "version"),
)

# The first time counts.
_ADD = (
    "insert into core_lineage (run_id, direction, kind, asset, version, at_ms) values (?, ?, ?, ?, ?, ?)"
    " on conflict do nothing"
)


def record_read(
    ws: Workspace, kind: str, asset: str, version: int | str, connection: sa.Connection | None = None
) -> None:
    """The open run, if any, has read `version` of `asset`."""
    _record(ws, "read", kind, asset, str(version), connection)


def record_write(
    ws: Workspace, kind: str, asset: str, version: int | str, connection: sa.Connection | None = None
) -> None:
    """The open run, if any, has written `version` of `asset`."""
    _record(ws, "write", kind, asset, str(version), connection)


def _record(
    ws: Workspace, direction: str, kind: str, asset: str, version: str, connection: sa.Connection | None
) -> None:
    run_id = current_run()
    if run_id is None:
        return
    fact = (run_id, direction, kind, asset, version, now_ms())

    def add(to: sa.Connection) -> None:
        statements.put(to, _ADD, fact)

    if connection is not None:
        add(connection)
    else:
        ws.db.write(add)


def rename_asset(connection: sa.Connection, kind: str, asset: str, new_name: str) -> None:
    """An asset has another name from now on: what is recorded of it is told under that one."""
    where = (table.c.kind == kind, table.c.asset == asset)
    connection.execute(sa.update(table).where(*where).values(asset=new_name))


def facts_of(connection: sa.Connection, run_id: str, direction: str) -> list[tuple[str, str, str]]:
    """What a run has read or written ("read", "write"): kind, asset and version, in the order of happening."""
    query = (
        sa.select(table.c.kind, table.c.asset, table.c.version)
        .where(table.c.run_id == run_id, table.c.direction == direction)
        .order_by(table.c.at_ms)
    )
    return [(row.kind, row.asset, row.version) for row in connection.execute(query)]
