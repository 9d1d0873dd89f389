"""A package's files: into the store, out of it, on this machine or across the wire."""

from __future__ import annotations

import os
from pathlib import Path

from homeostat.core.blobs import File, Tree, digest_of
from homeostat.core.errors import Corrupt, InvalidInput, NotFound
from homeostat.core.paths import inside
from homeostat.core.records import canonical_json, from_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import RemoteWorkspace, Workspace
from homeostat.registry.model import Package

MANIFEST = "model.json"


def read_manifest(ws: Workspace, digest: str) -> tuple[Package, Tree]:
    """The package that a tree digest names. Raises: NotFound, or InvalidInput when it is no package."""
    tree = ws.blobs.get_tree(digest)
    if MANIFEST not in tree.files:
        raise InvalidInput(
            f"the tree {digest[:12]}… is not a model package: it has no {MANIFEST}",
            hint="make one with homeostat.package_model(…), or use homeostat.log_model(…)",
        )
    package = parse_manifest(ws.blobs.get_bytes(tree.files[MANIFEST].digest))
    for name in (package.file, package.onnx.file, package.sample):
        if name is not None and name not in tree.files:
            raise InvalidInput(f"the package {digest[:12]}… names '{name}' and does not hold it")
    for name, file in tree.files.items():
        if not ws.blobs.exists(file.digest):
            raise NotFound(f"the bytes of '{name}' of the package {digest[:12]}… are not kept here", hint="upload them")
    return package, tree


def parse_manifest(data: bytes) -> Package:
    """`model.json` as a record. Raises InvalidInput for another format or what does not fit."""
    package = from_json(data, Package)
    if package.format != 1:
        raise InvalidInput(
            f"the package has format {package.format}; this version reads format 1", hint="pip install -U homeostat"
        )
    return package


@verb(permission="registry:write")
def upload(ws: Workspace, data: bytes) -> str:
    """Keep the bytes of one file of a package; their digest. What `put_package` sends to a server."""
    return ws.blobs.put_bytes(data)


@verb(permission="registry:read")
def read_file(ws: Workspace, model: str, version: int, path: str) -> bytes:
    """The bytes of one file of a version's package, such as `model.json`."""
    from homeostat.registry.versions import get_version

    found = get_version(ws, model, version)
    if path not in found.files:
        raise NotFound(
            f"version {version} of '{model}' has no file '{path[:200]}'", hint=f"it has {', '.join(found.files)}"
        )
    return ws.blobs.get_bytes(found.files[path])


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
    ws: Workspace, model: str, version: int | None = None, dest: str | os.PathLike[str] = ".", alias: str | None = None
) -> Path:
    """Write the files of a version below `dest`, each checked against its digest; the folder.

    `version` and `alias` as in `get_version`. Works against a server too.
    """
    found = ws.registry.get_version(model, version, alias)
    target = Path(dest)
    if not isinstance(ws, RemoteWorkspace):
        return ws.blobs.materialise_tree(found.digest, target)
    for name, digest in found.files.items():
        data: bytes = ws.registry.read_file(model, found.version, name)
        if digest_of(data) != digest:
            raise Corrupt(f"'{name}' of '{model}' version {found.version} arrived damaged", hint="fetch it again")
        path = inside(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return target
