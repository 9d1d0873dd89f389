"""The files of a version, checked byte for byte, unpacked once per machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import Corrupt
from homeostat.core.workspace import Workspace
from homeostat.registry import ModelVersion


def unpack(ws: Workspace, version: ModelVersion) -> Path:
    """The folder with the version's files, each with the digest that the registry recorded."""
    cache = ws.home / "cache" / "models"
    folder = cache / version.digest
    if intact(folder, version.files):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpacking-") as scratch:
        fresh = ws.blobs.materialise_tree(version.digest, Path(scratch) / "package")
        if not intact(fresh, version.files):
            raise Corrupt(
                f"the files of model '{version.model}' version {version.version} are not those that were registered",
                hint="`homeostat doctor` looks for damage",
            )
        put(fresh, folder, lambda there: intact(there, version.files))
    return folder


def put(fresh: Path, folder: Path, whole: Callable[[Path], bool]) -> None:
    """Move `fresh` to `folder`. Whoever was there first stays: somebody may be reading it, unless it is damaged."""
    try:
        fresh.rename(folder)
    except OSError:
        if whole(folder):
            return
        with suppress(FileNotFoundError):  # another process has just moved it aside
            folder.rename(fresh.with_name("damaged"))
        try:
            fresh.rename(folder)
        except OSError:
            if not whole(folder):
                raise


def intact(folder: Path, files: dict[str, str]) -> bool:
    """Whether `folder` holds the `files`, each with its digest."""
    return all((folder / name).is_file() and digest_of_file(folder / name) == digest for name, digest in files.items())
