"""What is served is not deleted."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import Refused
from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.graphs.guarding import insisted_on


def served(ws: Workspace, connection: sa.Connection, kind: str, name: str, version: int | None) -> Refused | None:
    """The refusal for a model, or a version of one, that requests or copies of them are sent to."""
    if kind != "model":
        return None
    insisting = insisted_on(connection, name, version)
    if insisting is not None:
        which = "a version" if version is None else f"version {version}"
        return Refused(
            f"{which} of '{name}' is asked by the graph '{insisting}'",
            hint=f"stop serving that first: `homeostat serving undeploy {insisting}`",
            model=name,
            graph=insisting,
        )
    current = store.read_deployment(connection, name)
    if current is None:
        return None
    if version is None:
        return Refused(
            f"model '{name}' is deployed",
            hint=f"stop serving it first: `homeostat serving undeploy {name}`",
            model=name,
        )
    roles = [route.role for route in current.routes if route.version == version]
    if not roles:
        return None
    return Refused(
        f"version {version} of '{name}' is deployed, as {roles[0]}",
        hint=f"take it out of the routes first: `homeostat serving deploy {name} VERSION` of another one, or "
        "set_routes without it",
        model=name,
        version=version,
    )
