"""What a loop goes back to is not deleted."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import HomeostatError, Refused
from homeostat.core.workspace import Workspace
from homeostat.loop import store
from homeostat.registry import get_version


def held(ws: Workspace, connection: sa.Connection, kind: str, name: str, version: int | None) -> Refused | None:
    """The refusal for the champion of a model that is declared."""
    # From the table: what reads configurations needs libraries that deleting does not.
    query = sa.select(store.config.c.model).where(store.config.c.model == name)
    if kind != "model" or version is None or connection.execute(query).first() is None:
        return None
    try:
        aliases = get_version(ws, name, version).aliases
    except HomeostatError:
        return None
    if "champion" not in aliases:
        return None
    return Refused(
        f"version {version} is the champion of '{name}', which the loop holds",
        hint=f"point the alias elsewhere first: `homeostat registry set-alias {name} champion VERSION`",
        model=name,
        version=version,
    )
