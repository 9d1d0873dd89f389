"""Where a version's files come from: the registry's package, checked byte for byte, unpacked once per machine."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import Corrupt, NotFound
from homeostat.core.workspace import Workspace
from homeostat.registry import ModelVersion, get_version
from homeostat.serving.loaded import LoadedVersion, load
from homeostat.serving.model import Deployment
from homeostat.serving.package import read_package


def load_version(ws: Workspace, deployment: Deployment, version: int) -> LoadedVersion:
    """The version of the deployed model, ready to answer. Takes as long as loading takes: not for the event loop.

    Raises: NotFound, Corrupt, Refused, or what the model's own loading raises.
    """
    found = get_version(ws, deployment.model, version)
    folder = unpack(ws, found)
    recorded = found.files[read_package(folder).file] if made_here(ws, found) else None
    return load(folder, deployment.model, version, key=deployment.key, time=deployment.time, recorded=recorded)


def made_here(ws: Workspace, version: ModelVersion) -> bool:
    """Whether a run of this workspace has made the version: only then is its code run here."""
    if version.run_id is None:
        return False
    from homeostat.tracking import get_run

    try:
        get_run(ws, version.run_id)
    except NotFound:
        return False
    return True


def unpack(ws: Workspace, version: ModelVersion) -> Path:
    """The folder with the version's files, each with the digest that the registry recorded."""
    cache = ws.home / "cache" / "models"
    folder = cache / version.digest
    if folder.is_dir() and _intact(folder, version):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpacking-") as scratch:
        fresh = ws.blobs.materialise_tree(version.digest, Path(scratch) / "package")
        if not _intact(fresh, version):
            raise Corrupt(
                f"the files of model '{version.model}' version {version.version} are not those that were registered",
                hint="`homeostat doctor` looks for damage",
            )
        _put(fresh, folder, version)
    return folder


def _put(fresh: Path, folder: Path, version: ModelVersion) -> None:
    """Move `fresh` to `folder`. Whoever was there first stays: somebody may be reading it, unless it is damaged."""
    try:
        fresh.rename(folder)
    except OSError:
        if _intact(folder, version):
            return
        with suppress(FileNotFoundError):  # another process has just moved it aside
            folder.rename(fresh.with_name("damaged"))
        try:
            fresh.rename(folder)
        except OSError:
            if not _intact(folder, version):
                raise


def _intact(folder: Path, version: ModelVersion) -> bool:
    return all(
        (folder / name).is_file() and digest_of_file(folder / name) == digest for name, digest in version.files.items()
    )
