"""The migrations lead to the tables that the slices declare, and old databases open with all they held."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import homeostat as hs
from homeostat.core.db import Database
from homeostat.core.making import script_file
from homeostat.core.schema import (
    VERSION,
    all_tables,
    migrations,
    prepare,
    script,
    stored_version,
    upgrade,
    version_table,
)
from homeostat.core.slices import INBOX
from homeostat.engines.postgres import open_postgres
from homeostat.engines.sqlite import open_sqlite
from tests.postgres import Cluster
from tests.rows import derived_tables, made_tables
from tests.upgrade.story import answers, contains

ASSETS = Path(__file__).parent / "assets"
OLD = sorted(path.name.partition(".")[0] for path in ASSETS.glob("*.sqlite.gz"))
AGAIN = 'the slices\' tables and the migrations differ: python tools/migration.py "what changes"'


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path):
    """An empty database."""
    if request.param == "sqlite":
        database = open_sqlite(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        database = open_postgres(request.getfixturevalue("postgres").new_database())
    yield database
    database.close()


def from_nothing(database: Database) -> None:
    """Run every migration."""
    upgrade(database, "nothing")


def not_version_table(item: object, name: str | None, kind: str, *_: object) -> bool:
    return not (kind == "table" and name == version_table.name)


def test_migrations_lead_to_the_declared_tables(empty: Database):
    from_nothing(empty)
    assert stored_version(empty) == VERSION
    with empty.writer.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_object": not_version_table, "version_table": version_table.name},
        )
        assert compare_metadata(context, all_tables()) == [], AGAIN


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_statements_that_make_a_new_database_are_those_of_the_declared_tables(dialect: str):
    assert script_file(dialect).read_text("utf-8") == script(dialect), "python tools/schema.py"


def test_both_ways_give_the_same_sqlite(tmp_path: Path):
    """Made in one go, or by migrations: to the letter, but for the order of columns and constraints."""

    def schema(path: Path) -> dict[str, list[str]]:
        with sqlite3.connect(path) as connection:
            rows = connection.execute("select name, sql from sqlite_master where sql is not null").fetchall()
        connection.close()
        return {
            # A column that was added later stands behind the others, in the same line.
            name: sorted(filter(None, (part.replace('"', "").strip(" \t()") for part in re.split("[,\n]", sql))))
            for name, sql in rows
            if name != version_table.name
        }

    database = open_sqlite(f"sqlite:///{tmp_path / 'migrated.db'}")
    from_nothing(database)
    database.close()
    with hs.open(tmp_path / "home") as ws:
        _ = ws.db
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "home" / "homeostat.db"), AGAIN


def test_both_ways_give_the_same_triggers_on_postgresql(postgres: Cluster):
    """Which Alembic does not compare."""

    def told(database: Database) -> list[str]:
        with database.reader.connect() as connection:
            triggers = "select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal"
            functions = "select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace"
            return sorted(connection.scalars(sa.text(f"{triggers} union all {functions}")))

    migrated, made = (open_postgres(postgres.new_database()) for _ in range(2))
    from_nothing(migrated)
    prepare(made)
    assert told(migrated) == told(made) != []
    migrated.close()
    made.close()


def test_there_is_one_line_of_migrations_and_it_ends_here():
    directory = ScriptDirectory.from_config(migrations(None))  # type: ignore[arg-type]
    assert directory.get_heads() == [VERSION]
    for one in directory.walk_revisions():
        assert Path(one.path).name.startswith(f"{one.revision}_")
        assert len(one.revision) == 4


def test_every_version_has_kept_a_database():
    known = {one.revision for one in ScriptDirectory.from_config(migrations(None)).walk_revisions()}  # type: ignore[arg-type]
    assert set(OLD) == known, "python -m tests.upgrade.make_asset"


def unpacked(version: str, home: Path) -> Path:
    home.mkdir(parents=True)
    (home / "homeostat.db").write_bytes(gzip.decompress((ASSETS / f"{version}.sqlite.gz").read_bytes()))
    return home


def rows_of(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, read without any code of ours."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
    # As they lie in the file: by rowid, or by primary key where there is none.
    found = {name: [dict(row) for row in connection.execute(f'select * from "{name}"')] for name in names}
    connection.close()
    return {name: rows for name, rows in found.items() if not name.startswith("sqlite_")}


@pytest.mark.parametrize("version", OLD)
def test_a_kept_database_has_rows_in_every_table(version: str, tmp_path: Path):
    rows = rows_of(unpacked(version, tmp_path / "home") / "homeostat.db")
    # Whoever reads empties the inbox, and makes what is derived.
    assert [name for name, found in rows.items() if not found and name not in (INBOX[0], *derived_tables())] == []
    assert rows[version_table.name] == [{"version_num": version}]


@pytest.mark.parametrize("version", OLD)
def test_an_old_database_opens_with_all_it_held(version: str, tmp_path: Path):
    home = unpacked(version, tmp_path / "home")
    before = rows_of(home / "homeostat.db")
    with hs.open(home) as ws:
        assert stored_version(ws.db) == VERSION
        said = answers(ws)
    after = rows_of(home / "homeostat.db")
    for name, rows in before.items():
        if name == version_table.name or name in derived_tables():
            continue
        kept = [{column: row.get(column) for column in old} for row, old in zip(after[name], rows, strict=True)]
        assert kept == rows, name
    told = json.loads((ASSETS / f"{version}.json").read_text())
    assert {name for name, old in told.items() if not contains(said[name], old)} == set()


def in_postgres(database: Database, rows: dict[str, list[dict[str, object]]]) -> None:
    """Put rows of an SQLite file into tables that the migrations have made, as far as these have them."""
    with database.writer.begin() as connection:
        there = sa.MetaData()
        there.reflect(connection)
        for table in there.sorted_tables:
            truths = {column.name for column in table.columns if isinstance(column.type, sa.Boolean)}
            found = [
                {name: bool(value) if name in truths and value is not None else value for name, value in row.items()}
                for row in rows.get(table.name, [])
            ]
            if table.name == version_table.name or table.name in derived_tables() or not found:
                continue
            connection.execute(sa.insert(table), found)
            for column in table.primary_key.columns:
                sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
                if sequence:
                    highest = max(1, *(int(str(row[column.name])) for row in found))
                    connection.execute(sa.select(sa.func.setval(sequence, highest)))


@pytest.mark.parametrize("version", OLD)
def test_so_does_an_old_database_on_postgresql(
    version: str, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The rows that were kept, in tables as that version made them on PostgreSQL; then opened by this one."""
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    rows = rows_of(unpacked(version, tmp_path / "kept") / "homeostat.db")
    url = postgres.new_database()
    database = open_postgres(url)
    upgrade(database, "nothing", target=version)
    assert stored_version(database) == version
    in_postgres(database, rows)
    database.close()
    with hs.open(url) as ws:
        assert stored_version(ws.db) == VERSION
        said = answers(ws)
        assert ws.tracking.create_run().id  # numbers go on where they were
    told = json.loads((ASSETS / f"{version}.json").read_text())
    assert {name for name, old in told.items() if not contains(said[name], old)} == set()


