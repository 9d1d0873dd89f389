"""Blobs as files in a folder: `ab/abcdef…`, written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import blake3

from homeostat.core.blobs import (
    BlobStore,
    Entry,
    Receiving,
    check_digest,
    damaged,
    digest_of,
    missing,
    sweep,
    temporary_name,
)
from homeostat.core.errors import StorageFull
from homeostat.core.parts import FolderParts, Parts
from homeostat.core.space import room_in

_CHUNK = 1 << 20
_GOING = "going-"


class LocalBlobs(BlobStore):
    """A blob store in the folder that `file:///…` names."""

    def __init__(self, url: str, home: Path) -> None:
        self._root = Path(unquote(urlsplit(url).path))
        self._incoming = self._root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._parts = FolderParts(self._root / "parts")
        sweep(self._incoming)  # what a process that was killed had not finished
        for aside in self._incoming.glob(f"{_GOING}*"):  # one that was killed while it removed these
            with contextlib.suppress(FileNotFoundError):
                os.rename(aside, self._path(aside.name.removeprefix(_GOING)))

    def put_bytes(self, data: bytes) -> str:
        digest = digest_of(data)
        try:
            os.utime(self._path(digest))  # young again: whoever collects garbage leaves it
        except FileNotFoundError:
            self._keep(lambda file: self._pour(file, data) or digest)
        return digest

    def put_file(self, path: str | os.PathLike[str]) -> str:
        def copy(file: BinaryIO) -> str:
            hasher = blake3.blake3()
            with open(path, "rb") as source:
                while chunk := source.read(_CHUNK):
                    hasher.update(chunk)
                    file.write(chunk)
            return hasher.hexdigest()

        return self._keep(copy)

    @property
    def parts(self) -> Parts:
        return self._parts

    def receive(self) -> Receiving:
        return Receiving(self, self._incoming)

    def adopt(self, path: Path, digest: str) -> None:
        target = self._path(digest)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
        _sync_folder(target.parent)

    def get_bytes(self, digest: str) -> bytes:
        data = self.local_path(digest).read_bytes()
        if digest_of(data) != digest:
            raise damaged(digest)
        return data

    def local_path(self, digest: str) -> Path:
        path = self._path(digest)
        if not path.is_file():
            raise missing(digest)
        return path

    def exists(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def digests(self) -> Iterator[str]:
        return (path.name for path in self._root.glob("[0-9a-f][0-9a-f]/*") if len(path.name) == 64)

    def entries(self) -> Iterator[Entry]:
        for digest in self.digests():
            with contextlib.suppress(FileNotFoundError):  # removed since
                found = self._path(digest).stat()
                yield Entry(digest=digest, size=found.st_size, put_ms=found.st_mtime_ns // 1_000_000)

    def remove(self, digest: str, before_ms: int) -> bool:
        path, aside = self._path(digest), self._incoming / f"{_GOING}{digest}"
        try:
            if path.stat().st_mtime_ns // 1_000_000 >= before_ms:
                return False
            # Set aside first: who puts it from here on writes it anew, and who did just before is seen by its age.
            os.rename(path, aside)
        except FileNotFoundError:
            return False
        if aside.stat().st_mtime_ns // 1_000_000 >= before_ms:
            os.rename(aside, path)
            return False
        aside.unlink(missing_ok=True)
        return True

    def _path(self, digest: str) -> Path:
        return self._root / check_digest(digest)[:2] / digest

    @staticmethod
    def _pour(file: BinaryIO, data: bytes) -> None:
        file.write(data)

    def _keep(self, fill: Callable[[BinaryIO], str]) -> str:
        """Write through `fill` under a temporary name, then give it the name of its content."""
        temporary = self._incoming / temporary_name()
        try:
            with room_in(self._root):
                with open(temporary, "xb") as file:
                    digest = fill(file)
                    file.flush()
                    os.fsync(file.fileno())
                self.adopt(temporary, digest)
        except (OSError, StorageFull):
            temporary.unlink(missing_ok=True)
            raise
        return digest


def _sync_folder(folder: Path) -> None:
    # A rename is on disk only when its folder is.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
