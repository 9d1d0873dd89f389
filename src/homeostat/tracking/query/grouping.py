"""Groups of the runs that fit, and how figures lie in each.

Databases sort all runs for that, and look up each figure of each. Here the runs that fit are found first
(`fitting.py`); what they share and their figures are remembered (`remembered.py`), or read for these runs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.statements import among, each
from homeostat.tracking.model import MetricSpread
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.figures import Figures, figures
from homeostat.tracking.query.fitting import fitting
from homeostat.tracking.query.remembered import Columns, remembers
from homeostat.tracking.query.sql import Sql, Writer
from homeostat.tracking.query.tree import Condition, Value
from homeostat.tracking.query.values import as_text


class Group(NamedTuple):
    """What the runs share, how many they are, and how each figure lies."""

    keys: tuple[Any, ...]
    runs: int
    spreads: list[MetricSpread]


def grouped(
    c: sa.Connection,
    base: Base,
    tree: Condition,
    shared: list[Value],
    measured: list[Value],
    limit: int,
    columns: Columns | None,
) -> list[Group]:
    """The first `limit` groups."""
    shared = [as_text(value) if value.kind == "either" else value for value in shared]
    joined = figures(c, base, tree, [*shared, *measured])
    runs = sorted(fitting(c, base, tree, joined, columns))
    known = [_remembered(columns, value, runs) for value in shared]
    figures_of = [None if value.kind == "text" else _remembered(columns, value, runs) for value in measured]
    others = (
        [n for n, some in enumerate(known) if some is None],
        [n for n, some in enumerate(figures_of) if some is None],
    )
    if others[0] or others[1]:
        asked = [shared[n] for n in others[0]], [measured[n] for n in others[1]]
        read = _looked_up(c, joined, runs, *asked)
        for n, some in zip(others[0], read, strict=False):
            known[n] = some
        for n, some in zip(others[1], read[len(others[0]) :], strict=True):
            figures_of[n] = some
    members = defaultdict[tuple[Any, ...], list[int]](list)
    if not shared:
        members[()] = list(range(len(runs)))
    for place, keys in enumerate(zip(*(some or () for some in known), strict=True)):
        members[keys].append(place)
    first = sorted(members, key=_last_if_missing)[:limit]
    return [
        Group(keys, len(members[keys]), [_spread_of(members[keys], some or ()) for some in figures_of])
        for keys in first
    ]


def _remembered(columns: Columns | None, value: Value, runs: list[int]) -> Sequence[Any] | None:
    """The value of each run where it may be remembered; times are not what their numbers compare as."""
    if columns is None or value.kind == "time" or not remembers(value):
        return None
    if value.kind == "number":
        return list(map(columns.numbers(value).__getitem__, runs))
    texts = columns.texts(value)
    # The code of those that lack it is -1: the last.
    return list(map([*texts.texts, None].__getitem__, map(texts.codes.__getitem__, runs)))


def _looked_up(
    c: sa.Connection, joined: Figures, runs: list[int], shared: list[Value], measured: list[Value]
) -> list[list[Any]]:
    """What is read of each run: of what they share, and of figures."""
    writer = Writer(c.dialect.name == "postgresql", joined.names)
    chosen = [*_named(writer, shared, "k"), *_named(writer, measured, "m")]
    beside, keys = writer.beside()
    of_these, bound = among(c, runs)
    sql = (
        f"{joined.tables[0]}select {', '.join(sql for sql, _ in chosen)} from tracking_run r{joined.joined(writer.seq)}"  # noqa: S608 - names of this slice; values are bound
        f"{beside} where r.seq {of_these} order by r.seq"
    )
    values = [value for _, values in chosen for value in values]
    return [list(some) for some in _columns_of(each(c, sql, [*joined.tables[1], *values, *keys, *bound]), len(chosen))]


def _columns_of(found: Iterable[Any], count: int) -> Iterable[Iterable[Any]]:
    return list(zip(*found, strict=True)) or [()] * count


def _named(writer: Writer, values: list[Value], letter: str) -> list[Sql]:
    found = [writer.value(value) for value in values]
    cast = "cast({} as double precision)" if letter == "m" else "{}"
    return [(f"{cast.format(sql)} as {letter}{number}", bound) for number, (sql, bound) in enumerate(found)]


def _last_if_missing(keys: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    return [(key is None, key) for key in keys]


def _spread_of(runs: list[int], figure: Sequence[float | None]) -> MetricSpread:
    """How the figure of these runs lies, which is None or NaN where one lacks it.

    Deviations are from the mean, taken first: sums of squares would lose what is small beside it.
    """
    values = [value for value in map(figure.__getitem__, runs) if value is not None and value == value]
    if not values:
        return MetricSpread(count=0, mean=None, std=None, min=None, max=None)
    mean = sum(values) / len(values)
    squares = sum([(value - mean) * (value - mean) for value in values])
    std = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    return MetricSpread(
        count=len(values), mean=None if math.isnan(mean) else mean,
        std=std if std is not None and math.isfinite(std) else None, min=min(values), max=max(values),
    )  # fmt: skip
