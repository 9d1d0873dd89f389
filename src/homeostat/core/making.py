"""What makes the tables of an empty database: statements that were written down (`tools/schema.py`), and what tells
that they were executed. Loads nothing, so that a server that starts can ask for them before anything else."""

from __future__ import annotations

from pathlib import Path

VERSION = "0011"
VERSION_TABLE = "homeostat_version"
BETWEEN = ";\n\n"

# On PostgreSQL. Two processes that open a new workspace at once must not both make its tables; SQLAlchemy's way to look
# for a table of any kind takes long to load.
LOCK = "select pg_advisory_xact_lock(4701001)"
IS_MADE = f"select to_regclass('{VERSION_TABLE}') is not null"


def script_file(dialect: str) -> Path:
    """The file of statements that make all tables of an empty database of a dialect ("sqlite", "postgresql")."""
    return Path(__file__).parent.parent / "migrations" / f"{dialect}.sql"


def making(dialect: str) -> str:
    """The statements of that file, and the one that notes the version of the schema; `BETWEEN` them all."""
    note = f"insert into {VERSION_TABLE} (version_num) values ('{VERSION}')"  # noqa: S608 - from this file
    return f"{script_file(dialect).read_text('utf-8').rstrip()}{BETWEEN}{note}"
