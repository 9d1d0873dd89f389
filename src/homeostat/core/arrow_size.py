"""How large an Arrow IPC stream is once it is unpacked, read from its headers alone.

A stream may be compressed buffer by buffer, may point to one buffer from many columns, and may claim rows that take no
bytes at all: a few kilobytes can be made to unpack to terabytes. What its messages say is added up before anything is
unpacked. The layout is that of Arrow's columnar format, version 1: flatbuffers `Message` and `RecordBatch`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_CONTINUED = 0xFFFFFFFF
_DICTIONARY, _BATCH = 2, 3  # kinds of messages that have a body


def unpacked_size(data: bytes) -> int:
    """The bytes that the buffers of all messages take, each as often as it is pointed to; a row takes a bit at least.

    Raises: ValueError for what is no whole stream.
    """
    try:
        return sum(_size(data, header, body) for header, body in _messages(data))
    except (struct.error, OverflowError, MemoryError) as error:
        raise ValueError("a message points outside of the stream") from error


def _messages(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the header of each message begins, and its body."""
    at = 0
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


def _size(data: bytes, message: int, body: int) -> int:
    kind_at, header_at = _field(data, message, 1), _field(data, message, 2)
    kind = data[kind_at] if kind_at else 0
    if kind not in (_DICTIONARY, _BATCH) or not header_at:
        return 0
    batch = header_at + _u32(data, header_at)
    if kind == _DICTIONARY:
        inner = _field(data, batch, 1)
        if not inner:
            return 0
        batch = inner + _u32(data, inner)
    packed = _field(data, batch, 3) != 0
    rows = sum(length for length, _ in _pairs(data, batch, 1))
    return rows // 8 + sum(_buffer(data, body + at, length, packed) for at, length in _pairs(data, batch, 2))


def _buffer(data: bytes, at: int, length: int, packed: bool) -> int:
    if not packed or length < 8:
        return max(0, length)
    (unpacked,) = struct.unpack_from("<q", data, at)
    return length if unpacked < 0 else unpacked


def _pairs(data: bytes, table: int, field: int) -> Iterator[tuple[int, int]]:
    """The elements of a vector of two numbers of 64 bits."""
    found = _field(data, table, field)
    if found:
        vector = found + _u32(data, found)
        for place in range(_u32(data, vector)):
            yield struct.unpack_from("<qq", data, vector + 4 + 16 * place)


def _number(data: bytes, table: int, field: int) -> int:
    found = _field(data, table, field)
    value = struct.unpack_from("<q", data, found)[0] if found else 0
    if value < 0:
        raise ValueError("a message has a length below zero")
    return value


def _field(data: bytes, table: int, field: int) -> int:
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


def _u32(data: bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]
