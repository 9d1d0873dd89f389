"""OCI images as a folder (`oci-layout`, `index.json`, `blobs/sha256`), written without a daemon.

The same contents give the same bytes: entries in the order of their names, no times, no owners, fixed headers. The
compressed bytes also depend on the zlib that Python was built with.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# The beginning of time: what does not differ cannot tell two builds apart.
CREATED = "1970-01-01T00:00:00Z"
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system
_LEVEL = 6
_CHUNK = 1 << 20


class Item(NamedTuple):
    """One entry of a layer: a file (bytes, or a path to read), a link (`link`) or a folder (neither)."""

    path: str
    source: bytes | Path | None = None
    mode: int = 0o644
    link: str = ""


class Blob(Record):
    """Something kept in a layout by its digest (`sha256:…`). `diff_id` is that of a layer before compression."""

    media_type: str
    digest: str
    size: int
    diff_id: str = ""

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """As manifests and indexes name it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


class LayoutWriter:
    """An image layout in the folder `root`, which must be new or empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)

    def add_layer(self, items: Iterable[Item]) -> Blob:
        """Write a layer with `items`, and the folders they lie in. Raises: InvalidInput for a path named twice."""
        with tempfile.NamedTemporaryFile(dir=self.root, delete=False) as file:
            sink = _Compressed(file)
            with tarfile.open(fileobj=cast("IO[bytes]", sink), mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for item in _with_folders(items):
                    _write(tar, item)
            sink.finish()
        path = self._blobs / sink.digest.hexdigest()
        shutil.move(file.name, path)
        path.chmod(0o644)
        return Blob(
            media_type=LAYER, digest=f"sha256:{path.name}", size=sink.size, diff_id=f"sha256:{sink.plain.hexdigest()}"
        )

    def add_json(self, value: dict[str, Any], media_type: str) -> Blob:
        """Keep a JSON document, keys in order and no blanks."""
        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self._blobs / digest).write_bytes(data)
        return Blob(media_type=media_type, digest=f"sha256:{digest}", size=len(data))

    def adopt(self, file: Path, blob: Blob) -> Blob:
        """Keep a copy of a blob that lies in another layout. Raises: InvalidInput when its bytes are not its own."""
        target = self._blobs / blob.digest.removeprefix("sha256:")
        hasher = hashlib.sha256()
        with file.open("rb") as source, target.open("wb") as copy:
            while chunk := source.read(_CHUNK):
                hasher.update(chunk)
                copy.write(chunk)
        if f"sha256:{hasher.hexdigest()}" != blob.digest:
            target.unlink()
            raise InvalidInput(f"the base image's {blob.digest[:19]}… is damaged", hint="fetch it again")
        return blob

    def finish(self, manifest: Blob, platform: dict[str, str], tag: str) -> None:
        """Name the image in the index. `tag` is what tools call it."""
        named = {"org.opencontainers.image.ref.name": tag}
        index = {"schemaVersion": 2, "mediaType": INDEX,
                 "manifests": [manifest.descriptor(platform=platform, annotations=named)]}  # fmt: skip
        (self.root / "index.json").write_text(json.dumps(index, sort_keys=True, separators=(",", ":")))
        (self.root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


class _Compressed:
    """Takes a tar, gives gzip: the digests of both on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = self._length = 0
        self.plain, self.digest = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        self._put(_GZIP_HEADER)

    def write(self, data: bytes) -> int:
        self.plain.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._put(self._deflate.compress(data))
        return len(data)

    def finish(self) -> None:
        self._put(self._deflate.flush() + struct.pack("<LL", self._crc, self._length & 0xFFFFFFFF))
        self._file.flush()

    def _put(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        self._file.write(data)


def _with_folders(items: Iterable[Item]) -> list[Item]:
    found: dict[str, Item] = {}
    for item in items:
        if item.path in found and found[item.path] != item:
            raise InvalidInput(f"two files of the image are called {item.path}")
        found[item.path] = item
    for path in list(found):
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            found.setdefault(folder, Item(folder, mode=0o755))
    return [found[path] for path in sorted(found)]


def _write(tar: tarfile.TarFile, item: Item) -> None:
    entry = tarfile.TarInfo(item.path)
    entry.mode = item.mode
    if item.link:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, item.link, 0o777
        tar.addfile(entry)
    elif item.source is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    elif isinstance(item.source, bytes):
        entry.size = len(item.source)
        tar.addfile(entry, io.BytesIO(item.source))
    else:
        entry.size = item.source.stat().st_size
        with item.source.open("rb") as file:
            tar.addfile(entry, file)


def file_item(path: str, source: Path) -> Item:
    """A file as it lies on disk; executable if it is, and nothing else of its rights."""
    executable = source.stat().st_mode & stat.S_IXUSR
    return Item(path, source, 0o755 if executable else 0o644)
