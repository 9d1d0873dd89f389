"""A project folder with a pipeline in it, and its counter of executions."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

import pytest

# Every test pipeline may say `ran("name")`: one line per execution, appended at once.
_HEAD = """
import os, time
from pathlib import Path
import homeostat as hs

def ran(what):
    with open(Path(__file__).parent / "ran.txt", "a") as file:
        file.write(what + "\\n")
"""


class Project:
    """A project whose files a test may rewrite between runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def __str__(self) -> str:
        return str(self.folder)

    def write(self, text: str, name: str = "pipeline.py", head: bool = True) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((_HEAD if head else "") + textwrap.dedent(text))

    def edit(self, before: str, after: str, name: str = "pipeline.py") -> None:
        text = (self.folder / name).read_text()
        assert before in text
        (self.folder / name).write_text(text.replace(before, after))

    @property
    def ran(self) -> Counter[str]:
        """How often each step was executed so far."""
        path = self.folder / "ran.txt"
        return Counter(path.read_text().split()) if path.exists() else Counter()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")
