"""PostgreSQL: the database of a workspace that several machines share."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy import event

from homeostat.core.db import Database, Line
from homeostat.core.extras import require


def open_postgres(url: str) -> Database:
    """The database behind `postgresql://user:password@host:port/name`."""
    require("psycopg", extra="postgres")
    target = urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()
    writer = sa.create_engine(target, pool_size=1, max_overflow=0, pool_pre_ping=True)
    reader = sa.create_engine(
        target, pool_size=4, max_overflow=12, pool_pre_ping=True, isolation_level="REPEATABLE READ"
    )
    event.listen(reader, "connect", _suited)
    return Database(writer, reader, url, line=_line)


def _line(url: str, sql: str, loop: AbstractEventLoop) -> Line:
    from homeostat.engines.postgres_line import PostgresLine  # needs psycopg

    return PostgresLine(url, sql, loop)


def _suited(connection: Any, _record: Any) -> None:
    """Set what searches need: no compiling, which takes longer than they do, and plans for disks that seek at once."""
    connection.execute("set jit = off")
    connection.execute("set random_page_cost = 1.1")
    connection.execute("set plan_cache_mode = force_custom_plan")
    connection.commit()
