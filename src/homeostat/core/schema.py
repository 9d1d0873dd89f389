"""Bringing a database to the schema this version knows.

A new database is made in one go by the statements that `tools/schema.py` has written down from the slices' tables (to
put them together takes longer than to run them); an older one is upgraded by Alembic, step by step (of SQLite a
copy is set aside first, `homeostat.db.VERSION`); a newer one is refused. Alembic is loaded only when there is something
to upgrade.
"""

from __future__ import annotations

import importlib
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.db import Database, metadata
from homeostat.core.errors import Corrupt, Unavailable
from homeostat.core.making import BETWEEN, IS_MADE, LOCK, VERSION, VERSION_TABLE, making
from homeostat.core.slices import STORES

if TYPE_CHECKING:
    from alembic.config import Config

_URLS = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}
version_table = sa.Table(VERSION_TABLE, metadata, sa.Column("version_num", sa.String(32), primary_key=True))


def all_tables() -> sa.MetaData:
    """The tables of every slice."""
    for module in STORES:
        importlib.import_module(module)
    return metadata


def stored_version(db: Database) -> str | None:
    """The schema version a database was left at; None when it is empty."""

    def ask(connection: sa.Connection) -> str | None:
        if not _is_made(connection):
            return None
        return connection.execute(sa.select(version_table.c.version_num)).scalar_one_or_none()

    return db.read(ask)


def _is_made(connection: sa.Connection) -> bool:
    """Whether the table is there that every database of ours has."""
    if connection.dialect.name == "postgresql":
        return statements.rows(connection, IS_MADE)[0][0]
    return sa.inspect(connection).has_table(version_table.name)


def lost(home: Path) -> str | None:
    """What is wrong when the SQLite database of `home` is gone or empty while the bytes it names are there; else None.

    A new workspace makes its database first, so bytes and tables never lie beside none.
    """
    file = home / "homeostat.db"
    if file.is_file() and file.stat().st_size:
        return None
    beside = [name for name, pattern in (("blobs", "[0-9a-f][0-9a-f]/*"), ("tables", "*/*.parquet"))
              if next((home / name).glob(pattern), None) is not None]  # fmt: skip
    if not beside:
        return None
    state = "is empty (0 bytes)" if file.is_file() else "is not there"
    return f"the database {file} {state}, while {' and '.join(beside)} beside it hold what it told of"


def refuse_lost(home: Path) -> None:
    """Make no new database where one was lost: it would hide what is left.

    Raises: Corrupt.
    """
    if told := lost(home):
        raise Corrupt(
            f"{told}; it was deleted or cut off, and a new one in its place would know nothing of them",
            hint=f"{PUT_BACK} (or choose another --home for a new workspace)",
            home=str(home),
        )


PUT_BACK = "`homeostat restore BACKUP --home NEW_FOLDER`; this folder stays as it is"


def prepare(db: Database) -> None:
    """Make or upgrade the tables; nothing when they are current.

    Raises: Unavailable when the database was written by a newer Homeostat.
    """
    found = stored_version(db)
    if found == VERSION:
        return
    if found is None:
        db.write(_create)
    elif found > VERSION:
        raise Unavailable(
            f"this workspace was written by a newer Homeostat (schema {found}, this one knows {VERSION})",
            hint="upgrade with `pip install -U homeostat`",
            found=found,
            known=VERSION,
        )
    else:
        upgrade(db, found)


def _create(connection: sa.Connection) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        statements.rows(connection, LOCK)
    if _is_made(connection):
        return
    if dialect == "postgresql":
        statements.rows_of_last(connection, making(dialect))  # in one exchange
        return
    cursor = connection.connection.cursor()
    for statement in making(dialect).split(BETWEEN):
        cursor.execute(statement)


def script(dialect: str) -> str:
    """What belongs into `script_file(dialect)`, from the tables as they are declared."""
    made: list[str] = []

    def keep(statement: sa.ExecutableDDLElement, *_: object, **__: object) -> None:
        lines = str(statement.compile(dialect=engine.dialect)).strip().splitlines()
        made.append("\n".join(line.rstrip().replace("\t", "  ") for line in lines if line.strip()))

    engine = sa.create_mock_engine(_URLS[dialect], keep)
    tables = all_tables()
    # Not in the order in which modules were imported.
    tables.create_all(engine, tables.sorted_tables, checkfirst=False)
    # The indexes of a table are a set: in the order of their names they are the same each time.
    ordered = [one for index, run in itertools.groupby(made, _is_index) for one in (sorted(run) if index else run)]
    return BETWEEN.join(ordered) + "\n"


def _is_index(statement: str) -> bool:
    return statement.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX"))


def upgrade(db: Database, found: str, target: str = "head") -> None:
    """Run the migrations from version `found` to this one, in one transaction; of SQLite a copy is set aside first."""
    from alembic import command

    if db.url.startswith("sqlite:"):
        _set_aside(db, found)
    with db.writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Of two processes that open it at once the second finds nothing left to do.
            connection.execute(sa.text(LOCK))
        command.upgrade(migrations(connection), target)


def migrations(connection: sa.Connection) -> Config:
    """Alembic's configuration for the migrations of this package, to run on `connection`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _set_aside(db: Database, found: str) -> None:
    path = Path(urlsplit(db.url).path)
    aside = path.with_name(f"{path.name}.{found}")
    if aside.exists():
        return
    part = aside.with_name(f"{aside.name}.{os.getpid()}")
    connection = db.reader.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(part),))
        os.replace(part, aside)
    finally:
        part.unlink(missing_ok=True)
        connection.close()
