"""PostgreSQL: the database of a workspace that several machines share."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy as sa

from homeostat.core.db import Database
from homeostat.core.extras import require


def open_postgres(url: str) -> Database:
    """The database behind `postgresql://user:password@host:port/name`."""
    require("psycopg", extra="postgres")
    target = urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()
    writer = sa.create_engine(target, pool_size=1, max_overflow=0, pool_pre_ping=True)
    reader = sa.create_engine(
        target, pool_size=4, max_overflow=12, pool_pre_ping=True, isolation_level="REPEATABLE READ"
    )
    return Database(writer, reader, url)
