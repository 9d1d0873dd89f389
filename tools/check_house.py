"""The rules of this house that no ready-made linter knows. One line a breach, exit code 1.

Sizes of files, classes and functions; names that say nothing; addresses of package registries and paths of one
machine in what is committed; slices without a door; everything the product names (verbs, settings, events, errors)
mentioned in docs/.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_LINES = 1000
MOST_CLASS = 400
VAGUE = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "base_utils", "shared", "stuff"}
LOCKS = {"web/package-lock.json"}

# Split, so that this file does not trip over itself.
_HOSTS = "|".join(("pypi[.]org", "pythonhosted[.]org", "registry[.]npmjs", "npmjs[.]org", "deb[.]debian"))
REGISTRY = re.compile(rf"https?://[^\s\"']*({_HOSTS})|--(extra-)?index-url|\"resolved\":", re.IGNORECASE)
MACHINE = re.compile(r"(?<![\w.~])/(work|root|home/[a-z]\w*)/(?!\.\.)\w")


def tracked() -> list[Path]:
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in told.split("\0") if name and (ROOT / name).is_file()]


def sizes(path: Path, tree: ast.Module, lines: int) -> Iterator[str]:
    if lines > MOST_LINES:
        yield f"{lines} lines; {MOST_LINES} is the most. Which second concept does it hold?"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MOST_CLASS:
                yield f"class {node.name} has {length} lines; {MOST_CLASS} is the most"


def python_files(files: list[Path]) -> Iterator[str]:
    for path in files:
        if path.suffix != ".py":
            continue
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        for complaint in sizes(path, ast.parse(text), text.count("\n")):
            yield f"{name}: {complaint}"
        if path.stem.lstrip("_") in VAGUE or path.parent.name in VAGUE:
            yield f"{name}: the name says nothing; what is it about?"


def texts(files: list[Path]) -> Iterator[str]:
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path.suffix in (".ts", ".tsx", ".css") and text.count("\n") > MOST_LINES:
            yield f"{name}: {text.count(chr(10))} lines; {MOST_LINES} is the most"
        for pattern, what in ((REGISTRY, "the address of a package registry"), (MACHINE, "a path of one machine")):
            if found := pattern.search(text):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{name}:{line}: {what} ({found[0][:60]!r})"


def documented() -> Iterator[str]:
    from homeostat.core.errors import HomeostatError
    from homeostat.core.settings import SETTINGS
    from homeostat.core.slices import SLICES
    from homeostat.core.verbs import verbs_of
    from homeostat.events import EVENTS

    docs = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_-]*", docs))
    for setting in SETTINGS:
        if setting.variable not in words:
            yield f"docs: the setting {setting.variable} is not mentioned"
    for event in EVENTS:
        if event not in words:
            yield f"docs: the event {event} is not mentioned"
    for error in every(HomeostatError):
        if error.__name__ not in words:
            yield f"docs: the error {error.__name__} is not mentioned"
    for name in SLICES:
        if not (ROOT / "src" / "homeostat" / name / "__init__.py").is_file():
            yield f"src/homeostat/{name}: a slice that is named and not there"
            continue
        for verb in verbs_of(name).values():
            if verb.name not in words and verb.name.replace("_", "-") not in words:
                yield f"docs: the verb {name}.{verb.name} is not mentioned"
            if not verb.help:
                yield f"{name}.{verb.name}: no help; write a docstring"


def every(root: type) -> Iterator[type]:
    yield root
    for child in root.__subclasses__():
        yield from every(child)


def main() -> int:
    files = tracked()
    complaints = [*python_files(files), *texts([f for f in files if f != Path(__file__)]), *documented()]
    for complaint in complaints:
        print(complaint)
    print(f"{len(files)} files, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
