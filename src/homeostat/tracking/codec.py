"""Points as bytes: the journal's rows and the folded chunks.

A chunk keeps three columns apart (steps, times, values), each as differences or as they are, its bytes transposed so
that equal bytes stand together, then deflated. Curves of training take some 8 bytes a point this way, a tenth of a row.
Values survive bit for bit, NaN payloads and signed zeros included. No numpy: the control plane starts without it.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec

from homeostat.core.errors import Corrupt

CHUNK_POINTS = 4096
STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1

_FORMAT = 1
_DIFFERENCES, _PLAIN, _HALF = 1, 0, 2  # how a column is kept


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


def encode_journal(points: Iterable[Journalled]) -> bytes:
    """The points of one request as one row."""
    return msgspec.msgpack.encode([tuple(point) for point in points])


def decode_journal(payload: bytes) -> list[Journalled]:
    """What `encode_journal` packed."""
    return msgspec.msgpack.decode(payload, type=list[Journalled])


def encode_chunk(points: Sequence[Point]) -> bytes:
    """`points` compressed, in their order.

    >>> decode_chunk(encode_chunk([Point(1, 5, 0.5), Point(2, 6, 0.25)]))
    [Point(step=1, at_ms=5, value=0.5), Point(step=2, at_ms=6, value=0.25)]
    """
    columns = [
        _pack_integers(array("q", [p.step for p in points])),
        _pack_integers(array("q", [p.at_ms for p in points])),
        _pack_floats(array("d", [p.value for p in points])),
    ]
    head = bytes([_FORMAT, *(kind for kind, _ in columns)]) + len(points).to_bytes(4, "little")
    return head + zlib.compress(b"".join(body for _, body in columns), 6)


def decode_chunk(payload: bytes) -> list[Point]:
    """The points of a chunk. Raises Corrupt when the bytes are not one."""
    try:
        if payload[0] != _FORMAT:
            raise ValueError(f"format {payload[0]}")
        count = int.from_bytes(payload[4:8], "little")
        body = zlib.decompress(payload[8:])
        steps = _unpack_integers(payload[1], body[: 8 * count])
        times = _unpack_integers(payload[2], body[8 * count : 16 * count])
        values = _unpack_floats(payload[3], body[16 * count :])
        if not len(steps) == len(times) == len(values) == count:
            raise ValueError("lengths differ")
    except (ValueError, IndexError, zlib.error) as error:
        raise Corrupt(f"a chunk of metric points is damaged: {error}", hint="`homeostat doctor`") from error
    return [Point(*row) for row in zip(steps, times, values, strict=True)]


def _pack_integers(column: array[int]) -> tuple[int, bytes]:
    try:
        return _DIFFERENCES, _transposed(array("q", [*column[:1], *(b - a for a, b in pairwise(column))]))
    except OverflowError:  # neighbours further apart than 64 bits can say
        return _PLAIN, _transposed(column)


def _unpack_integers(kind: int, body: bytes) -> array[int]:
    column = _restored("q", body)
    return array("q", accumulate(column)) if kind == _DIFFERENCES else column


def _pack_floats(column: array[float]) -> tuple[int, bytes]:
    # Losses often come from 32-bit tensors: half the bytes, and nothing lost when they come back the same.
    half = array("f", column)
    if array("d", half).tobytes() == column.tobytes():
        return _HALF, _transposed(half)
    return _PLAIN, _transposed(column)


def _unpack_floats(kind: int, body: bytes) -> array[float]:
    return array("d", _restored("f", body)) if kind == _HALF else _restored("d", body)


def _transposed(column: array[Any]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    raw = column.tobytes()
    return b"".join(raw[offset :: column.itemsize] for offset in range(column.itemsize))


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
