"""OCI image layouts read by the specification, independently of what writes them; and a small one to build on."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

TYPES = "application/vnd.oci.image"


class ImageLayout:
    """An image in a layout: everything the specification says of one is checked on the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
        self.index = json.loads((root / "index.json").read_text())
        assert self.index["schemaVersion"] == 2
        (self.described,) = self.index["manifests"]
        self.named = {self.described["digest"]}
        self.manifest = self.read(self.described, f"{TYPES}.manifest.v1+json")
        assert self.manifest["schemaVersion"] == 2
        self.config = self.read(self.manifest["config"], f"{TYPES}.config.v1+json")
        platform = {"architecture": self.config["architecture"], "os": self.config["os"]}
        assert self.described["platform"] == platform
        self.layers = [self.unpack(layer) for layer in self.manifest["layers"]]
        assert self.config["rootfs"]["type"] == "layers"
        assert [hashlib.sha256(layer).hexdigest() for layer in self.layers] == [
            one.removeprefix("sha256:") for one in self.config["rootfs"]["diff_ids"]
        ]
        filled = [one for one in self.config.get("history", []) if not one.get("empty_layer")]
        assert len(filled) == len(self.layers)
        kept = {f"sha256:{path.name}" for path in (root / "blobs" / "sha256").iterdir()}
        assert kept == self.named, "nothing lies in it that nothing names"

    def blob(self, described: dict[str, Any]) -> bytes:
        data = (self.root / "blobs" / "sha256" / described["digest"].removeprefix("sha256:")).read_bytes()
        assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (described["size"], described["digest"])
        self.named.add(described["digest"])
        return data

    def read(self, described: dict[str, Any], media_type: str) -> dict[str, Any]:
        assert described["mediaType"] == media_type
        return json.loads(self.blob(described))

    def unpack(self, described: dict[str, Any]) -> bytes:
        assert described["mediaType"] == f"{TYPES}.layer.v1.tar+gzip"
        return gzip.decompress(self.blob(described))

    def entries(self, layer: int) -> dict[str, tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(self.layers[layer])) as tar:
            return {entry.name: entry for entry in tar}

    def extract(self, dest: Path) -> Path:
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                tar.extractall(dest, filter="tar")
        return dest


def write_base(root: Path, python: str, architecture: str, nested: bool = True, file: str = "bin/sh") -> Path:
    """A base image with one layer, named through an index of its own as `skopeo` leaves images of several platforms."""
    blobs = root / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def keep(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        entry = tarfile.TarInfo(file)
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"sh"))
    layer = keep(gzip.compress(tarred.getvalue(), mtime=0), "application/vnd.docker.image.rootfs.diff.tar.gzip")
    config = {
        "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/bin", f"PYTHON_VERSION={python}"], "Labels": {"maintainer": "somebody"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tarred.getvalue()).hexdigest()}"]},
        "history": [{"created_by": "COPY"}, {"created_by": "ENV", "empty_layer": True}],
    }  # fmt: skip
    described = keep(json.dumps(config).encode(), "application/vnd.docker.container.image.v1+json")
    manifest = {"schemaVersion": 2, "config": described, "layers": [layer]}
    image = keep(json.dumps(manifest).encode(), f"{TYPES}.manifest.v1+json")
    image["platform"] = {"architecture": architecture, "os": "linux"}
    if nested:
        other = {**image, "platform": {"architecture": "s390x", "os": "linux"}}
        image = keep(json.dumps({"schemaVersion": 2, "manifests": [other, image]}).encode(), f"{TYPES}.index.v1+json")
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [image]}))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return root
