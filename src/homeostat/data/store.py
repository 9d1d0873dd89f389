"""The data slice's tables, and the queries on them. The database is the truth: a version exists when its row does.

A data file is a row with the version that added it and the version that removed it, so the files of any version are
one query, and the Delta log (`delta_log.py`) can be written again from here at any time.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import Record, from_json
from homeostat.data.model import CheckReport, CleanReport, TableVersion

tables = sa.Table(
    "data_table",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),  # 0: declared (expectations), never written
    sa.Column("delta_id", sa.String(36), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("expectations", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)
versions = sa.Table(
    "data_version",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("operation", sa.String(16), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("schema", sa.Text, nullable=False),  # as Delta's schemaString
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("once", sa.String(255)),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("check_report", sa.Text),
    sa.Column("clean_report", sa.Text),
    sa.UniqueConstraint("name", "once"),
)
files = sa.Table(
    "data_file",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("file", sa.String(80), primary_key=True),
    sa.Column("added", sa.Integer, nullable=False),
    sa.Column("removed", sa.Integer),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Index("data_file_added", "name", "added"),
)
trees = sa.Table(
    "data_tree",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("once", sa.String(255)),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("name", "once"),
)


class DataFile(Record):
    """A Parquet file of a table: its name in the table's folder, rows, bytes and the digest of its bytes."""

    file: str
    rows: int
    bytes: int
    digest: str


class Snapshot(Record):
    """What reading one version needs: its number, Delta schema, key, and files in the order of their rows."""

    table: str
    version: int
    schema: str
    key: list[str]
    files: list[DataFile]


def head(connection: sa.Connection, name: str, lock: bool = False) -> int:
    """The newest version of a table; 0 when it was never written. `lock` keeps other writers out until the end."""
    query = sa.select(tables.c.version).where(tables.c.name == name)
    return connection.execute(query.with_for_update() if lock else query).scalar_one_or_none() or 0


def snapshot(connection: sa.Connection, name: str, version: int | None = None) -> Snapshot:
    """Version `version` of a table, the newest when None.

    Raises: NotFound, with the versions or the tables there are; InvalidInput for a version below 1.
    """
    newest = head(connection, name)
    if not newest:
        raise NotFound(f"there is no table '{name}'", hint=_known(connection), table=name)
    wanted = newest if version is None else version
    if wanted < 1:
        raise InvalidInput(f"{wanted} is not a version; versions count from 1", table=name, version=wanted)
    if wanted > newest:
        raise NotFound(
            f"table '{name}' has no version {wanted}", hint=f"its newest is {newest}", table=name, version=wanted
        )
    row = connection.execute(
        sa.select(versions.c.schema, versions.c.key).where(versions.c.name == name, versions.c.version == wanted)
    ).one()
    return Snapshot(
        table=name,
        version=wanted,
        schema=row.schema,
        key=from_json(row.key, list[str]),
        files=files_of(connection, name, wanted),
    )


def _known(connection: sa.Connection) -> str:
    names = connection.execute(
        sa.select(tables.c.name).where(tables.c.version > 0).order_by(tables.c.updated_ms.desc()).limit(10)
    ).scalars()
    return f"tables here: {', '.join(names) or 'none yet'}"


def files_of(connection: sa.Connection, name: str, version: int) -> list[DataFile]:
    """The files that make up `version`, in the order of their rows."""
    live = (files.c.added <= version) & (files.c.removed.is_(None) | (files.c.removed > version))
    rows = connection.execute(
        sa.select(files).where(files.c.name == name, live).order_by(files.c.added, files.c.file)
    ).all()
    return [DataFile(file=row.file, rows=row.rows, bytes=row.bytes, digest=row.digest) for row in rows]


def version_of(row: sa.Row[tuple[object, ...]]) -> TableVersion:
    """A row of `versions` as a record."""
    facts = row._mapping  # pyright: ignore[reportPrivateUsage]  # SQLAlchemy's public name for it
    return TableVersion(
        table=facts["name"],
        version=facts["version"],
        rows=facts["rows"],
        bytes=facts["bytes"],
        digest=facts["digest"],
        operation=facts["operation"],
        message=facts["message"],
        source=facts["source"],
        run_id=facts["run_id"],
        created_ms=facts["created_ms"],
        check=from_json(facts["check_report"], CheckReport) if facts["check_report"] else None,
        clean=from_json(facts["clean_report"], CleanReport) if facts["clean_report"] else None,
    )


def find_version(connection: sa.Connection, name: str, version: int) -> TableVersion:
    """A version that is known to exist."""
    return version_of(
        connection.execute(sa.select(versions).where(versions.c.name == name, versions.c.version == version)).one()
    )


def find_once(connection: sa.Connection, name: str, once: str | None) -> TableVersion | None:
    """The version that an earlier write with the same idempotency key made."""
    if once is None:
        return None
    row = connection.execute(sa.select(versions).where(versions.c.name == name, versions.c.once == once)).first()
    return None if row is None else version_of(row)


def retire(connection: sa.Connection, name: str, gone: Sequence[str], version: int) -> None:
    """Mark files as no longer part of `version` and later ones."""
    for start in range(0, len(gone), 500):
        part = gone[start : start + 500]
        connection.execute(sa.update(files).where(files.c.name == name, files.c.file.in_(part)).values(removed=version))


def insert_missing(connection: sa.Connection, table: sa.Table, values: dict[str, object]) -> None:
    """Insert a row unless one with its primary key exists, also when another process does so at the same moment."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    connection.execute(insert(table).values(**values).on_conflict_do_nothing())


def declare(connection: sa.Connection, name: str, at_ms: int) -> None:
    """Make the row of a table that has no version yet, unless it is there."""
    values: dict[str, object] = {
        "name": name, "version": 0, "delta_id": str(uuid.uuid4()), "key": "[]", "description": "",
        "expectations": "[]", "created_ms": at_ms, "updated_ms": at_ms,
    }  # fmt: skip
    insert_missing(connection, tables, values)
