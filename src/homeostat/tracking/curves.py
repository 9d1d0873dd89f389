"""Metrics as a chart needs them: few points, and no peak lost between them."""

from __future__ import annotations

import itertools
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.courses import courses
from homeostat.tracking.model import MetricCurve

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.tracking.codec import Columns

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

    def read(c: sa.Connection) -> dict[str, dict[str, Columns]]:
        return {id: courses(c, store.seq_of(c, id), keys) for id in dict.fromkeys(ids)}

    found = ws.db.read(read)
    return [thin(id, key, found[id][key], points, from_step, to_step) for id in ids for key in keys if key in found[id]]


def thin(
    run: str, key: str, course: Columns, points: int, from_step: int | None = None, to_step: int | None = None
) -> MetricCurve:
    """`course`, or what of it lies between two steps with the points beside, in at most `points` points.

    >>> spike = array("q", range(1000)), array("q", range(1000)), array("d", [9.0 * (n == 57) for n in range(1000)])
    >>> curve = thin("r", "loss", spike, 11)
    >>> len(curve.steps), curve.steps[0], curve.steps[-1], max(curve.values), max(curve.high)
    (11, 0, 999, 0.0, 9.0)
    >>> thin("r", "loss", spike, 11, from_step=35, to_step=40).steps
    [34, 35, 36, 37, 38, 39, 40, 41]
    """
    steps, times, values = course
    first = 0 if from_step is None else max(0, bisect_left(steps, from_step) - 1)
    total = (len(steps) if to_step is None else min(len(steps), bisect_right(steps, to_step) + 1)) - first
    ends = [first, first + 1]  # the first point stands alone
    if total > 1:
        wanted = min(points, total) - 1
        ends += [first + 1 + round(i * (total - 1) / wanted) for i in range(1, wanted + 1)]
    last = [end - 1 for end in ends[1:]]
    stretches = [] if total <= points else [_finite(values[a:b]) for a, b in itertools.pairwise(ends)]
    return MetricCurve(
        run=run, key=key, points=len(steps),
        steps=[steps[at] for at in last],
        at_ms=[times[at] for at in last],
        values=[values[at] if math.isfinite(values[at]) else None for at in last],
        low=[min(stretch, default=None) for stretch in stretches],
        high=[max(stretch, default=None) for stretch in stretches],
    )  # fmt: skip


def _finite(stretch: array[float]) -> Sequence[float]:
    return stretch if all(map(math.isfinite, stretch)) else [value for value in stretch if math.isfinite(value)]
