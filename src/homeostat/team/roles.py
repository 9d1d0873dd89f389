"""Who may do what: the one table from roles to permissions."""

from __future__ import annotations

from homeostat.team.model import Role

# From least to most; each role may also do what those before it may.
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")

PERMISSIONS: dict[Role, list[str]] = {
    "viewer": ["*:read"],
    "editor": ["*:read", "*:write"],
    "admin": ["*:read", "*:write", "*:admin"],
}


def at_most(role: Role, limit: Role) -> bool:
    """Whether `role` allows nothing that `limit` does not.

    >>> at_most("viewer", "editor"), at_most("admin", "editor")
    (True, False)
    """
    return ROLES.index(role) <= ROLES.index(limit)
