"""The pages on pipelines and tuning, executed block by block in a fresh folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python(?: title=\"(?P<file>[^\"]+)\")?\n(?P<code>.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["pipelines.md", "tuning.md"])
def test_every_snippet_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    script = ""
    expected = []
    for block in BLOCK.finditer((ROOT / "docs" / page).read_text()):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["code"])
        else:
            script += block["code"]
            expected += re.findall(r"^print\(.*\)  # (.*)$", block["code"], re.MULTILINE)
    (tmp_path / "script.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert [line for line in expected if line not in printed] == [], done.stdout
