"""Runs in groups: how many share what, and how their metrics lie."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import texts
from homeostat.tracking.model import RunGroup, RunKind, RunStatus
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.grouping import grouped
from homeostat.tracking.query.parsing import parse, parse_value
from homeostat.tracking.query.remembered import Columns
from homeostat.tracking.query.tree import Value
from homeostat.tracking.query.values import as_number

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
    runs that lack it last; at most `limit` of them, at most 1000. `std` is that of a sample, None of fewer than two,
    and where one of them is infinite.

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
        found = grouped(c, base, tree, shared, measured, limit, Columns.of(ws, c))
        return [
            RunGroup(by=dict(zip(by, keys, strict=True)), runs=runs, metrics=dict(zip(metrics, spreads, strict=True)))
            for keys, runs, spreads in found
        ]

    return texts.read(ws, tree, read)


def _figure(text: str) -> Value:
    value: Value = as_number(parse_value(text))
    if value.kind != "number":
        raise InvalidInput(f"{text[:80]!r} is not a number", hint="such as run.metrics.auc.max or run.duration")
    return value
