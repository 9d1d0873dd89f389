"""What may be named in a query, and how near a wrong name is to a right one."""

from __future__ import annotations

import difflib
from typing import get_args

from homeostat.tracking.model import RunKind, RunStatus
from homeostat.tracking.query.tree import Kind

NOTES = "mlflow.note.content"
PROPERTIES: dict[str, Kind] = {
    "id": "text", "name": "text", "status": "text", "experiment": "text", "kind": "text", "source": "text",
    "user": "text", "start": "time", "end": "time", "duration": "number", "parent": "text", "code_version": "text",
    "error": "text", "notes": "text",
}  # fmt: skip
GROUPS = ("params", "metrics", "tags")
SETS = ("datasets", "artifacts")
FIGURES = ("last", "min", "max", "first", "count", "step")
TESTS = ("startswith", "endswith", "matches", "like")
# Seconds in each.
SPANS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}
# What only these words can equal: another one is a slip worth telling.
WORDS: dict[str, tuple[str, ...]] = {"status": get_args(RunStatus), "kind": get_args(RunKind)}


def named(name: str) -> bool:
    """Whether `name` is one that a run has, so that `run.` may be left out before it."""
    return name in PROPERTIES or name in GROUPS or name in SETS


def near(name: str, names: tuple[str, ...] | dict[str, Kind]) -> str:
    """The name nearest to `name`, or "".

    >>> near("statu", PROPERTIES)
    'status'
    """
    found = difflib.get_close_matches(name, list(names), 1, 0.5)
    return found[0] if found else ""
