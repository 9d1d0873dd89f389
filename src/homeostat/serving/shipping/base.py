"""A base image that lies here as an OCI layout: a folder, or an archive of one (`skopeo copy … oci-archive:`)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import Record
from homeostat.serving.shipping import oci

_MANIFESTS = (oci.MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
_LARGEST = 8 << 20


class BaseImage(Record):
    """What an image is built on: its layers, where their files lie, its config, the digest of its manifest."""

    digest: str
    layers: list[oci.Blob]
    blobs: Path
    config: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The variables it sets."""
        said = cast("list[str]", cast("dict[str, Any]", self.config.get("config") or {}).get("Env") or [])
        return {name: value for name, _, value in (one.partition("=") for one in said)}


@contextmanager
def open_base(path: Path, architecture: str) -> Generator[BaseImage]:
    """The image for `linux` and `architecture` (amd64, arm64) in the layout at `path`.

    Raises: NotFound when there is none; InvalidInput when it is not an image layout, or not for that architecture.
    """
    if not path.exists():
        raise NotFound(f"there is no base image at {path}", hint="skopeo copy docker://python:3.11-slim oci:DIR")
    if path.is_dir():
        yield _read(path, architecture)
        return
    with TemporaryDirectory(prefix="homeostat-base-") as scratch:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(scratch, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise InvalidInput(f"{path} is not an archive of an image layout: {error}") from error
        yield _read(Path(scratch), architecture)


def _read(root: Path, architecture: str) -> BaseImage:
    if not (root / "oci-layout").is_file() or not (root / "index.json").is_file():
        raise InvalidInput(f"{root} is not an OCI image layout", hint="skopeo copy docker://python:3.11-slim oci:DIR")
    blobs = root / "blobs" / "sha256"
    descriptor = _choose(_json(root / "index.json"), blobs, architecture, 0)
    manifest = _json(_blob(blobs, descriptor))
    layers = cast("list[dict[str, Any]]", manifest.get("layers") or [])
    config = _json(_blob(blobs, manifest.get("config") or {}))
    diff_ids = cast("list[str]", cast("dict[str, Any]", config.get("rootfs") or {}).get("diff_ids") or [])
    if len(diff_ids) != len(layers):
        raise InvalidInput("the base image's config and manifest name different numbers of layers")
    return BaseImage(
        digest=str(descriptor["digest"]), blobs=blobs, config=config,
        layers=[
            oci.Blob(media_type=_oci_type(str(layer["mediaType"])), digest=str(layer["digest"]),
                     size=_blob(blobs, layer).stat().st_size, diff_id=diff_id)
            for layer, diff_id in zip(layers, diff_ids, strict=True)
        ],
    )  # fmt: skip


def _choose(index: dict[str, Any], blobs: Path, architecture: str, depth: int) -> dict[str, Any]:
    """The manifest for the platform among those of an index, and of the indexes it names."""
    others: list[str] = []
    for one in cast("list[dict[str, Any]]", index.get("manifests") or []):
        platform = cast("dict[str, str]", one.get("platform") or {})
        if one.get("mediaType") not in _MANIFESTS and depth == 0:
            return _choose(_json(_blob(blobs, one)), blobs, architecture, 1)
        if platform.get("architecture", architecture) == architecture and platform.get("os", "linux") == "linux":
            return one
        others.append(f"{platform.get('os')}/{platform.get('architecture')}")
    raise InvalidInput(
        f"the base image is not for linux/{architecture}" + (f" but for {', '.join(others)}" if others else ""),
        hint=f"skopeo copy --override-arch {architecture} docker://python:3.11-slim oci:DIR",
    )


def _oci_type(said: str) -> str:
    # The same bytes under Docker's older name.
    return oci.LAYER if said == "application/vnd.docker.image.rootfs.diff.tar.gzip" else said


def _blob(blobs: Path, descriptor: dict[str, Any]) -> Path:
    digest = str(descriptor.get("digest", ""))
    name = digest.removeprefix("sha256:")
    if len(name) != 64 or not all(char in "0123456789abcdef" for char in name) or not (blobs / name).is_file():
        raise InvalidInput(f"the base image names {digest[:80] or 'nothing'}, which is not in its layout")
    return blobs / name


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise InvalidInput(f"'{path.name}' of the base image is too large to be what it should be")
    try:
        said: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"'{path.name}' of the base image is not JSON") from error
    if not isinstance(said, dict):
        raise InvalidInput(f"'{path.name}' of the base image holds no fields")
    return cast("dict[str, Any]", said)
