"""Artifacts of a store whose files lie on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from homeostat.core.errors import Unavailable
from homeostat.core.paths import inside


def folder_of(where: str) -> Path:
    """The folder that an artifact address names.

    Raises: Unavailable when it is not on this machine.

    >>> folder_of("file:///tmp/mlruns/0/ab/artifacts").as_posix()
    '/tmp/mlruns/0/ab/artifacts'
    """
    parts = urlsplit(where)
    if parts.scheme in ("", "file"):
        return Path(unquote(parts.path)) if parts.scheme else Path(where)
    raise Unavailable(
        f"the files at {where[:200]} cannot be read from here",
        hint="import from the running server, which can: homeostat import mlflow http://…",
    )


def list_files(where: str) -> Iterator[str]:
    """The paths of the files below, sorted; none when the folder is not there."""
    root = folder_of(where)
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(root).as_posix()


def open_file(where: str, path: str) -> BinaryIO:
    """One of the files."""
    return open(inside(folder_of(where), path), "rb")
