"""Every snippet of the README and of docs/ is executed, page by page, in a fresh folder.

- ```python blocks run one after another in one process; `title="name.py"` writes the block to that file instead.
- `print(…)  # text` must print that text; `…` in it stands for anything.
- ```console blocks run when each line with `$` calls `homeostat`; the others tell what to do with a checkout.
- `<!-- not run: why -->` before a block leaves it out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>python|console)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
SAID = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


def script_of(page: Path, folder: Path) -> tuple[str, list[str]]:
    """The page as one program whose line numbers are the page's, and what it must print. Writes titled blocks."""
    text = page.read_text("utf-8")
    lines = [""] * (text.count("\n") + 1)
    said: list[str] = []
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("code"))
        before = text[: block.start()].rstrip().rpartition("\n")[2]
        code = block["code"].replace("\n" + block["indent"], "\n") if block["indent"] else block["code"]
        if before.startswith("<!-- not run"):
            continue
        if block["file"]:
            (folder / block["file"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / block["file"]).write_text(code, "utf-8")
        elif block["kind"] == "python":
            lines[first : first + code.count("\n")] = code.splitlines()
            said += SAID.findall(code)
        else:
            commands = [line[2:].strip() for line in code.splitlines() if line.startswith("$ ")]
            if commands and all(command.startswith("homeostat ") for command in commands):
                for offset, line in enumerate(code.splitlines()):
                    if line.startswith("$ "):
                        lines[first + offset] = (
                            f"import subprocess; subprocess.run({line[2:]!r}, shell=True, check=True)"
                        )
    return "\n".join(lines), said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_runs_and_prints_what_it_says(page: Path, tmp_path: Path):
    folder, programs = tmp_path / "page", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (programs / "homeostat").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m homeostat.cli.main "$@"\n')
    (programs / "homeostat").chmod(0o755)
    script, said = script_of(page, folder)
    if not script.strip():
        pytest.skip("no snippets on this page")
    (tmp_path / page.name).write_text(script, "utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{folder}",
    }
    done = subprocess.run(
        [sys.executable, str(tmp_path / page.name)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    for expected in said:
        pattern = ".*".join(re.escape(part) for part in expected.split("…"))
        assert any(re.fullmatch(pattern, line) for line in printed), f"not printed: {expected}\n{done.stdout}"
