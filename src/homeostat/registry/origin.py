"""Where a version comes from, as far as it decides whether its code is run."""

from __future__ import annotations

from contextlib import suppress

from homeostat.core.errors import NotFound
from homeostat.core.workspace import Workspace
from homeostat.registry.model import ModelVersion


def made_here(ws: Workspace, version: ModelVersion) -> bool:
    """Whether a run of this workspace has made the version, or it was logged here without one: only then is its code
    run here."""
    from homeostat.tracking import get_logged_model, get_run

    with suppress(NotFound):
        if version.run_id is not None:
            return bool(get_run(ws, version.run_id))
        if version.model_id:
            return bool(get_logged_model(ws, version.model_id))
    return False
