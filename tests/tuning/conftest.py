"""A project with an objective in it, and searches in it."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

import pytest

OBJECTIVE = """
import os, time
from pathlib import Path
import homeostat as hs

RAN = Path(__file__).parent / "ran.txt"

def bowl(x, n, kind, shift=0.0):
    with open(RAN, "a") as file:
        file.write(f"{x!r}/{n}/{kind}\\n")
    return {"loss": (x - 0.3) ** 2 + n * 0.01 + (0.5 if kind == "b" else 0.0) + shift, "pid": os.getpid()}
"""
SPACE = {"x": (0.0, 1.0), "n": (1, 9), "kind": ["a", "b"]}


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.write("")

    def write(self, more: str) -> None:
        (self.folder / "objective.py").write_text(OBJECTIVE + textwrap.dedent(more))

    @property
    def ran(self) -> Counter[str]:
        """How often each trial was run, known by its parameters."""
        path = self.folder / "ran.txt"
        return Counter(path.read_text().split()) if path.exists() else Counter()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def search(project: Project):
    """Searches in the project with `ws`: `search(ws, trials=5)`."""
    import homeostat as hs

    def go(ws, objective="objective:bowl", **more):
        more = {"space": SPACE, "metric": "loss", "trials": 8, "project": str(project.folder), **more}
        return hs.tune(objective, ws=ws, **more)

    return go
