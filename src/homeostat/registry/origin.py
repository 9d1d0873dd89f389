"""Where a version comes from, as far as it decides whether its code is run."""

from __future__ import annotations

from contextlib import suppress

from homeostat.core.errors import NotFound
from homeostat.core.workspace import RemoteWorkspace, Workspace
from homeostat.registry.model import ModelVersion


def made_here(ws: Workspace, version: ModelVersion) -> bool:
    """Whether a run of this workspace has made the version, or it was logged here without one: only then is its code
    run here. From afar, whose models cannot be asked for, only a run counts."""
    from homeostat.tracking import get_logged_model

    with suppress(NotFound):
        if version.run_id is not None:
            return bool(ws.tracking.get_run(version.run_id))
        if version.model_id and not isinstance(ws, RemoteWorkspace):
            return bool(get_logged_model(ws, version.model_id))
    return False
