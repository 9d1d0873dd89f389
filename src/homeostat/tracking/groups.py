"""Runs in groups: how many share what, and how their metrics lie."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.statements import rows
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking.model import MetricSpread, RunGroup, RunKind, RunStatus
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.figures import figures
from homeostat.tracking.query.parsing import parse, parse_value
from homeostat.tracking.query.sql import Sql, Writer
from homeostat.tracking.query.tree import Value
from homeostat.tracking.query.values import as_number, as_text

_MOST_BY, _MOST_METRICS, _MOST_GROUPS = 5, 10, 1000


@verb(permission="tracking:read")
def group_runs(
    ws: Workspace,
    query: str | None = None,
    by: list[str] | None = None,
    metrics: list[str] | None = None,
    experiment: str | None = None,
    kind: RunKind | None = None,
    status: RunStatus | None = None,
    limit: int = 100,
) -> list[RunGroup]:
    """The runs that fit, grouped by what they share, with mean, spread and range of some of their figures.

    `by` and `metrics` are values of the query language: `by=["run.params.model", "run.experiment"]`,
    `metrics=["run.metrics.auc.max"]`; without `by` all are one group. Groups come in the order of what they share,
    runs that lack it last; at most `limit` of them, at most 1000. `std` is that of a sample, None of fewer than two.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     for seed, loss in enumerate([0.5, 0.25, 0.1]):
    ...         run = ws.tracking.create_run(params={"model": "mlp" if seed else "cnn"})
    ...         ws.tracking.log_metrics(run.id, {"loss": loss})
    ...     for group in ws.tracking.group_runs(by=["run.params.model"], metrics=["run.metrics.loss"]):
    ...         group.by, group.runs, group.metrics["run.metrics.loss"].mean
    ({'run.params.model': 'cnn'}, 1, 0.5)
    ({'run.params.model': 'mlp'}, 2, 0.175)
    """
    by, metrics = list(dict.fromkeys(by or [])), list(dict.fromkeys(metrics or []))
    if len(by) > _MOST_BY or len(metrics) > _MOST_METRICS or not 1 <= limit <= _MOST_GROUPS:
        raise InvalidInput(
            f"{limit} groups by {len(by)} values of {len(metrics)} figures",
            hint=f"at most {_MOST_GROUPS} groups by {_MOST_BY} values of {_MOST_METRICS} figures",
        )
    tree, shared, measured = parse(query), [parse_value(text) for text in by], [_figure(text) for text in metrics]

    def read(c: sa.Connection) -> list[RunGroup]:
        base = Base("active", experiment, kind, None, status)
        joined = figures(c, base, tree, [*shared, *measured])
        writer = Writer(c.dialect.name == "postgresql", joined.names)
        chosen = [*_named(writer, shared, "k"), *_named(writer, measured, "m")]
        held, bound = writer.condition(tree)
        of_all, first = base.on_runs(writer.postgres)
        beside, keys = writer.beside()
        source = f"tracking_run r{joined.joined(writer.seq)}{beside}"
        runs: Sql = (
            f"select {', '.join(['r.seq', *(sql for sql, _ in chosen)])} from {source}"  # noqa: S608 - names of this slice; values are bound
            f" where {held} and {of_all}",
            [*(value for _, values in chosen for value in values), *keys, *bound, *first],
        )
        tables = joined.tables[0].removeprefix("with ").rstrip()
        sql = _grouped(f"{tables}, " if tables else "", runs[0], len(shared), len(measured), limit, writer.postgres)
        found = rows(c, sql, [*joined.tables[1], *runs[1]])
        return [_group(row, by, metrics) for row in found]

    return ws.db.read(read)


def _figure(text: str) -> Value:
    value: Value = as_number(parse_value(text))
    if value.kind != "number":
        raise InvalidInput(f"{text[:80]!r} is not a number", hint="such as run.metrics.auc.max or run.duration")
    return value


def _named(writer: Writer, values: list[Value], letter: str) -> list[Sql]:
    found = [writer.value(as_text(v) if v.kind == "either" else v) for v in values]
    cast = "cast({} as double precision)" if letter == "m" else "{}"
    return [(f"{cast.format(sql)} as {letter}{number}", bound) for number, (sql, bound) in enumerate(found)]


def _grouped(tables: str, runs: str, shared: int, measured: int, limit: int, postgres: bool) -> str:
    """Deviations are from the mean of the group, taken first: sums of squares would lose what is small beside it."""
    keys = [f"k{number}" for number in range(shared)]
    means = "".join(f", avg(m{n}) as a{n}" for n in range(measured))
    figures_of = "".join(
        f", count(m{n}), avg(m{n}), min(m{n}), max(m{n}), sum((m{n} - a{n}) * (m{n} - a{n}))" for n in range(measured)
    )
    # Texts by code points, and what is missing last, on every database.
    order = ", ".join(f"case when found.{key} is null then 1 else 0 end, found.{key}" for key in keys)
    named = "".join(f"found.{key}, " for key in keys)
    ends = f" group by {named[:-2]} order by {order}" if keys else ""
    same = " and ".join(_same(f"found.{key}", f"means.{key}", postgres) for key in keys) or "1 = 1"
    return (
        f"with {tables}found as materialized ({runs}),"  # noqa: S608 - names of this module
        f" means as materialized (select {named}count(*) as runs{means} from found{ends} limit {limit})"
        f" select {named}count(*){figures_of} from found join means on {same}{ends} limit {limit}"
    )


def _same(a: str, b: str, postgres: bool) -> str:
    """`a` is `b`, or both are missing, so that it can be looked up: PostgreSQL does so for equal values only."""
    if not postgres:
        return f"{a} is {b}"
    return f"coalesce(cast({a} as text), '') = coalesce(cast({b} as text), '') and ({a} is null) = ({b} is null)"


def _group(row: Any, by: list[str], metrics: list[str]) -> RunGroup:
    shared, runs, rest = row[: len(by)], row[len(by)], row[len(by) + 1 :]
    spreads: dict[str, MetricSpread] = {}
    for number, name in enumerate(metrics):
        count, mean, least, most, squares = rest[5 * number : 5 * number + 5]
        std = math.sqrt(squares / (count - 1)) if squares is not None and count > 1 else None
        spreads[name] = MetricSpread(count=count, mean=mean, std=std, min=least, max=most)
    return RunGroup(by=dict(zip(by, shared, strict=True)), runs=runs, metrics=spreads)
