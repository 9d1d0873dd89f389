"""Figures that no column holds: the first value, the value at a step, and what was logged for a model or a dataset.

Each is found for the runs it is asked of and joined to them under a name. The first value and the value at a step mean
opening points, so they are only had for so many runs: the rest of the query must leave no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.statements import rows
from homeostat.tracking.codec import Point
from homeostat.tracking.metrics import points_of
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.parsing import conditions_of
from homeostat.tracking.query.sql import Sql, Writer, joins, parts_of
from homeostat.tracking.query.tree import Condition, Every, Metric

_MOST_RUNS, _MOST_FIGURES = 5000, 3


class Figures:
    """The figures a query needs beside its tables: `tables` defines them, `joined` joins them to the run."""

    def __init__(self) -> None:
        self.names: dict[Metric, str] = {}
        self.tables: Sql = ("", [])

    def joined(self, seq: str) -> str:
        """What joins them to the run whose number is `seq`."""
        return "".join(f" left join {name} on {name}.run_seq = {seq}" for name in self.names.values())


def figures(c: sa.Connection, base: Base, tree: Condition, others: Iterable[Any] = ()) -> Figures:
    """What `tree` and `others` (what is ordered by, or given) need; `base` holds of all runs."""
    found = Figures()
    wanted = dict.fromkeys(part for part in parts_of((tree, *others)) if isinstance(part, Metric) and joins(part))
    if len(wanted) > _MOST_FIGURES:
        raise InvalidInput(
            f"{len(wanted)} figures are asked for that need the points themselves", hint=f"at most {_MOST_FIGURES}"
        )
    sql: list[str] = []
    bound: list[Any] = []
    for number, metric in enumerate(wanted):
        name = f"f{number}"
        found.names[metric] = name
        if metric.model or metric.dataset:
            text, values = _of_model(metric)
        else:
            text, values = _of_points(c, base, tree, metric)
        sql.append(f"{name}(run_seq, value) as ({text})")
        bound += values
    if sql:
        found.tables = (f"with {', '.join(sql)} ", bound)
    return found


def _of_model(metric: Metric) -> Sql:
    names = {"key": metric.key, "model_id": metric.model, "dataset_name": metric.dataset}
    asked = {column: value for column, value in names.items() if value}
    where, bound = " and ".join(f"{column} = ?" for column in asked), list(asked.values())
    rows_of = f"from tracking_model_metric where {where}"
    if metric.part in ("count", "min", "max", "step"):
        figure = {"count": "count(*)", "step": "max(step)"}.get(metric.part, f"{metric.part}(value)")
        return f"select run_seq, {figure} {rows_of} group by run_seq", bound
    if metric.part == "at":
        rows_of, bound = f"{rows_of} and step = ?", [*bound, metric.step]
    step = "step" if metric.part == "first" else "step desc"
    order = f"partition by run_seq order by {step}, at_ms desc, coalesce(value, 0) desc, id desc"
    return (
        f"select q.run_seq, q.value from (select run_seq, value, row_number() over ({order}) as place {rows_of}) q"  # noqa: S608 - names of this file
        " where q.place = 1",
        bound,
    )


def _of_points(c: sa.Connection, base: Base, tree: Condition, metric: Metric) -> Sql:
    # What must hold beside it, and can be told without points, leaves the runs whose points are opened.
    rest = [part for part in conditions_of(tree) if not any(isinstance(p, Metric) and joins(p) for p in parts_of(part))]
    postgres = c.dialect.name == "postgresql"
    of_all, first = base.on_runs(postgres)
    writer = Writer(postgres)
    held, bound = writer.condition(Every(tuple(rest)))
    beside, keys = writer.beside()
    having = "exists (select 1 from tracking_series o where o.run_seq = r.seq and o.key = ?)"
    sql = f"select r.seq from tracking_run r{beside} where {of_all} and {held} and {having} limit {_MOST_RUNS + 1}"  # noqa: S608 - made here; values are bound
    seqs = [seq for (seq,) in rows(c, sql, [*keys, *first, *bound, metric.key])]
    if len(seqs) > _MOST_RUNS:
        raise InvalidInput(
            f"the points of more than {_MOST_RUNS} runs would have to be opened for '{metric.key}'",
            hint='ask of fewer runs, such as run.experiment == "…" and …; .last, .min and .max need no points',
        )
    values: list[Any] = []
    for seq in seqs:
        value = _value(points_of(c, seq, metric.key), metric)
        values += [seq, value if value == value else None]
    return f"values {', '.join(['(?, ?)'] * max(1, len(seqs)))}", values or [-1, None]


def _value(points: list[Point], metric: Metric) -> float | None:
    """The value at the step asked for: of several the latest, of one time the greatest."""
    if not points:
        return None
    step = min(point.step for point in points) if metric.part == "first" else metric.step
    found = [point for point in points if point.step == step]
    return found[-1].value if found else None  # they come ordered by time, step and value
