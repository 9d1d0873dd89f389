"""Whether something may go: the slices that use it are asked, by name, since they lie above the one that keeps it."""

from __future__ import annotations

from importlib import import_module

import sqlalchemy as sa

from homeostat.core.slices import GUARDS
from homeostat.core.workspace import Workspace


def need_unused(ws: Workspace, connection: sa.Connection, kind: str, name: str, version: int | None = None) -> None:
    """Raise Refused, saying what to do instead, while something uses `version` of an asset, or any of it for None."""
    for guard in GUARDS:
        module, _, function = guard.partition(":")
        refused: Exception | None = getattr(import_module(module), function)(ws, connection, kind, name, version)
        if refused is not None:
            raise refused
