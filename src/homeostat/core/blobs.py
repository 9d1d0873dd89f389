"""Bytes, addressed by what they are: BLAKE3 of the content names it, so the same bytes are kept once.

A store is nine methods; trees (folders) are built on them here. Promises, checked by `homeostat.testing.blobs`:
bytes appear whole or not at all; putting what is there already costs no second copy; `get_bytes` of damaged content
raises Corrupt; concurrent puts of one content are harmless.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import blake3

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.liveness import is_alive, this_process
from homeostat.core.parts import Parts
from homeostat.core.paths import inside
from homeostat.core.records import Record, canonical_json, from_json
from homeostat.core.space import room_in

_CHUNK = 1 << 20
_ADVISE = getattr(os, "posix_fadvise", None)  # where there is none, `keep` waits longer


class File(Record):
    """A file of a tree: its content's digest and size in bytes."""

    digest: str
    size: int


class Tree(Record):
    """A folder: relative paths with `/`, each with its content. `digest` names the tree as a whole."""

    digest: str
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files.values())


def digest_of(data: bytes) -> str:
    """The name of `data`: 64 hexadecimal digits of BLAKE3.

    >>> digest_of(b"")[:16]
    'af1349b9f5f9a1a6'
    """
    return blake3.blake3(data).hexdigest()


def digest_of_file(path: str | os.PathLike[str]) -> str:
    """The name of a file's content, read in pieces."""
    hasher = blake3.blake3()
    with open(path, "rb") as source:
        while chunk := source.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def check_digest(digest: str) -> str:
    """`digest` if it has the shape of one; it may then be used in paths."""
    if len(digest) != 64 or any(char not in "0123456789abcdef" for char in digest):
        raise InvalidInput(f"{digest[:80]!r} is not a digest", hint="64 hexadecimal digits", digest=digest[:80])
    return digest


def temporary_name() -> str:
    """A name for a file that is being written; it tells which process writes it."""
    return quote(this_process(), safe="")


def sweep(folder: Path) -> None:
    """Remove the files in `folder` with a `temporary_name` whose process was of this machine and is gone."""
    for path in folder.iterdir():
        if not is_alive(unquote(path.name)):
            path.unlink(missing_ok=True)


class Receiving:
    """A file on its way into a store: `write` its pieces, then `keep` it, or `drop` it. Not for several threads."""

    def __init__(self, store: BlobStore, folder: Path) -> None:
        self._store = store
        self._path = folder / temporary_name()
        self._hasher = blake3.blake3()
        self.size = 0
        with room_in(folder):
            self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115 - open until it is kept or dropped

    def write(self, data: bytes | bytearray) -> None:
        """Add `data` at the end. Raises: StorageFull."""
        self._hasher.update(data)
        view = memoryview(data)
        with room_in(self._path.parent):
            while view:
                view = view[self._file.write(view) :]
        if _ADVISE:
            # To the disk with it while the next piece arrives, so that `keep` has little left to wait for.
            _ADVISE(self._file.fileno(), self.size, len(data), os.POSIX_FADV_DONTNEED)
        self.size += len(data)

    @property
    def digest(self) -> str:
        """That of what has been written so far."""
        return self._hasher.hexdigest()

    def keep(self) -> File:
        """All pieces are there: their digest and size, once they are on disk. Raises: StorageFull."""
        try:
            with room_in(self._path.parent):
                os.fsync(self._file.fileno())
                self._file.close()
                digest = self.digest
                self._store.adopt(self._path, digest)
        finally:
            self.drop()
        return File(digest=digest, size=self.size)

    def drop(self) -> None:
        """Forget what was written; nothing after `keep`."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Entry(Record):
    """What is kept under a digest: bytes, and when it was put last."""

    digest: str
    size: int
    put_ms: int


class BlobStore(ABC):
    """A store of content-addressed bytes."""

    @abstractmethod
    def put_bytes(self, data: bytes) -> str:
        """Keep `data`; its digest."""

    @abstractmethod
    def put_file(self, path: str | os.PathLike[str]) -> str:
        """Keep the content of the file at `path`; its digest."""

    @abstractmethod
    def get_bytes(self, digest: str) -> bytes:
        """The content. Raises NotFound, or Corrupt when it no longer has its digest."""

    @abstractmethod
    def local_path(self, digest: str) -> Path:
        """A local file with the content, not to be written to. Raises NotFound."""

    @abstractmethod
    def exists(self, digest: str) -> bool:
        """Whether the content is kept here."""

    @abstractmethod
    def digests(self) -> Iterator[str]:
        """The digest of everything kept here, in no order; what is put meanwhile may be among them."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """As `digests`, with size and age. Putting bytes that are there already makes them young again."""

    @abstractmethod
    def remove(self, digest: str, before_ms: int) -> bool:
        """Remove what was put last before `before_ms`; False when it is younger, or not there.

        Whoever puts the same bytes at the same moment has them kept.
        """

    def beginning(self, digest: str) -> bytes:
        """The first byte of what is kept, or none. Raises NotFound."""
        with self.local_path(digest).open("rb") as file:
            return file.read(1)

    @property
    @abstractmethod
    def parts(self) -> Parts:
        """Where a file waits whose parts arrive one by one, several at a time, in any order."""

    @property
    def signs(self) -> bool:
        """Whether `address` gives any: whether the store can be asked without this machine."""
        return False

    def address(self, digest: str, seconds: int) -> str:
        """Where anybody may read the content for so long, of a store that `signs`. Raises NotFound."""
        raise missing(digest)

    def receive(self) -> Receiving:
        """A file that arrives in pieces; where bytes lie on this machine it is written once only."""
        return Receiving(self, Path(tempfile.gettempdir()))

    def adopt(self, path: Path, digest: str) -> None:
        """Keep the file at `path`, whose content has `digest` and is on disk; the file itself goes."""
        self.put_file(path)
        path.unlink(missing_ok=True)

    def put_tree(self, folder: str | os.PathLike[str]) -> Tree:
        """Keep every regular file below `folder`; links are refused."""
        root = Path(folder)
        files: dict[str, File] = {}
        for path in sorted(root.rglob("*")):
            if path.is_symlink():
                raise InvalidInput(f"{path} is a link; a tree holds files only", hint="copy what it points to")
            if path.is_file():
                relative = path.relative_to(root).as_posix()
                inside(root, relative)
                files[relative] = File(digest=self.put_file(path), size=path.stat().st_size)
        digest = self.put_bytes(canonical_json(files).encode())
        return Tree(digest=digest, files=files)

    def get_tree(self, digest: str) -> Tree:
        """The tree that `digest` names."""
        return Tree(digest=digest, files=from_json(self.get_bytes(digest), dict[str, File]))

    def materialise_tree(self, digest: str, destination: str | os.PathLike[str]) -> Path:
        """Write the tree's files below `destination`, which is made; each is checked against its digest."""
        target = Path(destination)
        target.mkdir(parents=True, exist_ok=True)
        for relative, file in self.get_tree(digest).files.items():
            path = inside(target, relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.local_path(file.digest), path)
            if digest_of_file(path) != file.digest:
                path.unlink()
                raise damaged(file.digest)
        return target


def damaged(digest: str) -> Exception:
    """The error for content that no longer has its digest."""
    from homeostat.core.errors import Corrupt

    return Corrupt(
        f"the bytes kept as {digest[:12]}… are damaged",
        hint="`homeostat doctor` lists what they belong to",
        digest=digest,
    )


def missing(digest: str) -> NotFound:
    """The error for content that is not kept."""
    return NotFound(f"no bytes are kept as {digest[:12]}…", digest=digest)
