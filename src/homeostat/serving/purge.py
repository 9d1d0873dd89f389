"""Which deleted versions are still needed: those that are deployed, or that a rollback returns to."""

from __future__ import annotations

from homeostat.core.workspace import Workspace
from homeostat.serving.deployments import deployment_history, list_deployments


def named(ws: Workspace) -> set[tuple[str, str]]:
    """The versions that routes of deployed models name, now or in the last hundred changes."""
    return {
        ("version", f"{deployment.model}/{route.version}")
        for deployment in list_deployments(ws)
        for routes in [deployment.routes, *(change.routes for change in deployment_history(ws, deployment.model))]
        for route in routes
    }
