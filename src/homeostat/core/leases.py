"""Durable leases: who holds a piece of work, until when. A crashed holder's lease runs out and is taken again.

Each acquisition carries a token that only grows (a fencing token): a holder that slept past its lease finds that its
token is no longer the current one.
"""

from __future__ import annotations

import os

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from homeostat.core.db import Database, database_now_ms, metadata
from homeostat.core.records import Record

table = sa.Table(
    "core_lease",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)


class Lease(Record):
    """A lease as held: `token` grows with each acquisition of `name`."""

    name: str
    owner: str
    token: int
    ttl_ms: int


class Leases:
    """The leases of one workspace."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def acquire(self, name: str, ttl_s: float, owner: str) -> Lease | None:
        """The lease on `name` for `ttl_s` seconds, or None while somebody else holds it.

        The same owner asking again gets a new token and a new term.
        """
        ttl_ms = int(ttl_s * 1000)

        def take(connection: sa.Connection) -> Lease | None:
            now = database_now_ms(connection)
            row = connection.execute(sa.select(table).where(table.c.name == name).with_for_update()).first()
            if row is None:
                connection.execute(sa.insert(table).values(name=name, owner=owner, token=1, until_ms=now + ttl_ms))
                return Lease(name=name, owner=owner, token=1, ttl_ms=ttl_ms)
            if row.until_ms > now and row.owner != owner and not _gone(row.owner):
                return None
            changed = connection.execute(
                sa.update(table)
                .where(table.c.name == name, table.c.token == row.token)
                .values(owner=owner, token=row.token + 1, until_ms=now + ttl_ms)
            )
            if not changed.rowcount:
                return None
            return Lease(name=name, owner=owner, token=row.token + 1, ttl_ms=ttl_ms)

        try:
            return self._db.write(take)
        except IntegrityError:
            return None  # another process inserted the first lease at the same moment

    def renew(self, lease: Lease) -> bool:
        """A new full term; False when the lease was lost in between."""

        def extend(connection: sa.Connection) -> bool:
            until = database_now_ms(connection) + lease.ttl_ms
            where = (table.c.name == lease.name, table.c.token == lease.token)
            return bool(connection.execute(sa.update(table).where(*where).values(until_ms=until)).rowcount)

        return self._db.write(extend)

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing if it was lost already."""

        def free(connection: sa.Connection) -> None:
            where = (table.c.name == lease.name, table.c.token == lease.token)
            connection.execute(sa.update(table).where(*where).values(until_ms=0))

        self._db.write(free)


def _gone(owner: str) -> bool:
    """Whether `owner`, a workspace's `instance` ("host:pid:…"), was a process of this host that no longer runs.

    Its lease need not run out: whoever was killed here can be followed at once.
    """
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if host != os.uname().nodename or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
