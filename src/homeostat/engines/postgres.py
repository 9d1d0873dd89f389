"""PostgreSQL: the database of a workspace that several machines share."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from sqlalchemy import event, exc

from homeostat.core import statements
from homeostat.core.db import Database, Line
from homeostat.core.extras import require

# How long a write may wait for another process's where it holds up others.
_HARDLY_MS = 5
_ROOMY = (
    "select set_config('work_mem', '16MB', false)"
    " where pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('16MB')"
)
_BEGIN = "begin isolation level repeatable read"
# In a writer's `info`: what held when its transaction began.
_HELD = "homeostat.held"

T = TypeVar("T")


def open_postgres(url: str) -> Database:
    """The database behind `postgresql://user:password@host:port/name`."""
    require("psycopg", extra="postgres")
    target = urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()
    # Its transactions are begun and ended by the wire, which also prepares what is asked often.
    writer = sa.create_engine(
        target,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT",
        connect_args={"prepare_threshold": None},
    )
    _wire(writer)
    # Its transactions are begun and ended by `_snapshot`.
    reader = sa.create_engine(
        target, pool_size=4, max_overflow=12, isolation_level="AUTOCOMMIT", pool_reset_on_return=None,
        skip_autocommit_rollback=True, connect_args={"prepare_threshold": None},
    )  # fmt: skip
    event.listen(reader, "connect", _suited)
    event.listen(reader, "before_cursor_execute", _settle)
    # Each of its statements is a transaction by itself: a connection that is given back has nothing to take back.
    looker = sa.create_engine(
        target, pool_size=2, max_overflow=14, isolation_level="AUTOCOMMIT", pool_reset_on_return=None,
        connect_args={"prepare_threshold": None},
    )  # fmt: skip
    event.listen(looker, "connect", _quick)
    return Database(writer, reader, url, _patience if _near(url) else None, _line, _snapshot, looker)


def _near(url: str) -> bool:
    """Whether it runs on this machine: then a small write takes less than handing it to a thread and back does."""
    parts = urlsplit(url)
    hosts = parse_qs(parts.query).get("host", [parts.hostname or ""])
    return all(host.startswith("/") or host in ("", "localhost", "127.0.0.1", "::1") for host in hosts)


def _patience(connection: sa.Connection, waits: bool) -> None:
    """Whether to wait, as long as it takes, for rows that another process is changing."""
    statements.change(connection, f"set lock_timeout = {0 if waits else _HARDLY_MS}")


def _snapshot(reader: sa.Engine, look: str, fn: Callable[[sa.Connection], T]) -> T:
    """What `fn(connection)` gives inside a transaction; RowsWait where `look` gives a row there.

    What begins it, and `look`, goes along with what `fn` asks first, and nobody waits for its end. So a connection that
    was lost since it was last used shows in that first answer: then those beside it are lost as well, and as nothing
    was heard, `fn` may be asked again.
    """
    for last in (False, True):
        with reader.connect() as connection:
            wire = connection.info[statements.WIRE]
            wire.begin(_BEGIN, look)
            try:
                return fn(connection)
            except exc.DBAPIError as error:
                if last or wire.heard or not error.connection_invalidated:
                    raise
            finally:
                if not connection.invalidated:
                    wire.end()
        reader.dispose()
    raise AssertionError("it has found something, or failed")


def _wire(engine: sa.Engine) -> None:
    """Let statements of its transactions share exchanges, what begins and what ends a transaction among them."""
    from homeostat.engines.postgres_wire import BEGIN, PostgresWire  # needs psycopg

    def connected(connection: Any, record: Any) -> None:
        record.info[statements.WIRE] = PostgresWire(connection)

    def begin(connection: sa.Connection) -> None:
        statements.put(connection, BEGIN)
        connection.info[_HELD] = connection.info.get(statements.HOPED)

    def rolls_back(connection: sa.Connection) -> None:
        if not connection.invalidated:  # else there is nothing left to forget
            # A write that was refused changes nothing of what held before it.
            connection.info[statements.HOPED] = connection.info[_HELD]
            connection.info[statements.WIRE].forget()

    def given_back(_connection: Any, record: Any) -> None:  # as after a commit that failed, because of others maybe
        record.info.pop(statements.HOPED, None)

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkin", given_back)
    event.listen(engine, "begin", begin)
    event.listen(engine, "before_cursor_execute", _settle)
    event.listen(engine, "commit", statements.commit)
    event.listen(engine, "rollback", rolls_back)
    engine.dialect.do_commit = lambda _: None  # type: ignore[method-assign] - the wire has done it


def _settle(connection: sa.Connection, *_: Any) -> None:
    statements.settle(connection)


def _line(url: str, sql: str, loop: AbstractEventLoop) -> Line:
    from homeostat.engines.postgres_line import PostgresLine  # needs psycopg

    return PostgresLine(url, sql, loop)


def _quick(connection: Any, record: Any) -> None:
    """Set what looking up a row or two needs: that its plan, which is always the same, is made once."""
    from homeostat.engines.postgres_wire import PostgresWire  # needs psycopg

    connection.execute("set plan_cache_mode = force_generic_plan")
    record.info[statements.WIRE] = PostgresWire(connection)


def _suited(connection: Any, record: Any) -> None:
    """Set what searches need: no compiling, which takes longer than they do, plans for disks that seek at once, and
    room for the numbers of some hundred thousand runs."""
    from homeostat.engines.postgres_wire import PostgresWire  # needs psycopg

    connection.execute("set jit = off")
    connection.execute("set random_page_cost = 1.1")
    connection.execute(_ROOMY)
    connection.execute("set plan_cache_mode = force_custom_plan")
    # A number written as text is the same number.
    connection.execute("set extra_float_digits = 1")
    record.info[statements.WIRE] = PostgresWire(connection)
