"""`model.json`, a package's table of contents: read and checked."""

from __future__ import annotations

from homeostat.core.blobs import Tree
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import from_json
from homeostat.core.workspace import Workspace
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
