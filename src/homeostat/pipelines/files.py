"""Where a pipeline run keeps its files on this machine: logs, and the messages between supervisor and children."""

from __future__ import annotations

import shutil
from pathlib import Path

from homeostat.core.paths import inside
from homeostat.core.workspace import Workspace

PLAN = "plan"


def folder_of(ws: Workspace, run: str) -> Path:
    """The run's folder, made when missing."""
    folder = inside(ws.home, f"pipelines/{run}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_of(ws: Workspace, run: str, step: str) -> Path:
    """The file that a step's output goes to; all its attempts one after another."""
    return inside(folder_of(ws, run), f"{step}.log")


def message_of(ws: Workspace, run: str, step: str, attempt: int, what: str) -> Path:
    """The request or answer file of one attempt."""
    return inside(folder_of(ws, run), f"{step}.{attempt}.{what}")


def clear(ws: Workspace, run: str, step: str, attempt: int) -> None:
    """Remove what an attempt no longer needs; its log stays."""
    for what in ("request", "answer"):
        message_of(ws, run, step, attempt, what).unlink(missing_ok=True)
    shutil.rmtree(message_of(ws, run, step, attempt, "scratch"), ignore_errors=True)


def tail(path: Path, lines: int = 20, limit: int = 4000) -> str:
    """The last lines of a log, at most `limit` characters of them; "" when there is no log.

    >>> tail(Path("/nowhere/at/all.log"))
    ''
    """
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4 * limit))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])[-limit:]
