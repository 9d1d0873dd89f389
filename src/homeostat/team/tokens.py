"""The verbs on tokens. A token is random, so one SHA-256 of it is as safe to keep as a slow hash would be, and checking
it costs microseconds on each request.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound, Refused, Unauthenticated
from homeostat.core.ids import new_id
from homeostat.core.paths import check_name
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.team.model import Actor, NewToken, Role, Token
from homeostat.team.recent_tokens import believe, changes, note_change
from homeostat.team.roles import PERMISSIONS, at_most
from homeostat.team.store import tokens, users
from homeostat.team.users import find_user

PREFIX = "hst_"
_USED_EVERY_MS = 60_000  # a write for every request would cost more than the request
_DAY_S = 86_400


@verb(permission="team:admin")
def create_token(
    ws: Workspace, user: str, role: Role | None = None, expires_in_s: float | None = 90 * _DAY_S, note: str = ""
) -> NewToken:
    """Make a token for a user; its secret is in the answer, and nowhere else afterwards.

    `role` bounds the token below its user (None: as much as the user). A user who does not exist yet is made, with
    `role` (viewer by default). `expires_in_s` None: it never expires; 90 days by default.

    Raises: Refused for a role above the user's, InvalidInput for a lifetime that is not positive.
    """
    check_name(user, "user name")
    if expires_in_s is not None and not 0 < expires_in_s <= 100 * 365 * _DAY_S:
        raise InvalidInput(f"a token cannot live {expires_in_s} seconds", hint="more than 0; None for ever")
    created, secret = now_ms(), PREFIX + secrets.token_urlsafe(32)

    def make(connection: sa.Connection) -> Token:
        found = connection.execute(sa.select(users.c.name).where(users.c.name == user)).first()
        if found is None:
            connection.execute(sa.insert(users).values(name=user, role=role or "viewer", created_ms=created))
        owner = find_user(connection, user)
        granted = role or owner.role
        if not at_most(granted, owner.role):
            raise Refused(f"'{user}' is {owner.role}: a token cannot be {granted}", hint="`set_role` first")
        values: dict[str, Any] = {
            "id": new_id(), "user": user, "role": granted, "start": secret[:8], "note": note, "created_ms": created,
            "expires_ms": None if expires_in_s is None else created + int(expires_in_s * 1000),
        }  # fmt: skip
        connection.execute(sa.insert(tokens).values(**values, hash=_hash(secret)))
        return Token(**values)

    return NewToken(secret=secret, token=ws.db.write(make))


@verb(permission="team:admin")
def list_tokens(ws: Workspace, user: str | None = None) -> list[Token]:
    """The tokens, newest first, also those that expired or were revoked; never their secrets."""
    query = sa.select(tokens).order_by(tokens.c.id.desc())
    if user is not None:
        query = query.where(tokens.c.user == user)
    return [_token(row) for row in ws.db.read(lambda c: c.execute(query).all())]


@verb(permission="team:admin")
def revoke_token(ws: Workspace, id: str) -> Token:
    """End a token now, by its id. Revoking it twice is harmless. Raises: NotFound."""

    def end(connection: sa.Connection) -> Token:
        live = (tokens.c.id == id, tokens.c.revoked_ms.is_(None))
        connection.execute(sa.update(tokens).where(*live).values(revoked_ms=now_ms()))
        row = connection.execute(sa.select(tokens).where(tokens.c.id == id)).first()
        if row is None:
            raise NotFound(f"there is no token {id[:40]!r}", hint="list_tokens shows the ids")
        return _token(row)

    ended = ws.db.write(end)
    note_change(ws)
    return ended


@verb(permission="team:read")
def has_tokens(ws: Workspace) -> bool:
    """Whether any token is in force: without one, nobody could log in."""
    live = (tokens.c.revoked_ms.is_(None), tokens.c.expires_ms.is_(None) | (tokens.c.expires_ms > now_ms()))
    return ws.db.read(lambda c: c.execute(sa.select(tokens.c.id).where(*live).limit(1)).first()) is not None


@verb(permission="team:admin")
def authenticate(ws: Workspace, token: str) -> Actor:
    """Who sends this token, with what they may do.

    Raises: Unauthenticated for a token that is unknown, expired or revoked, or whose user was removed.
    """
    return _look_up(ws, token)[0]


def recognise(ws: Workspace, token: str) -> Actor:
    """As `authenticate`; and for a moment `believed` knows it."""
    change = changes(ws)
    actor, expires_ms = _look_up(ws, token)
    believe(ws, token, actor, expires_ms, change)
    return actor


def _look_up(ws: Workspace, token: str) -> tuple[Actor, int | None]:
    """Whose token it is, and when it expires."""
    if not token.startswith(PREFIX) or len(token) > 200:
        raise Unauthenticated("that is not a token of Homeostat", hint=f"it begins with {PREFIX}")
    query = (
        sa.select(tokens, users.c.role.label("limit"))
        .join_from(tokens, users, tokens.c.user == users.c.name)
        .where(tokens.c.hash == _hash(token))
    )
    row = ws.db.read(lambda c: c.execute(query).first(), settled=False)
    now = now_ms()
    if row is None or row.revoked_ms is not None:
        raise Unauthenticated("the token is not known", hint="`homeostat team create-token USER` makes one")
    if row.expires_ms is not None and row.expires_ms <= now:
        raise Unauthenticated("the token has expired", hint="`homeostat team create-token USER` makes a new one")
    if now - (row.last_used_ms or 0) >= _USED_EVERY_MS:
        ws.db.write(lambda c: c.execute(sa.update(tokens).where(tokens.c.id == row.id).values(last_used_ms=now)))
    role: Role = row.role if at_most(row.role, row.limit) else row.limit
    return Actor(name=row.user, role=role, permissions=list(PERMISSIONS[role])), row.expires_ms


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        id=row.id, user=row.user, role=row.role, start=row.start, note=row.note, created_ms=row.created_ms,
        expires_ms=row.expires_ms, last_used_ms=row.last_used_ms, revoked_ms=row.revoked_ms,
    )  # fmt: skip
