"""The first of some runs by a value that is remembered, in the order in which databases give them."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING

from homeostat.core.errors import InvalidInput
from homeostat.tracking.query.tree import OrderKey

if TYPE_CHECKING:
    from homeostat.tracking.query.remembered import Columns


def first_of(
    columns: Columns, key: OrderKey, runs: Iterable[int], last: list[float | int | str | None] | None, limit: int
) -> list[tuple[int, float | str]]:
    """Number and value of the first `limit` of `runs` that have the value, behind the one of the value and number
    `last`; of equal ones the greatest number first.

    Raises: InvalidInput for a `last` that is not of this order.
    """
    value, seq = (None, 0) if last is None else _checked(key, last)
    if key.value.kind == "text":
        return _by_text(columns, key, runs, None if value is None else (str(value), seq), limit)
    numbers = columns.numbers(key.value)
    if key.descending:
        found = [(number, run) for run in runs if (number := numbers[run]) == number]
        if value is not None:
            found = [one for one in found if one < (value, seq)]
        return [(run, number) for number, run in heapq.nlargest(limit, found)]
    found = [(number, -run) for run in runs if (number := numbers[run]) == number]
    if value is not None:
        found = [one for one in found if one > (value, -seq)]
    return [(-run, number) for number, run in heapq.nsmallest(limit, found)]


def _by_text(
    columns: Columns, key: OrderKey, runs: Iterable[int], last: tuple[str, int] | None, limit: int
) -> list[tuple[int, float | str]]:
    # Every run is one whole number: the place of its text among all, then its own.
    codes, texts, _ = columns.texts(key.value)
    order = sorted(range(len(texts)), key=texts.__getitem__)
    span, sign = len(codes), -1 if key.descending else 1
    places = [0] * len(texts)
    for place, code in enumerate(order):
        places[code] = sign * place * span
    ranks = [places[code] - run for run in runs if (code := codes[run]) >= 0]
    if last is not None:
        place = bisect_left(order, last[0], key=texts.__getitem__)
        there = place < len(order) and texts[order[place]] == last[0]
        least = sign * place * span - (last[1] if there else 0 if key.descending else span)
        ranks = [rank for rank in ranks if rank > least]
    runs_of = [-rank % span for rank in heapq.nsmallest(limit, ranks)]
    return [(run, texts[codes[run]]) for run in runs_of]


def _checked(key: OrderKey, last: list[float | int | str | None]) -> tuple[float | str, int]:
    if len(last) == 2:
        value, seq = last
        if isinstance(value, str if key.value.kind == "text" else float | int) and isinstance(seq, int):
            return value, seq
    raise InvalidInput("after= is not a page of this search", hint="begin without it")
