"""Metrics as a chart needs them: few points, and no peak lost between them."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking.metrics import metric_history
from homeostat.tracking.model import Metric, MetricCurve

_SERIES, _POINTS = 500, 5000


@verb(permission="tracking:read")
def metric_curves(
    ws: Workspace,
    ids: list[str],
    keys: list[str],
    points: int = 200,
    from_step: int | None = None,
    to_step: int | None = None,
) -> list[MetricCurve]:
    """The course of some metrics of some runs, each in at most `points` points, the first and the last among them.

    A longer course is cut into stretches of equal length: `values` has the last value of each, `low` and `high` its
    smallest and largest, so that a single peak among a million points is still seen. A run that never logged a metric
    has no curve for it. With `from_step` and `to_step` only what lies between them is cut, with the point before and
    the one after, so that a line can be drawn to the edge. At most 500 curves of 2 to 5000 points.
    """
    if len(ids) * len(keys) > _SERIES or not 2 <= points <= _POINTS:
        raise InvalidInput(
            f"{len(ids) * len(keys)} curves of {points} points", hint=f"at most {_SERIES} of 2 to {_POINTS}"
        )
    histories = ((id, key, metric_history(ws, id, key)) for id in ids for key in keys)
    return [thin(id, key, between(history, from_step, to_step), points) for id, key, history in histories if history]


def between(history: list[Metric], from_step: int | None, to_step: int | None) -> list[Metric]:
    """The points of these steps and the two beside them.

    >>> steps = [Metric(key="loss", value=0.0, step=step) for step in range(0, 100, 10)]
    >>> [metric.step for metric in between(steps, 35, 60)], len(between(steps, None, None))
    ([30, 40, 50, 60, 70], 10)
    """
    start = 0 if from_step is None else bisect_left(history, from_step, key=_step)
    stop = len(history) if to_step is None else bisect_right(history, to_step, key=_step)
    return history[max(0, start - 1) : stop + 1]


def _step(metric: Metric) -> int:
    return metric.step


def thin(run: str, key: str, history: list[Metric], points: int) -> MetricCurve:
    """`history` in at most `points` points.

    >>> spike = [Metric(key="loss", value=9.0 if step == 57 else 0.0, step=step) for step in range(1000)]
    >>> curve = thin("r", "loss", spike, 11)
    >>> len(curve.steps), curve.steps[0], curve.steps[-1], max(curve.values), max(curve.high)
    (11, 0, 999, 0.0, 9.0)
    """
    total = len(history)
    stretches = [history[:1]]
    if total > 1:
        wanted = min(points, total) - 1
        ends = [1 + round(i * (total - 1) / wanted) for i in range(wanted + 1)]
        stretches += [history[start:end] for start, end in itertools.pairwise(ends)]
    short = total <= points
    return MetricCurve(
        run=run, key=key, points=total,
        steps=[stretch[-1].step for stretch in stretches],
        at_ms=[stretch[-1].at_ms for stretch in stretches],
        values=[_finite(stretch[-1].value) for stretch in stretches],
        low=[] if short else [min(_numbers(stretch), default=None) for stretch in stretches],
        high=[] if short else [max(_numbers(stretch), default=None) for stretch in stretches],
    )  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _numbers(stretch: list[Metric]) -> list[float]:
    return [value for metric in stretch if (value := _finite(metric.value)) is not None]
