"""How large an Arrow IPC stream is once it is unpacked, read from its headers alone.

A stream may be compressed buffer by buffer, may point to one buffer from many columns, and may claim rows that take no
bytes at all: a few kilobytes can be made to unpack to terabytes. What its messages say is added up before anything is
unpacked. The layout is that of Arrow's columnar format, version 1: flatbuffers `Message` and `RecordBatch`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

Bytes = bytes | mmap

_CONTINUED, _MAGIC = 0xFFFFFFFF, b"ARROW1"
_DICTIONARY, _BATCH = 2, 3  # kinds of messages that have a body


class Batch(NamedTuple):
    """A message with rows: how many, and the bytes they take unpacked. A dictionary has no rows of its own."""

    rows: int
    size: int


def unpacked_size(data: Bytes) -> int:
    """The bytes that the buffers of all messages take, each as often as it is pointed to; a row takes a bit at least.

    Raises: ValueError for what is no whole stream.
    """
    return sum(batch.size for batch in _all(data, _messages(data)))


def file_batches(data: Bytes) -> list[Batch]:
    """The batches of a file, as its footer lists them. Raises: ValueError for what is no whole file."""
    return _all(data, _blocks(data))


def _all(data: Bytes, places: Iterator[tuple[int, int]]) -> list[Batch]:
    try:
        return [_measured(data, header, body) for header, body in places]
    except (struct.error, IndexError, OverflowError, MemoryError) as error:
        raise ValueError("a message points outside of it") from error


def _blocks(data: Bytes) -> Iterator[tuple[int, int]]:
    """As `_messages`, of a file: its dictionaries, then its batches."""
    end = len(data) - len(_MAGIC) - 4
    if data[: len(_MAGIC)] != _MAGIC or data[end + 4 :] != _MAGIC:
        raise ValueError("it does not begin and end like an Arrow file")
    footer = end - _u32(data, end)
    table = footer + _u32(data, footer)
    for field in (2, 3):
        found = _field(data, table, field)
        vector = found + _u32(data, found) if found else 0
        for place in range(_u32(data, vector) if found else 0):
            at, head, _ = struct.unpack_from("<qi4xq", data, vector + 4 + 24 * place)
            begin = at + (8 if _u32(data, at) == _CONTINUED else 4)
            yield begin + _u32(data, begin), at + head


def _messages(data: Bytes, at: int = 0) -> Iterator[tuple[int, int]]:
    """Where the header of each message begins, and its body."""
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if length == _CONTINUED:
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        if length == 0:
            return
        table = at + _u32(data, at)
        body = at + length
        yield table, body
        at = body + _number(data, table, 3)


def _measured(data: Bytes, message: int, body: int) -> Batch:
    kind_at, header_at = _field(data, message, 1), _field(data, message, 2)
    kind = data[kind_at] if kind_at else 0
    if kind not in (_DICTIONARY, _BATCH) or not header_at:
        return Batch(0, 0)
    batch = header_at + _u32(data, header_at)
    if kind == _DICTIONARY:
        inner = _field(data, batch, 1)
        if not inner:
            return Batch(0, 0)
        batch = inner + _u32(data, inner)
    packed = _field(data, batch, 3) != 0
    bits = sum(length for length, _ in _pairs(data, batch, 1))
    size = bits // 8 + sum(_buffer(data, body + at, length, packed) for at, length in _pairs(data, batch, 2))
    return Batch(_number(data, batch, 0) if kind == _BATCH else 0, size)


def _buffer(data: Bytes, at: int, length: int, packed: bool) -> int:
    if not packed or length < 8:
        return max(0, length)
    (unpacked,) = struct.unpack_from("<q", data, at)
    return length if unpacked < 0 else unpacked


def _pairs(data: Bytes, table: int, field: int) -> Iterator[tuple[int, int]]:
    """The elements of a vector of two numbers of 64 bits."""
    found = _field(data, table, field)
    if found:
        vector = found + _u32(data, found)
        for place in range(_u32(data, vector)):
            yield struct.unpack_from("<qq", data, vector + 4 + 16 * place)


def _number(data: Bytes, table: int, field: int) -> int:
    found = _field(data, table, field)
    value = struct.unpack_from("<q", data, found)[0] if found else 0
    if value < 0:
        raise ValueError("a message has a length below zero")
    return value


def _field(data: Bytes, table: int, field: int) -> int:
    """Where a field of a table lies; 0 when it is not there."""
    if table < 0:
        raise ValueError("a message points outside of the stream")
    (back,) = struct.unpack_from("<i", data, table)
    known = table - back
    if known < 0:
        raise ValueError("a message points outside of the stream")
    (size,) = struct.unpack_from("<H", data, known)
    slot = 4 + 2 * field
    if slot + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", data, known + slot)
    return table + offset if offset else 0


def _u32(data: Bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]
