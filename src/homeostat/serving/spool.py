"""The spool: append-only files that hold predictions durably until they are folded into the repository.

A file is a sequence of frames: magic, length, CRC-32, then MessagePack. What a crash leaves behind the last whole
frame is ignored; no writer ever appends to a file that another process wrote. The writer holds an exclusive lock on
its file, so that others can tell a file that may still grow from one that is finished.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from homeostat.core.clock import now_ms

T = TypeVar("T")
MAGIC = b"HPL1"
_HEAD = struct.Struct("<4sII")
# A file is finished, so that it can be folded, at this size; or at this age, if it is not tiny.
ROTATE_BYTES = 32 << 20
_ROTATE_S, _TINY_BYTES, _ROTATE_TINY_S = 60, 1 << 20, 600


class Block(msgspec.Struct, array_like=True, gc=False):
    """Columns of one datatype: `names` of the columns in a row of shape `tail`, all rows' bytes."""

    names: list[str]
    datatype: str
    tail: list[int]
    data: bytes


class Batch(msgspec.Struct, array_like=True, gc=False):
    """Predictions of one model version. Per request: `ids`, `counts` (uint32 rows), `roles` (uint8), `latency_us`
    (uint32), `logged_ms` (int64). Per row: `keys` (or None), `times` (int64, or None), blocks of inputs and outputs.
    """

    model: str
    version: int
    status: int
    ids: list[str]
    counts: bytes
    roles: bytes
    latency_us: bytes
    logged_ms: bytes
    keys: list[str | int | None] | None
    times: bytes | None
    inputs: list[Block]
    outputs: list[Block]


class RawBlock(msgspec.Struct, array_like=True, gc=False):
    """A `Block` whose bytes are read when they are wanted."""

    names: list[str]
    datatype: str
    tail: list[int]
    data: msgspec.Raw

    def bytes(self) -> bytes:
        """The rows' bytes."""
        return _decode_bytes(self.data)


class Timings(msgspec.Struct, array_like=True, gc=False):
    """A `Batch` for who asks only when and how fast it was answered: ids, keys and columns are not taken apart."""

    model: str
    version: int
    status: int
    ids: msgspec.Raw
    counts: bytes
    roles: bytes
    latency_us: bytes
    logged_ms: bytes
    keys: msgspec.Raw
    times: msgspec.Raw
    inputs: msgspec.Raw
    outputs: list[RawBlock]


_decode = msgspec.msgpack.Decoder(Batch).decode
_decode_bytes = msgspec.msgpack.Decoder(bytes).decode
_decode_timings = msgspec.msgpack.Decoder(Timings).decode


def encoded(batch: Batch) -> bytes:
    """The body of a batch's frame."""
    return msgspec.msgpack.encode(batch)


def sealed(body: bytes) -> bytes:
    """The frame around a body. Of a long one, other threads run while it is summed up."""
    return _HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body


def frame(batch: Batch) -> bytes:
    """The bytes of one batch in the file."""
    return sealed(encoded(batch))


