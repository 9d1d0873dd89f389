"""Durable leases: who holds a piece of work, until when. A crashed holder's lease runs out and is taken again.

Each acquisition carries a token that only grows (a fencing token): a holder that slept past its lease finds that its
token is no longer the current one.
"""

from __future__ import annotations

import os

import sqlalchemy as sa

from homeostat.core.db import NOW_MS, Database, metadata
from homeostat.core.ids import new_id
from homeostat.core.records import Record
from homeostat.core.statements import change, rows

table = sa.Table(
    "core_lease",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)

# One statement each, as leases are taken and given back every second.
_TAKE = (
    "insert into core_lease (name, owner, token, until_ms) values (?, ?, 1, {now} + cast(? as bigint))"
    " on conflict (name) do update"
    " set owner = excluded.owner, token = core_lease.token + 1, until_ms = excluded.until_ms"
    " where core_lease.until_ms <= {now} or core_lease.owner = excluded.owner returning token"
)
_FOLLOW = (
    "update core_lease set owner = ?, token = token + 1, until_ms = {now} + cast(? as bigint)"
    " where name = ? and token = ? returning token"
)
_EXTEND = "update core_lease set until_ms = {now} + cast(? as bigint) where name = ? and token = ?"
_FREE = "update core_lease set until_ms = 0 where name = ? and token = ?"


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

        def take(c: sa.Connection) -> Lease | None:
            now = NOW_MS[c.dialect.name]
            found = rows(c, _TAKE.format(now=now), (name, owner, ttl_ms))
            if not found:
                held = rows(c, "select owner, token from core_lease where name = ?", (name,))
                if held and _gone(held[0][0]):
                    found = rows(c, _FOLLOW.format(now=now), (owner, ttl_ms, name, held[0][1]))
            return Lease(name=name, owner=owner, token=found[0][0], ttl_ms=ttl_ms) if found else None

        return self._db.write(take)

    def turn(self, name: str, every_s: float) -> bool:
        """Whether it is time for `name` again: true for one of all that ask, once in `every_s` seconds."""
        # An owner of its own: to whoever had the last one it would be given again at once.
        return self.acquire(name, every_s, f"{os.uname().nodename}:{os.getpid()}:{new_id()}") is not None

    def renew(self, lease: Lease) -> bool:
        """A new full term; False when the lease was lost in between."""

        def extend(c: sa.Connection) -> bool:
            return bool(change(c, _EXTEND.format(now=NOW_MS[c.dialect.name]), (lease.ttl_ms, lease.name, lease.token)))

        return self._db.write(extend)

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing if it was lost already."""

        self._db.write(lambda c: change(c, _FREE, (lease.name, lease.token)))


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
