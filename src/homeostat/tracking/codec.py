"""Points as bytes: the journal's rows and the folded chunks.

A chunk keeps three columns apart (steps, times, values), each as `columns.py` makes it short. Its first byte says how
it is made: chunks of the first format are read as before, and written in the present one when they are folded again.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from homeostat.core.errors import Corrupt
from homeostat.tracking.columns import Floats, Whole, pack_floats, pack_whole, unpack_floats, unpack_whole

CHUNK_POINTS = 16_384
STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1

_FORMAT = 2
_CHECK = 4  # bytes of CRC-32 behind the format


class Point(NamedTuple):
    """One value of a series."""

    step: int
    at_ms: int
    value: float


class Journalled(NamedTuple):
    """One value of a run, as a request brought it."""

    key: str
    step: int
    at_ms: int
    value: float


if TYPE_CHECKING:
    # Steps, times, values: of one length.
    Columns = tuple[array[int], array[int], array[float]]


_journal = msgspec.msgpack.Decoder(list[Journalled])


class _Chunk(msgspec.Struct, array_like=True, frozen=True):
    count: int
    steps: Whole
    times: Whole
    values: Floats


def encode_journal(points: Iterable[Journalled]) -> bytes:
    """The points of one request as one row."""
    return msgspec.msgpack.encode([tuple(point) for point in points])


def decode_journal(payload: bytes) -> list[Journalled]:
    """What `encode_journal` packed."""
    return _journal.decode(payload)


def encode_chunk(columns: Columns) -> bytes:
    """Steps, times and values of points, in their order, compressed.

    >>> columns = array("q", [1, 2]), array("q", [5, 6]), array("d", [0.5, 0.25])
    >>> decode_chunk(encode_chunk(columns)) == columns
    True
    """
    steps, times, values = columns
    chunk = _Chunk(
        count=len(steps), steps=pack_whole(steps), times=pack_whole(times), values=pack_floats(values)
    )  # fmt: skip
    body = msgspec.msgpack.encode(chunk)
    return bytes([_FORMAT]) + zlib.crc32(body).to_bytes(_CHECK, "little") + body


def decode_chunk(payload: bytes) -> Columns:
    """What `encode_chunk` was given. Raises Corrupt when the bytes are no chunk."""
    try:
        columns = _FORMATS[payload[0]](payload)
        if len(set(map(len, columns))) > 1:
            raise ValueError("lengths differ")
    except (ValueError, IndexError, KeyError, OverflowError, msgspec.DecodeError, zlib.error) as error:
        raise Corrupt(f"a chunk of metric points is damaged: {error}", hint="`homeostat doctor`") from error
    return columns


def _decode(payload: bytes) -> Columns:
    body = memoryview(payload)[1 + _CHECK :]
    if zlib.crc32(body) != int.from_bytes(payload[1 : 1 + _CHECK], "little"):
        raise ValueError("the bytes are not those that were written")
    chunk = msgspec.msgpack.decode(body, type=_Chunk)
    return (
        unpack_whole(chunk.steps, chunk.count),
        unpack_whole(chunk.times, chunk.count),
        unpack_floats(chunk.values, chunk.count),
    )


def _decode_first(payload: bytes) -> Columns:
    """The format of 0.1.0: differences or plain, transposed, all deflated together."""
    plain, differences, half = 0, 1, 2
    count = int.from_bytes(payload[4:8], "little")
    body = zlib.decompress(payload[8:])
    kinds = payload[1:4]
    if not set(kinds) <= {plain, differences, half} or len(kinds) != 3:
        raise ValueError("a column of an unknown kind")
    whole = [_restored("q", body[place * count : (place + 8) * count]) for place in (0, 8)]
    steps, times = (
        array("q", accumulate(column)) if kind == differences else column
        for kind, column in zip(kinds, whole, strict=False)
    )
    rest = body[16 * count :]
    return steps, times, array("d", _restored("f", rest)) if kinds[2] == half else _restored("d", rest)


def _restored(typecode: str, body: bytes) -> array[Any]:
    column: array[Any] = array(typecode)
    width = column.itemsize
    if len(body) % width:
        raise ValueError(f"{len(body)} bytes do not make whole numbers")
    count = len(body) // width
    raw = bytearray(len(body))
    for offset in range(width):
        raw[offset::width] = body[offset * count : (offset + 1) * count]
    column.frombytes(raw)
    if sys.byteorder == "big":
        column.byteswap()
    return column


_FORMATS = {1: _decode_first, _FORMAT: _decode}
