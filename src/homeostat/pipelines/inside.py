"""What a step may ask about itself while it runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

STEP_KEY = "HOMEOSTAT_STEP_KEY"
WORKSPACE_URL = "HOMEOSTAT_STEP_WORKSPACE"
PROJECT = "HOMEOSTAT_STEP_PROJECT"
SCRATCH = "HOMEOSTAT_SCRATCH"


def step_key() -> str:
    """A name for this step of this pipeline run, the same in every attempt; "" outside a step.

    A step that was cut short is run again. Pass this as `once=` to what it changes, and the change happens once:
    `ws.data.write_table("flights", frame, once=step_key())`.
    """
    return os.environ.get(STEP_KEY, "")


def scratch() -> Path:
    """An empty folder of this step's own, gone when the step is over; a new temporary folder outside a step.

    Return a path in it to hand over files: what a step returns is kept by content before the folder goes.
    """
    place = os.environ.get(SCRATCH)
    if place is None:
        return Path(tempfile.mkdtemp(prefix="homeostat-"))
    folder = Path(place) / "own"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def surroundings() -> tuple[str, str] | None:
    """The workspace's URL and the project's folder of the step around the call; None outside a step."""
    url, project = os.environ.get(WORKSPACE_URL), os.environ.get(PROJECT)
    return (url, project) if url and project else None