class SpoolWriter:
    """Appends to one file after another. Not thread-safe: one thread owns it."""

    def __init__(self, folder: Path, plane: str, rotate_bytes: int = ROTATE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._plane = plane
        self._rotate_bytes = rotate_bytes
        self._sequence = 0
        self._began_ms = now_ms()
        self._file: int | None = None
        self._size = 0
        self._opened = 0.0

    def write(self, data: bytes) -> None:
        """Append frames. Raises OSError (disk full); what was written in part is taken back."""
        if self._file is None or self._size >= self._rotate_bytes:
            self.rotate()
            self._file = self._open()
            self._opened = time.monotonic()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def sync(self) -> None:
        """Return when everything written is on disk."""
        if self._file is not None:
            os.fdatasync(self._file)

    def rotate_if_old(self) -> None:
        """Finish the file at hand when it has been open for long enough."""
        age = time.monotonic() - self._opened
        if self._size and age > (_ROTATE_S if self._size >= _TINY_BYTES else _ROTATE_TINY_S):
            self.rotate()

    def rotate(self) -> None:
        """Finish the file at hand: from now on it may be folded."""
        if self._file is not None:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = None
            self._size = 0

    def _open(self) -> int:
        while True:
            # A name is never used again, not even by a later process of the same number: a fold knows files by name.
            name = f"{self._plane}-{self._began_ms}-{os.getpid()}-{self._sequence:06d}.spool"
            self._sequence += 1
            if (self._folder / name).exists():
                continue
            # Locked before it bears its name: nobody may find it and take it for a finished one.
            hidden = self._folder / f".{name}"
            file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            hidden.rename(self._folder / name)
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
            return file


def spool_folder(home: Path) -> Path:
    """Where the spool of a workspace lies."""
    return home / "spool" / "predictions"


def spool_files(home: Path) -> list[Path]:
    """The spool's files, oldest first."""
    folder = spool_folder(home)
    if not folder.is_dir():
        return []
    found: list[tuple[int, str, Path]] = []
    for path in folder.glob("*.spool"):
        try:
            found.append((path.stat().st_mtime_ns, path.name, path))
        except FileNotFoundError:
            continue  # folded meanwhile
    return [path for _, _, path in sorted(found)]


def is_finished(path: Path) -> bool:
    """Whether no process writes to the file any more."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False  # folded by somebody else meanwhile
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def read_spool(path: Path) -> Iterator[Batch]:
    """The whole frames of a file, in order; a torn or damaged tail ends it silently."""
    return (batch for batch, _ in _read(path, _decode, 0))


def read_timings(path: Path, start: int = 0) -> tuple[list[Timings], int]:
    """What `read_spool` gives, for who asks only when, how fast and how well: several times as fast. From the frame
    that begins at byte `start` on; and where the last whole frame ends, to go on from there."""
    told: list[Timings] = []
    for one, end in _read(path, _decode_timings, start):
        told.append(one)
        start = end
    return told, start


def joined(batches: Iterable[Batch]) -> list[Batch]:
    """The same predictions in as few batches as there are versions and shapes of rows: what is written five times a
    second is read in one piece."""
    alike: dict[Any, list[Batch]] = {}
    for one in batches:
        blocks = tuple((tuple(b.names), b.datatype, tuple(b.tail)) for b in (*one.inputs, *one.outputs))
        kind = (one.model, one.version, one.status, one.keys is None, one.times is None, len(one.inputs), blocks)
        alike.setdefault(kind, []).append(one)
    return [group[0] if len(group) == 1 else _as_one(group) for group in alike.values()]


def _as_one(group: list[Batch]) -> Batch:
    def blocks(of: Callable[[Batch], list[Block]]) -> list[Block]:
        return [
            Block(first.names, first.datatype, first.tail, b"".join([of(one)[at].data for one in group]))
            for at, first in enumerate(of(group[0]))
        ]

    first = group[0]
    return Batch(
        first.model, first.version, first.status, [ident for one in group for ident in one.ids],
        b"".join([one.counts for one in group]), b"".join([one.roles for one in group]),
        b"".join([one.latency_us for one in group]), b"".join([one.logged_ms for one in group]),
        None if first.keys is None else [key for one in group for key in one.keys or ()],
        None if first.times is None else b"".join([one.times or b"" for one in group]),
        blocks(lambda one: one.inputs), blocks(lambda one: one.outputs),
    )  # fmt: skip


def _read(path: Path, decode: Callable[[memoryview], T], start: int) -> Iterator[tuple[T, int]]:
    """The frames from byte `start` on, each with the byte that it ends before."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    at = 0
    while at + _HEAD.size <= len(data):
        magic, size, checksum = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        body = memoryview(data)[at : at + size]
        if magic != MAGIC or len(body) != size or zlib.crc32(body) != checksum:
            return
        try:
            told = decode(body)
        except msgspec.DecodeError:
            return
        at += size
        yield told, start + at
