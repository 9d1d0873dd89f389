"""Runs that were logged to this machine's disk only, sent later: by `homeostat sync`, or by the server of the home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from homeostat.tracking.delivery import Delivered, deliver_left_behind
from homeostat.tracking.spool import spool_root

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace


def sync(ws: Workspace, folder: str | os.PathLike[str] | None = None) -> list[Delivered]:
    """Send every run below `folder` (of a home: its `runs`) that no process logs to any more; what came of each.

    Offline runs, runs whose process died, runs whose server did not answer. Sending twice changes nothing; a run that
    is sent is removed from here. Without `folder` it is this machine's home.
    """
    return deliver_left_behind(ws, spool_root(ws) if folder is None else Path(folder))


def collect_runs(ws: Workspace) -> list[Delivered]:
    """As `sync`, for those runs in the workspace's own home that were meant for it and whose process died."""
    return deliver_left_behind(ws, spool_root(ws), own=True)
