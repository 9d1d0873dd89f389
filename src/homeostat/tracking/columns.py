"""Columns of numbers as few bytes: what regularity they have is taken out, what is left is Huffman-coded by byte.

Whole numbers are kept as differences (of differences, up to the fourth) where those are smaller: a step that counts
costs nothing, the time of a step costs its jitter. Floats survive bit for bit. They are kept, whatever fits first, as
the whole numbers that they are after moving the decimal point ("0.9125"), as an index into their distinct values, as
32-bit patterns where that is where they come from, else as 64-bit patterns; patterns of a smooth curve are whole
numbers with small differences too. The bytes of equal weight stand together (a plane), each plane coded by itself.

Pure Python over arrays: some 0.3 µs a value, and the control plane starts without numpy.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import sub
from statistics import median_low
from typing import Any

import msgspec

_ORDERS = 4
_WINDOW = 48  # values looked at, at three places, before a way is chosen
_SHORT, _LONG = 4, 9  # digits behind the point that a value is rounded to
_TYPES = {1: "B", 2: "H", 4: "I", 8: "Q"}

Plane = bytes | int


class Whole(msgspec.Struct, array_like=True, frozen=True):
    """Whole numbers: differences of `order`, less `least`; `heads` begin the numbers and each lower difference."""

    order: int
    heads: list[int]
    least: int
    planes: list[Plane]


class Floats(msgspec.Struct, array_like=True, frozen=True):
    """Floats as the whole numbers of `kind`: see `_unpack`."""

    kind: str
    numbers: Whole
    distinct: Whole | None = None
    digits: int = 0


def pack_whole(column: array[int]) -> Whole:
    """64-bit whole numbers."""
    for order in range(_best_order(column), -1, -1):
        try:
            return _differences(column, order)
        except OverflowError:  # neighbours further apart than 64 bits can say
            continue
    raise AssertionError("order 0 always fits")


def unpack_whole(packed: Whole, count: int) -> array[int]:
    """What `pack_whole` was given, of which there are `count`. Raises ValueError."""
    if len(packed.heads) != min(packed.order, count):
        raise ValueError("a difference lacks its beginning")
    left = count - len(packed.heads)
    numbers: Iterable[int] = map(packed.least.__add__, _joined(packed.planes, left))
    for head in reversed(packed.heads):
        numbers = accumulate(numbers, initial=head)
    return array("q", numbers)


def pack_floats(column: array[float]) -> Floats:
    """Floats, bit for bit."""
    digits = _digits_of(column)
    if digits <= _SHORT and (decimal := _decimal(column, digits)) is not None:
        return decimal
    half = array("f", column)
    if array("d", half).tobytes() == column.tobytes():
        kind, bits = "f", array("q", array("i", half.tobytes()))
    else:
        kind, bits = "d", array("q", column.tobytes())
    if (known := _few(bits)) is not None:
        index = {value: at for at, value in enumerate(known)}
        numbers = pack_whole(array("q", map(index.__getitem__, bits)))
        return Floats(kind=kind, numbers=numbers, distinct=pack_whole(array("q", known)), digits=len(known))
    if kind == "d" and digits <= _LONG and (decimal := _decimal(column, digits)) is not None:
        return decimal
    return Floats(kind=kind, numbers=pack_whole(bits))


def unpack_floats(packed: Floats, count: int) -> array[float]:
    """What `pack_floats` was given. Raises ValueError, IndexError."""
    numbers = unpack_whole(packed.numbers, count)
    if packed.kind == "n":
        power = 10**packed.digits
        return array("d", [number / power for number in numbers])
    if packed.distinct is not None:
        known = unpack_whole(packed.distinct, packed.digits)
        if count and not 0 <= min(numbers) <= max(numbers) < len(known):
            raise ValueError("an index points nowhere")
        numbers = array("q", map(known.__getitem__, numbers))
    if packed.kind == "f":
        return array("d", array("f", array("i", numbers).tobytes()))
    if packed.kind == "d":
        return array("d", numbers.tobytes())
    raise ValueError(f"floats of kind {packed.kind!r}")


def _best_order(column: array[int]) -> int:
    if len(column) <= _ORDERS:
        return 0
    middle = max(0, (len(column) - _WINDOW) // 2)
    windows = [column[:_WINDOW], column[middle : middle + _WINDOW], column[-_WINDOW:]]
    costs: list[float] = []
    for order in range(_ORDERS + 1):
        # Around one centre for all windows: what drifts over the whole column is small only as differences.
        numbers = [number for window in windows for number in _differenced(window, order)]
        centre = median_low(numbers)
        bits = sum((number - centre).bit_length() for number in numbers)
        # A difference more must be worth it: it takes its time.
        costs.append(bits / len(numbers) + order / 4)
    return costs.index(min(costs))


def _differenced(numbers: Sequence[int], order: int) -> Sequence[int]:
    for _ in range(order):
        numbers = list(map(sub, numbers[1:], numbers))
    return numbers


def _differences(column: array[int], order: int) -> Whole:
    heads: list[int] = []
    numbers: Sequence[int] = column
    for _ in range(min(order, len(column))):
        heads.append(numbers[0])
        numbers = array("q", map(sub, numbers[1:], numbers))
    least, most = min(numbers, default=0), max(numbers, default=0)
    return Whole(order=order, heads=heads, least=least, planes=_split(numbers, least, most - least))


def _split(numbers: Sequence[int], least: int, span: int) -> list[Plane]:
    """The bytes of `numbers` less `least`, of one weight in each plane, the least first; planes above `span` not."""
    wide = (span.bit_length() + 7) // 8
    if not wide:
        return []
    width = next(size for size in _TYPES if size >= wide)
    column = array(_TYPES[width], map((-least).__add__, numbers))
    if sys.byteorder == "big":
        column.byteswap()
    raw = column.tobytes()
    return [_coded(raw[place::width]) for place in range(wide)]


def _joined(planes: list[Plane], count: int) -> Iterable[int]:
    if not planes:
        return bytes(count)
    if len(planes) > 8:
        raise ValueError("a number has more than 64 bits")
    width = next(size for size in _TYPES if size >= len(planes))
    raw = bytearray(width * count)
    for place, plane in enumerate(planes):
        raw[place::width] = _decoded(plane, count)
    column: array[Any] = array(_TYPES[width], raw)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _coded(plane: bytes) -> Plane:
    """A plane as its one value, Huffman-coded, or as it is: whatever is shortest."""
    if plane.count(plane[0]) == len(plane):
        return plane[0]
    best = plane
    # Runs and frequencies are what most planes have; level 1 sees what repeats at a distance.
    for level, strategy in ((6, zlib.Z_RLE), (1, zlib.Z_DEFAULT_STRATEGY)):
        coder = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
        coded = coder.compress(plane) + coder.flush()
        if len(coded) >= len(best):
            break
        best = coded
    return best


def _decoded(plane: Plane, count: int) -> bytes:
    if isinstance(plane, int):
        return bytes([plane]) * count
    if len(plane) == count:
        return plane
    coder = zlib.decompressobj(-15)
    raw = coder.decompress(plane, count + 1)
    if len(raw) != count or not coder.eof:
        raise ValueError("a plane has another length")
    return raw


def _digits_of(column: array[float]) -> int:
    """The digits behind the point that the values need, going by some of them."""
    return max((_digits(value) for value in (*column[:_WINDOW], *column[-_WINDOW:])), default=99)


def _decimal(column: array[float], digits: int) -> Floats | None:
    """The values as whole numbers over ten to the power of `digits`, when they all are."""
    power = 10**digits
    try:
        numbers = array("q", [round(value * power) for value in column])
    except (OverflowError, ValueError):  # an infinity, NaN, or more than 64 bits
        return None
    if array("d", [number / power for number in numbers]).tobytes() != column.tobytes():
        return None
    return Floats(kind="n", numbers=pack_whole(numbers), digits=digits)


def _digits(value: float) -> int:
    """How many digits stand behind the point in the shortest way to write `value`; 99 when that says nothing."""
    if not -1e15 < value < 1e15:
        return 99
    mantissa, _, exponent = repr(value).partition("e")
    fraction = mantissa.partition(".")[2]
    return max(0, len(fraction if fraction != "0" else "") - int(exponent or 0))


def _few(bits: array[int]) -> list[int] | None:
    """The distinct values in order, when they are so few that an index is shorter."""
    count = len(bits)
    if count < 64 or len(set(bits[:: max(1, count // 256)])) > 192:
        return None
    known = set(bits)
    return sorted(known) if len(known) <= count // 16 else None
