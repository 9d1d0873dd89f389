"""Scalars from TensorBoard event files: a reader of TFRecord and of the few fields of `Event` that scalars need.

A record is its length (8 bytes, little-endian), a masked CRC-32C of that, the data, a masked CRC-32C of the data. Files
are read while they grow: a record that is not whole yet is read the next time. Records are protocol buffers; wall time,
step, and of each value the tag and the number, as TensorFlow 1 (`simple_value`) and 2 (a tensor of one) write it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homeostat.core.records import Record

_MOST = 256 << 20
_LEAVE = {".git", ".venv", "venv", "node_modules", "__pycache__", ".homeostat", "site-packages"}
_SPLITS = {"train", "training", "validation", "valid", "val", "test", "eval"}


class Scalar(Record):
    """One number: `tag` at `step`, written at `at_ms`."""

    tag: str
    step: int
    value: float
    at_ms: int


class EventFile:
    """An event file that may still grow. `damaged` once a checksum did not fit: nothing after it is read."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.damaged = False

    def read(self) -> Iterator[Scalar]:
        """The scalars of the whole records that are new since the last call."""
        if self.damaged:
            return
        try:
            source = open(self.path, "rb")  # noqa: SIM115  closed below
        except OSError:
            return
        with source:
            source.seek(self.offset)
            while len(head := source.read(12)) == 12:
                (length,) = struct.unpack_from("<Q", head)
                if masked_crc(head[:8]) != struct.unpack_from("<I", head, 8)[0] or length > _MOST:
                    self.damaged = True
                    return
                data, tail = source.read(length), source.read(4)
                if len(tail) != 4:
                    return
                # The sum is in plain Python: it is computed only where something is taken from the record.
                found = list(scalars(data))
                if found and masked_crc(data) != struct.unpack("<I", tail)[0]:
                    self.damaged = True
                    return
                self.offset += 16 + length
                yield from found


class EventFolder:
    """Every event file below a folder that is new, or has grown, since this was made.

    Keys are tags; those of a folder called train, validation, test and so on have its name in front.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = {path: EventFile(path, path.stat().st_size) for path in event_files(root)}

    def read(self) -> Iterator[Scalar]:
        """What is new."""
        for path in event_files(self._root):
            file = self._files.setdefault(path, EventFile(path))
            folder = path.parent.name
            for one in file.read():
                tag = f"{folder}/{one.tag}" if folder.lower() in _SPLITS and path.parent != self._root else one.tag
                yield Scalar(tag=tag, step=one.step, value=one.value, at_ms=one.at_ms)


def event_files(root: Path) -> list[Path]:
    """The event files below `root`, at most 8 folders deep; what tools keep for themselves is left out."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = [] if depth >= 8 else sorted(name for name in folders if name not in _LEAVE)
        found += [Path(folder, name) for name in sorted(files) if "tfevents" in name]
    return found


def scalars(event: bytes) -> Iterator[Scalar]:
    """The scalars of one `Event`; nothing when it is not one."""
    wall, step, summaries = 0.0, 0, []
    try:
        for number, value in _fields(event):
            if number == 1 and isinstance(value, bytes):
                wall = struct.unpack("<d", value)[0]
            elif number == 2 and isinstance(value, int):
                step = value - (1 << 64) if value >> 63 else value
            elif number == 5 and isinstance(value, bytes):
                summaries.append(value)
        for summary in summaries:
            for number, value in _fields(summary):
                if number == 1 and isinstance(value, bytes):
                    tag, told = _value(value)
                    if tag and told is not None:
                        yield Scalar(tag=tag, step=step, value=told, at_ms=round(wall * 1000))
    except (ValueError, IndexError, struct.error, OverflowError):
        return


def _value(message: bytes) -> tuple[str, float | None]:
    tag, told = "", None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            told = struct.unpack("<f", value)[0]
        elif number == 8 and isinstance(value, bytes):
            told = _tensor(value)
    return tag, told


_KINDS = {1: "<f", 2: "<d", 3: "<i", 9: "<q"}  # DataType: float, double, int32, int64


def _tensor(message: bytes) -> float | None:
    """The one number of a tensor of one; None for any other tensor."""
    fields: dict[int, Any] = dict(_fields(message))
    form = _KINDS.get(fields.get(1, 0))
    shape = [value for number, value in _fields(fields.get(2, b"")) if number == 2 and isinstance(value, bytes)]
    if form is None or any(dict(_fields(dim)).get(1, 1) != 1 for dim in shape):
        return None
    content = fields.get(4) or fields.get({"<f": 5, "<d": 6}.get(form, 0))
    if isinstance(content, bytes) and len(content) == struct.calcsize(form):
        return float(struct.unpack(form, content)[0])
    packed = fields.get({"<i": 7, "<q": 10}.get(form, 0))
    if isinstance(packed, bytes) and packed:
        packed = _varint(packed, 0)[0]
    if isinstance(packed, int):
        return float(packed - (1 << 64) if packed >> 63 else packed)
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: numbers for varints, bytes for everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("not a protocol buffer")
        if at + length > len(message):
            raise ValueError("not a protocol buffer")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("not a protocol buffer")


def _table() -> list[int]:
    rows: list[int] = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ (0x82F63B78 if row & 1 else 0)
        rows.append(row)
    return rows


_CRC = _table()


def crc32c(data: bytes) -> int:
    """CRC-32 with the Castagnoli polynomial.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """The checksum as TFRecord keeps it: turned by 15 bits and moved by a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
