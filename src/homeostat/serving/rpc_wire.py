"""Protocol Buffers' wire format, as far as unary calls need it: fields read and written by number, no descriptors.

See https://protobuf.dev/programming-guides/encoding/. Unknown fields are passed over, as the format asks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving.tensors import Array

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = int | bytes


def broken() -> InvalidInput:
    """The error for bytes that are not a message."""
    return InvalidInput("the message is not valid Protocol Buffers")


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next field begins.

    >>> read_varint(bytes([0xAC, 2]), 0)
    (300, 2)
    """
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise broken()
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise broken()


def fields(data: bytes) -> Iterator[tuple[int, int, Value]]:
    """(number, wire type, value) of each field in order. Raises InvalidInput for what is no message."""
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        kind = tag & 7
        if tag < 8:
            raise broken()
        if kind == BYTES:
            size, at = read_varint(data, at)
            stop = at + size
            if stop > end:
                raise broken()
            yield tag >> 3, kind, data[at:stop]
            at = stop
        elif kind == VARINT:
            value, at = read_varint(data, at)
            yield tag >> 3, kind, value
        elif kind in (FIXED32, FIXED64):
            stop = at + (4 if kind == FIXED32 else 8)
            if stop > end:
                raise broken()
            yield tag >> 3, kind, data[at:stop]
            at = stop
        else:
            raise broken()


def text_of(value: Value) -> str:
    """A string field. InvalidInput when it is none."""
    if isinstance(value, int):
        raise broken()
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidInput("a name in the message is not text in UTF-8") from None


def bytes_of(value: Value) -> bytes:
    """A bytes or message field. InvalidInput when it is none."""
    if isinstance(value, int):
        raise broken()
    return value


def signed(value: int) -> int:
    """The 64-bit number that the varint stands for.

    >>> signed(2**64 - 1)
    -1
    """
    return value - (1 << 64) if value >> 63 else value


def unpack_varints(data: bytes) -> Array:
    """The packed varints in `data` as UINT64, all at once. InvalidInput when the last one is cut off."""
    raw = np.frombuffer(data, "u1")
    if not raw.size:
        return np.empty(0, "<u8")
    ends = np.flatnonzero(raw < 128)
    if not ends.size or ends[-1] != raw.size - 1:
        raise broken()
    starts = np.concatenate(([0], ends[:-1] + 1))
    if int((ends - starts).max()) > 9:
        raise broken()
    shifts = (np.arange(raw.size) - np.repeat(starts, ends - starts + 1)).astype("<u8") * np.uint64(7)
    return np.add.reduceat((raw & 127).astype("<u8") << shifts, starts)


def varint(value: int) -> bytes:
    """`value` as a varint; negative numbers as their 64-bit two's complement.

    >>> varint(300)
    b'\\xac\\x02'
    """
    if 0 <= value < 128:
        return bytes((value,))
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def packed(values: Iterable[int]) -> bytes:
    """Numbers as packed varints."""
    return b"".join([varint(value) for value in values])


def field(number: int, value: bytes | str) -> bytes:
    """A string, bytes or message field, also when it is empty."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def some(number: int, value: bytes | str) -> bytes:
    """A string or bytes field; nothing when it is empty, as the format has it for single fields."""
    return field(number, value) if value else b""


def number(at: int, value: int) -> bytes:
    """A number or boolean field; nothing when it is 0."""
    return varint(at << 3 | VARINT) + varint(value) if value else b""


def double(value: bytes) -> float:
    """A double field's value."""
    return struct.unpack("<d", value)[0] if len(value) == 8 else 0.0
