"""The source files beside a script, as they were when it ran."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from homeostat.core.blobs import digest_of, digest_of_file
from homeostat.core.paths import inside
from homeostat.core.records import canonical_json

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

SUFFIXES = {
    ".py",
    ".pyx",
    ".ipynb",
    ".yaml",
    ".yml",
    ".toml",
    ".json",
    ".cfg",
    ".ini",
    ".txt",
    ".md",
    ".sh",
    ".sql",
    ".r",
}
_LEAVE = {"__pycache__", "node_modules", "venv", "site-packages", "build", "dist"}
_MOST_FILES, _MOST_BYTES = 500, 1 << 20
FOLDER = "source"


def source_files(project: Path, script: Path) -> list[str]:
    """What is kept of a project, as relative paths: text of at most 1 MiB a file, 500 files; the script always.

    In a git checkout what git does not ignore, elsewhere what is not hidden.
    """
    names = _git_files(project) or _walked(project)
    chosen = [
        name
        for name in sorted(names)
        if Path(name).suffix.lower() in SUFFIXES
        and (path := project / name).is_file()
        and not path.is_symlink()
        and path.stat().st_size <= _MOST_BYTES
    ]
    first = script.relative_to(project).as_posix()
    return [first, *[name for name in chosen if name != first][: _MOST_FILES - 1]]


def digest_of_sources(project: Path, names: list[str]) -> str:
    """One name for the contents of these files."""
    return digest_of(canonical_json({name: digest_of_file(project / name) for name in names}).encode())


def fetch_sources(ws: Workspace, run_id: str, target: Path) -> list[str]:
    """Write the sources that a run kept below `target`; their paths."""
    names: list[str] = []
    for artifact in ws.tracking.list_artifacts(run_id):
        folder, _, name = artifact.path.partition("/")
        if folder == FOLDER and name:
            path = inside(target, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ws.tracking.read_artifact(run_id, artifact.path))
            names.append(name)
    return names


def _git_files(project: Path) -> list[str]:
    try:
        told = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=project, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [name for name in told.stdout.decode("utf-8", "replace").split("\0") if name] if not told.returncode else []


def _walked(project: Path, depth: int = 6) -> list[str]:
    found: list[str] = []
    level = [project]
    for _ in range(depth):
        below: list[Path] = []
        for folder in level:
            for path in sorted(folder.iterdir()):
                if path.name.startswith(".") or path.name in _LEAVE or path.is_symlink():
                    continue
                if path.is_dir():
                    below.append(path)
                elif len(found) < 20 * _MOST_FILES:
                    found.append(path.relative_to(project).as_posix())
        level = below
    return found
