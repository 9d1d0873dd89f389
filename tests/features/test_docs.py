"""The page on features, executed in a fresh folder: it runs, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_snippet_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "features.md").read_text(), re.DOTALL)
    script = "\n".join(blocks)
    expected = re.findall(r"^print\(.*\)  # (.*)$", script, re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(expected) >= 5
    assert [line for line in expected if line not in done.stdout.splitlines()] == [], done.stdout
