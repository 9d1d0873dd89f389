"""Assembles changelog.d/ into CHANGELOG.md for a release: `python tools/changelog.py 0.2.0`.

A fragment is `NAME.KIND.md` with KIND one of added, changed, fixed, removed. Without a version the text is only shown.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = ("added", "changed", "fixed", "removed")
HEAD = "# Changelog\n\nWhat users see change, newest first.\n"


def fragments() -> list[Path]:
    """The fragments; refuses one whose name has no kind."""
    found = sorted((ROOT / "changelog.d").glob("*.md"))
    for path in found:
        if path.name.split(".")[-2] not in KINDS:
            sys.exit(f"{path.name}: name it NAME.KIND.md, KIND one of {', '.join(KINDS)}")
    return found


def section(version: str, found: list[Path]) -> str:
    """The text of one release."""
    parts = [f"## {version} ({time.strftime('%Y-%m-%d')})\n"]
    for kind in KINDS:
        texts = [path.read_text("utf-8").strip() for path in found if path.name.split(".")[-2] == kind]
        if texts:
            lines = "\n".join(text if text.startswith("- ") else f"- {text}" for text in texts)
            parts.append(f"### {kind.capitalize()}\n\n{lines}\n")
    return "\n".join(parts)


def main() -> None:
    found = fragments()
    if len(sys.argv) < 2:
        sys.stdout.write(section("Unreleased", found))
        return
    file = ROOT / "CHANGELOG.md"
    old = file.read_text("utf-8").removeprefix(HEAD) if file.is_file() else ""
    file.write_text(f"{HEAD}\n{section(sys.argv[1], found)}{old}", "utf-8")
    for path in found:
        path.unlink()


if __name__ == "__main__":
    main()
