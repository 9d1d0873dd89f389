"""The records of the team slice: users, tokens, actors and the audit log."""

from __future__ import annotations

from typing import Any, Literal

from homeostat.core.records import Record

Role = Literal["viewer", "editor", "admin"]


class User(Record):
    """Somebody who may use this workspace. `role` bounds what their tokens may do."""

    name: str
    role: Role
    created_ms: int


class Token(Record):
    """A token without its secret. `start` is how it begins, to tell tokens apart; `role` what it may do.

    `expires_ms` None: never. `last_used_ms` is exact to a minute.
    """

    id: str
    user: str
    role: Role
    start: str
    note: str
    created_ms: int
    expires_ms: int | None = None
    last_used_ms: int | None = None
    revoked_ms: int | None = None


class NewToken(Record):
    """A token just made. `secret` is what a client sends; it is shown this once and kept only as a hash."""

    secret: str
    token: Token


class Actor(Record):
    """Somebody as recognised by a token. `permissions` are "data:read", "data:write" …; `*` stands for any slice."""

    name: str
    role: Role
    permissions: list[str]


class AuditEntry(Record):
    """One change: who did what, when. `digest` covers the entry and `previous`, the digest of the entry before it."""

    seq: int
    at_ms: int
    actor: str
    verb: str
    arguments: dict[str, Any]
    previous: str
    digest: str


class AuditCheck(Record):
    """Whether the audit log is as it was written. `broken_at`: the first entry that is not. `digest`: of the last."""

    entries: int
    intact: bool
    broken_at: int | None = None
    message: str = ""
    digest: str = ""
