"""Sets of runs as one byte for each: what thousands of runs have in common is told in a fraction of the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from itertools import compress, count
from typing import Any


class Mask(Set[int]):
    """The numbers of some of the runs up to the highest: `marks` has a 1 at each of these, else 0.

    Masks that are joined are of the same length. They are gone through in the order of the numbers.

        >>> some, others = Mask.of([1, 3], 3), Mask.of([3, 2], 3)
        >>> list(some & others), list(some | others), list(some - others), len(some)
        ([3], [1, 2, 3], [1], 2)
    """

    __slots__ = ("marks",)

    def __init__(self, marks: bytes) -> None:
        self.marks = marks

    @staticmethod
    def of(numbers: Iterable[int], highest: int) -> Mask:
        """Those of `numbers` that are not above `highest`."""
        marks = bytearray(highest + 1)
        for number in numbers:
            if number <= highest:
                marks[number] = 1
        return Mask(bytes(marks))

    def among(self, numbers: Iterable[int]) -> int:
        """How many of `numbers`, none of which is above the highest, are in it."""
        return sum(map(self.marks.__getitem__, numbers))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 <= number < len(self.marks) and self.marks[number] == 1

    def __iter__(self) -> Iterator[int]:
        return compress(count(), self.marks)

    def __len__(self) -> int:
        return self.marks.count(1)

    def __and__(self, other: Any) -> Mask:
        return self._made(self._bits() & other._bits())

    def __or__(self, other: Any) -> Mask:
        return self._made(self._bits() | other._bits())

    def __sub__(self, other: Any) -> Mask:
        both = self._bits()
        return self._made(both ^ (both & other._bits()))

    def _bits(self) -> int:
        return int.from_bytes(self.marks, "little")

    def _made(self, bits: int) -> Mask:
        return Mask(bits.to_bytes(len(self.marks), "little"))
