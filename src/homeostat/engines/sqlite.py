"""SQLite in WAL mode: the database of a home folder."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy import event

from homeostat.core import statements
from homeostat.core.db import Database
from homeostat.core.regular import compiled

# An answered write is on disk, power cut included: FULL. Group commit makes it affordable.
_WAIT_MS = 30_000
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_WAIT_MS}", "foreign_keys=ON", "temp_store=MEMORY")
# Readers see the file's pages where the system keeps them, instead of copies in two megabytes of their own: as far as
# SQLite lets them, which takes addresses and no memory.
_MAPPED = "mmap_size=2147418112"


def open_sqlite(url: str) -> Database:
    """The database in the file that `sqlite:///path` names; made when it is not there."""
    path = urlsplit(url).path
    # One writer connection; it takes the write lock when the transaction begins, so that no transaction fails half-way.
    writer = _engine(path, _PRAGMAS, begin="BEGIN IMMEDIATE", pool_size=1)
    reader = _engine(path, (*_PRAGMAS, _MAPPED), begin="BEGIN", pool_size=8)
    return Database(writer, reader, url, _patience)


def _patience(connection: sa.Connection, waits: bool) -> None:
    """Whether to wait, as long as it takes, for another process that is writing."""
    statements.rows(connection, f"pragma busy_timeout={_WAIT_MS if waits else 0}")


def _matches(pattern: str, text: str | None) -> bool | None:
    return None if text is None else compiled(pattern).found(text)


def _engine(path: str, pragmas: tuple[str, ...], begin: str, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=0 if pool_size == 1 else 24,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions of its own
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()
        connection.create_function("matches", 2, _matches, deterministic=True)

    def do_begin(connection: Any) -> None:
        connection.dbapi_connection.execute(begin).close()

    event.listen(engine, "connect", on_connect)
    # Not by listening to "begin": what SQLAlchemy does so that somebody listens costs as much as a small read.
    engine.dialect.do_begin = do_begin  # type: ignore[method-assign]
    return engine
