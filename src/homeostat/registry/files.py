"""A package's files: into the store, out of it, on this machine or across the wire."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from homeostat.core.blobs import File, digest_of
from homeostat.core.errors import Corrupt, NotFound, Refused
from homeostat.core.paths import inside
from homeostat.core.records import canonical_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import RemoteWorkspace, Workspace
from homeostat.registry.mlmodel_form import version_files
from homeostat.registry.versions import get_version

Form = Literal["package", "mlflow"]


@verb(permission="registry:write")
def upload(ws: Workspace, data: bytes) -> str:
    """Keep the bytes of one file of a package; their digest. What `put_package` sends to a server."""
    return ws.blobs.put_bytes(data)


@verb(permission="registry:read")
def list_files(ws: Workspace, model: str, version: int, form: Form = "package") -> dict[str, str]:
    """The digest of each file of a version, by path: of its package, or of its form as an MLflow model."""
    found = get_version(ws, model, version)
    if form == "package":
        return found.files
    files = version_files(ws, found)
    if not files:
        raise Refused(f"version {version} of '{model}' lies at {found.source}", hint="fetch it there")
    return {path: file.digest for path, file in files.items()}


@verb(permission="registry:read")
def read_file(ws: Workspace, model: str, version: int, path: str, form: Form = "package") -> bytes:
    """The bytes of one file of a version's package, such as `model.json`, or of its form as an MLflow model."""
    files = list_files(ws, model, version, form)
    if path not in files:
        raise NotFound(f"version {version} of '{model}' has no file '{path[:200]}'", hint=f"it has {', '.join(files)}")
    return ws.blobs.get_bytes(files[path])


def put_package(ws: Workspace, folder: str | os.PathLike[str]) -> str:
    """Keep a package's folder in the workspace, here or behind a server; the digest that `register` takes."""
    if not isinstance(ws, RemoteWorkspace):
        return ws.blobs.put_tree(folder).digest
    root = Path(folder)
    files: dict[str, File] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        files[path.relative_to(root).as_posix()] = File(digest=ws.registry.upload(data), size=len(data))
    return ws.registry.upload(canonical_json(files).encode())


def fetch(
    ws: Workspace,
    model: str,
    version: int | None = None,
    dest: str | os.PathLike[str] = ".",
    alias: str | None = None,
    form: Form = "package",
) -> Path:
    """Write the files of a version below `dest`, each checked against its digest; the folder.

    `version` and `alias` as in `get_version`. With `form="mlflow"` it is a folder that `mlflow.pyfunc.load_model` and
    the flavor's own loader read. Works against a server too.
    """
    found = ws.registry.get_version(model, version, alias)
    target = Path(dest)
    if form == "package" and not isinstance(ws, RemoteWorkspace):
        return ws.blobs.materialise_tree(found.digest, target)
    files: dict[str, str] = ws.registry.list_files(model, found.version, form)
    for name, digest in files.items():
        data: bytes = ws.registry.read_file(model, found.version, name, form)
        if digest_of(data) != digest:
            raise Corrupt(f"'{name}' of '{model}' version {found.version} arrived damaged", hint="fetch it again")
        path = inside(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return target
