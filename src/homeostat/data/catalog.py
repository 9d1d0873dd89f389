"""The verbs that say what is there: tables, their versions, their columns in figures."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.extras import require
from homeostat.core.records import from_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.delta_schema import columns_of
from homeostat.data.model import Table, TableProfile, TableVersion

MAX_LIMIT = 1000


@verb(permission="data:read")
def list_tables(ws: Workspace) -> list[Table]:
    """The tables, the one written last first."""
    query = _tables().order_by(store.tables.c.updated_ms.desc(), store.tables.c.name)
    return [_table(row) for row in ws.db.read(lambda connection: connection.execute(query).all())]


@verb(permission="data:read")
def get_table(ws: Workspace, name: str) -> Table:
    """A table as it is now: columns, key, size.

    Raises: NotFound, with the tables there are.
    """
    row = ws.db.read(lambda connection: connection.execute(_tables().where(store.tables.c.name == name)).first())
    if row is None:
        ws.db.read(lambda connection: store.snapshot(connection, name))  # raises, and knows the tables there are
        raise NotFound(f"there is no table '{name}'")
    return _table(row)


@verb(permission="data:write")
def describe_table(ws: Workspace, name: str, description: str) -> Table:
    """Say what a table holds, in words."""
    where = (store.tables.c.name == name, store.tables.c.version > 0)

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.update(store.tables).where(*where).values(description=description, updated_ms=now_ms()))

    ws.db.write(change)
    return get_table(ws, name)


@verb(permission="data:read")
def list_versions(ws: Workspace, name: str, limit: int = 50, before: int | None = None) -> list[TableVersion]:
    """A table's versions, newest first.

    At most `limit` (1 to 1,000); `before` goes on below a version number.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it lies between 1 and {MAX_LIMIT}")
    query = sa.select(store.versions).where(store.versions.c.name == name).order_by(store.versions.c.version.desc())
    if before is not None:
        query = query.where(store.versions.c.version < before)

    def look(connection: sa.Connection) -> list[TableVersion]:
        rows = connection.execute(query.limit(limit)).all()
        if not rows:
            store.snapshot(connection, name)  # raises when there is no such table
        return [store.version_of(row) for row in rows]

    return ws.db.read(look)


@verb(permission="data:read")
def get_table_version(ws: Workspace, name: str, version: int | None = None) -> TableVersion:
    """One version of a table, with its check and cleaning reports; the newest by default."""
    return ws.db.read(
        lambda connection: store.find_version(connection, name, store.snapshot(connection, name, version).version)
    )


@verb(permission="data:read")
def profile_table(ws: Workspace, name: str, version: int | None = None) -> TableProfile:
    """Every column of a version in figures.

    Nulls, distinct values, range, mean, and a histogram or the most frequent values.
    """
    require("polars", extra="data")
    from homeostat.data.data_files import collect, scan
    from homeostat.data.profile import profile

    snap = ws.db.read(lambda connection: store.snapshot(connection, name, version))
    rows = collect(ws, snap, scan(ws, snap))
    return TableProfile(table=name, version=snap.version, rows=rows.height, columns=profile(rows))


def _tables() -> sa.Select[tuple[object, ...]]:
    at_head = (store.versions.c.name == store.tables.c.name) & (store.versions.c.version == store.tables.c.version)
    return sa.select(store.tables, store.versions.c.rows, store.versions.c.bytes, store.versions.c.schema).join_from(
        store.tables, store.versions, at_head
    )


def _table(row: sa.Row[tuple[object, ...]]) -> Table:
    facts = row._mapping  # pyright: ignore[reportPrivateUsage]  # SQLAlchemy's public name for it
    return Table(
        name=facts["name"],
        version=facts["version"],
        rows=facts["rows"],
        columns=columns_of(facts["schema"]),
        bytes=facts["bytes"],
        key=from_json(facts["key"], list[str]),
        updated_ms=facts["updated_ms"],
        description=facts["description"],
    )
