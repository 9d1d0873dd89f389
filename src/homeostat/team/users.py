"""The verbs on users."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, NotFound
from homeostat.core.paths import check_name
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.team.model import Role, User
from homeostat.team.recent_tokens import note_change
from homeostat.team.store import tokens, users


@verb(permission="team:admin")
def add_user(ws: Workspace, name: str, role: Role = "viewer") -> User:
    """Let somebody use this workspace. Raises: AlreadyExists for a name that is taken."""
    user = User(name=check_name(name, "user name"), role=role, created_ms=now_ms())
    try:
        ws.db.write(lambda c: c.execute(sa.insert(users).values(name=name, role=role, created_ms=user.created_ms)))
    except IntegrityError:
        raise AlreadyExists(f"there is a user '{name}' already", hint="`set_role` changes what they may do") from None
    return user


@verb(permission="team:admin")
def set_role(ws: Workspace, name: str, role: Role) -> User:
    """Change what a user may do; tokens that were given more may do only this from now on."""
    changed = ws.db.write(lambda c: c.execute(sa.update(users).where(users.c.name == name).values(role=role)).rowcount)
    note_change(ws)
    if not changed:
        raise NotFound(f"there is no user '{name[:80]}'", hint="list_users names them", user=name[:80])
    return ws.db.read(lambda c: find_user(c, name))


@verb(permission="team:admin")
def remove_user(ws: Workspace, name: str) -> int:
    """Remove a user and revoke their tokens; the number of tokens revoked. What they did stays in the audit log."""

    def change(connection: sa.Connection) -> int:
        find_user(connection, name)
        connection.execute(sa.delete(users).where(users.c.name == name))
        live = (tokens.c.user == name, tokens.c.revoked_ms.is_(None))
        return connection.execute(sa.update(tokens).where(*live).values(revoked_ms=now_ms())).rowcount

    revoked = ws.db.write(change)
    note_change(ws)
    return revoked


@verb(permission="team:read")
def list_users(ws: Workspace) -> list[User]:
    """The users, by name."""
    rows = ws.db.read(lambda c: c.execute(sa.select(users).order_by(users.c.name)).all())
    return [User(name=row.name, role=row.role, created_ms=row.created_ms) for row in rows]


def find_user(connection: sa.Connection, name: str) -> User:
    """A user by name. Raises: NotFound."""
    row = connection.execute(sa.select(users).where(users.c.name == name)).first()
    if row is None:
        raise NotFound(f"there is no user '{name[:80]}'", hint="list_users names them", user=name[:80])
    return User(name=row.name, role=row.role, created_ms=row.created_ms)
