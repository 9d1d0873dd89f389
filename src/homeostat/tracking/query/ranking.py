"""The first of some runs by a value that is remembered, in the order in which databases give them."""

from __future__ import annotations

import heapq
import operator
from bisect import bisect_left
from itertools import compress
from typing import TYPE_CHECKING

from homeostat.core.errors import InvalidInput
from homeostat.tracking.query.masks import Mask
from homeostat.tracking.query.tree import OrderKey

if TYPE_CHECKING:
    from array import array

    from homeostat.tracking.query.remembered import Columns, Texts


def first_of(
    columns: Columns, key: OrderKey, runs: Mask, last: list[float | int | str | None] | None, limit: int
) -> list[tuple[int, float | str]]:
    """Number and value of the first `limit` of `runs` that have the value, behind the one of the value and number
    `last`; of equal ones the greatest number first.

    Raises: InvalidInput for a `last` that is not of this order.
    """
    value, seq = (None, 0) if last is None else _checked(key, last)
    if key.value.kind == "text":
        column = columns.texts(key.value)
        behind = None if value is None else _place_of(column, str(value), seq)
        first = _first(column.places(), runs, behind, key.descending, limit)
        return [(run, column.texts[column.codes[run]]) for run in first]
    numbers = columns.numbers(key.value)
    first = _first(numbers, runs, None if value is None else (float(value), seq), key.descending, limit)
    return [(run, numbers[run]) for run in first]


def _first(
    numbers: array[float], runs: Mask, last: tuple[float, int] | None, descending: bool, limit: int
) -> list[int]:
    if last is not None:
        value, seq = last
        beyond = operator.lt if descending else operator.gt
        numbered = zip(compress(numbers, runs.marks), runs, strict=True)
        behind = [run for number, run in numbered if beyond(number, value) or (number == value and run < seq)]
        runs = Mask.of(behind, len(runs.marks) - 1)
    # Numbers by themselves at first: to make a pair of each with its run takes several times as long.
    found = [number for number in compress(numbers, runs.marks) if number == number]
    numbered = zip(compress(numbers, runs.marks), runs, strict=True)
    if descending:  # the newest first, as what grows with the runs would take longest
        bound = heapq.nlargest(limit, reversed(found))[-1:]
        pairs = [(number, run) for number, run in numbered if number >= bound[0]] if bound else []
        return [run for _, run in heapq.nlargest(limit, reversed(pairs))]
    bound = heapq.nsmallest(limit, found)[-1:]
    pairs = [(number, -run) for number, run in numbered if number <= bound[0]] if bound else []
    return [-run for _, run in heapq.nsmallest(limit, pairs)]


def _place_of(column: Texts, text: str, seq: int) -> tuple[float, int]:
    """What `Texts.places` would say of the run `seq` with this text, which no run may have."""
    order = column.order()
    place = bisect_left(order, text, key=column.texts.__getitem__)
    there = place < len(order) and column.texts[order[place]] == text
    return (place, seq) if there else (place - 0.5, 0)


def _checked(key: OrderKey, last: list[float | int | str | None]) -> tuple[float | str, int]:
    if len(last) == 2:
        value, seq = last
        if isinstance(value, str if key.value.kind == "text" else float | int) and isinstance(seq, int):
            return value, seq
    raise InvalidInput("after= is not a page of this search", hint="begin without it")