def test_an_older_database_is_set_aside_before_it_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As if a migration were to come: the old file is kept beside, whole."""
    from alembic import command

    home = unpacked(VERSION, tmp_path / "home")
    with sqlite3.connect(home / "homeostat.db") as connection:
        connection.execute("update homeostat_version set version_num = '0000'")
    connection.close()
    before = rows_of(home / "homeostat.db")

    def fail(*_: object) -> None:
        raise RuntimeError("the migration failed")

    monkeypatch.setattr(command, "upgrade", fail)
    with hs.open(home) as ws, pytest.raises(RuntimeError, match="the migration failed"):
        _ = ws.db
    assert rows_of(home / "homeostat.db") == before
    assert rows_of(home / "homeostat.db.0000") == before


def test_two_processes_may_upgrade_at_once(empty: Database):
    script = (
        "import sys\n"
        "from homeostat.core import engines\n"
        "from homeostat.core.schema import upgrade\n"
        "database = engines.load(engines.DATABASES, sys.argv[1])(sys.argv[1])\n"
        "upgrade(database, 'nothing')\n"
        "database.close()\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, empty.url]) for _ in range(2)]
    assert [process.wait(300) for process in processes] == [0, 0]
    assert stored_version(empty) == VERSION
    assert set(empty.read(lambda c: sa.inspect(c).get_table_names())) >= {table.name for table in made_tables()}
