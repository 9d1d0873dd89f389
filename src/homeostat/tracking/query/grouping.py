"""Groups of the runs that fit, and how figures lie in each.

PostgreSQL counts by itself, in one pass. SQLite would sort all runs for that, three times, and look up each figure in a
table of its own place: here it gives the rows as they lie, and each figure of all runs from its index at once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.records import to_json
from homeostat.core.statements import each, rows
from homeostat.tracking.model import MetricSpread
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.figures import figures
from homeostat.tracking.query.sql import Sql, Writer, column_of, joins
from homeostat.tracking.query.tree import Condition, Metric, Value
from homeostat.tracking.query.values import as_text

# Figures of more runs than these are read for all runs, in the order of the index that has them.
_MANY = 10_000
_INDEXED = ("last_value", "min_value", "max_value")


class Group(NamedTuple):
    """What the runs share, how many they are, and how each figure lies."""

    keys: tuple[Any, ...]
    runs: int
    spreads: list[MetricSpread]


def in_sql(
    c: sa.Connection, base: Base, tree: Condition, shared: list[Value], measured: list[Value], limit: int
) -> list[Group]:
    """The first `limit` groups on PostgreSQL, whose deviations lose nothing that is small beside the mean."""
    (sql, bound), tables = _runs(c, base, tree, shared, measured)
    keys = [f"found.k{number}" for number in range(len(shared))]
    figures_of = "".join(
        f", count(m{n}), avg(m{n}), min(m{n}), max(m{n}), stddev_samp(m{n})" for n in range(len(measured))
    )
    # What is missing comes last.
    order = ", ".join(f"case when {key} is null then 1 else 0 end, {key}" for key in keys)
    ends = f" group by {', '.join(keys)} order by {order}" if keys else ""
    found = rows(
        c,
        f"{tables[0]}select {''.join(f'{key}, ' for key in keys)}count(*){figures_of} from ({sql}) found{ends}"  # noqa: S608 - names of this slice; values are bound
        f" limit {limit}",
        [*tables[1], *bound],
    )
    by = len(shared)
    return [
        Group(
            row[:by], row[by],
            [_spread(*row[by + 1 + 5 * n : by + 6 + 5 * n]) for n in range(len(measured))],
        )
        for row in found
    ]  # fmt: skip


def counted(
    c: sa.Connection, base: Base, tree: Condition, shared: list[Value], measured: list[Value], limit: int
) -> list[Group]:
    """The first `limit` groups on SQLite."""
    apart = [isinstance(value, Metric) and not joins(value) for value in measured]
    beside = [number for number, own in enumerate(apart) if not own]
    (sql, bound), tables = _runs(c, base, tree, shared, [measured[number] for number in beside])
    members = defaultdict[tuple[Any, ...], list[int]](list)
    if not shared:
        members[()] = []
    found: list[dict[int, float | None]] = [{} for _ in measured]
    # In the order in which parameters and tags lie.
    for row in each(c, f"{tables[0]}{sql} order by r.seq", [*tables[1], *bound]):
        members[row[1 : 1 + len(shared)]].append(row[0])
        for number, figure in zip(beside, row[1 + len(shared) :], strict=True):
            found[number][row[0]] = figure
    for number, value in enumerate(measured):
        if apart[number]:
            found[number] = _figure_of(c, value, members.values())
    first = sorted(members, key=_last_if_missing)[:limit]
    return [Group(keys, len(members[keys]), [_spread_of(members[keys], figure) for figure in found]) for keys in first]


def _runs(c: sa.Connection, base: Base, tree: Condition, shared: list[Value], measured: list[Value]) -> tuple[Sql, Sql]:
    """The runs that fit: their number, what they share (k0, k1, …) and figures (m0, …); and the tables for that."""
    joined = figures(c, base, tree, [*shared, *measured])
    writer = Writer(c.dialect.name == "postgresql", joined.names)
    chosen = [*_named(writer, shared, "k"), *_named(writer, measured, "m")]
    held, bound = writer.condition(tree)
    of_all, first = base.on_runs(writer.postgres)
    beside, keys = writer.beside()
    source = f"tracking_run r{joined.joined(writer.seq)}{beside}"
    sql = f"select {', '.join(['r.seq', *(sql for sql, _ in chosen)])} from {source} where {held} and {of_all}"  # noqa: S608 - names of this slice; values are bound
    return (sql, [*(value for _, values in chosen for value in values), *keys, *bound, *first]), joined.tables


def _named(writer: Writer, values: list[Value], letter: str) -> list[Sql]:
    found = [writer.value(as_text(v) if v.kind == "either" else v) for v in values]
    cast = "cast({} as double precision)" if letter == "m" else "{}"
    return [(f"{cast.format(sql)} as {letter}{number}", bound) for number, (sql, bound) in enumerate(found)]


def _figure_of(c: sa.Connection, metric: Value, members: Collection[list[int]]) -> dict[int, float | None]:
    """The figure of each of these runs, and perhaps of others."""
    assert isinstance(metric, Metric)
    column = column_of(metric)
    chosen = f"select x.run_seq, cast(x.{column} as double precision) from"
    if sum(map(len, members)) > _MANY and column in _INDEXED:
        return dict(each(c, f"{chosen} tracking_series x where x.key = ?", [metric.key]))
    source = "json_each(?) j cross join tracking_series x on x.run_seq = j.value and x.key = ?"
    return dict(each(c, f"{chosen} {source}", [to_json([seq for group in members for seq in group]), metric.key]))


def _last_if_missing(keys: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    return [(key is None, key) for key in keys]


def _spread_of(runs: list[int], figures_of: dict[int, float | None]) -> MetricSpread:
    """Deviations are from the mean, taken first: sums of squares would lose what is small beside it."""
    values = [value for value in map(figures_of.get, runs) if value is not None]
    if not values:
        return MetricSpread(count=0, mean=None, std=None, min=None, max=None)
    mean = sum(values) / len(values)
    squares = sum([(value - mean) * (value - mean) for value in values])
    std = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    return _spread(len(values), mean, min(values), max(values), std)


def _spread(count: int, mean: float | None, least: float | None, most: float | None, std: float | None) -> MetricSpread:
    if mean is not None and math.isnan(mean):
        mean = None
    std = std if std is not None and math.isfinite(std) else None
    return MetricSpread(count=count, mean=mean, std=std, min=least, max=most)
