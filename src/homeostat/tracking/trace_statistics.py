"""Statistics over traces, their spans and what was said of them; how much two filters have to do with each other.

The database groups and sums up narrow rows (`trace_words`, the index of the traces); percentiles are those of MLflow,
between the two values beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from homeostat.core.foreign import invalid
from homeostat.core.foreign_search import Group
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, trace_store
from homeostat.tracking.trace_filter import read_filter
from homeostat.tracking.trace_search import count, within
from homeostat.tracking.trace_statistic_filters import Met, conditions, read_statistic_filter
from homeostat.tracking.trace_words import TOKEN_KINDS

_TRACE, _SAID, _FACT = store.trace, store.assessment, trace_store.fact
_NUMBERS = ("AVG", "MAX", "MIN", "PERCENTILE")
_SUMS = (*_NUMBERS, "SUM")
_COSTS = "input_cost", "output_cost", "total_cost"
_MODELS = ("span_model_name", "span_model_provider")
# Of each view: what can be measured, how it may be summed up, by what it may be told apart.
VIEWS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "TRACES": {
        "trace_count": (("COUNT",), ("trace_name", "trace_status")),
        "session_count": (("COUNT",), ()),
        "latency": (_NUMBERS, ("trace_name",)),
        **dict.fromkeys(TOKEN_KINDS, (_SUMS, ("trace_name",))),
    },
    "SPANS": {
        "span_count": (("COUNT",), ("span_name", "span_type", "span_status", *_MODELS)),
        "latency": (_NUMBERS, ("span_name", "span_status")),
        **dict.fromkeys(_COSTS, (_SUMS, _MODELS)),
    },
    "ASSESSMENTS": {
        "assessment_count": (("COUNT",), ("assessment_name", "assessment_value")),
        "assessment_value": (_NUMBERS, ("assessment_name",)),
    },
}
_VALUES: dict[str, dict[str, sa.ColumnElement[Any]]] = {
    "TRACES": {
        "session_count": _TRACE.c.session, "latency": _TRACE.c.duration_ms,
        **{kind: _TRACE.c[kind] for kind in TOKEN_KINDS},
    },
    "SPANS": {"latency": _FACT.c.duration_ms, **{cost: _FACT.c[cost] for cost in _COSTS}},
    "ASSESSMENTS": {"assessment_value": _SAID.c.number},
}  # fmt: skip
_DIMENSIONS: dict[str, sa.ColumnElement[Any]] = {
    "trace_name": _TRACE.c.name, "trace_status": _TRACE.c.state, "span_name": _FACT.c.name, "span_type": _FACT.c.type,
    "span_status": _FACT.c.status, "span_model_name": _FACT.c.model, "span_model_provider": _FACT.c.provider,
    "assessment_name": _SAID.c.name, "assessment_value": _SAID.c.value,
}  # fmt: skip
_MORE = 0.5  # added to each count, so that few traces prove little (Jeffreys)


class Measure(NamedTuple):
    """How values are summed up: COUNT, SUM, AVG, MIN, MAX or PERCENTILE with the percentage."""

    kind: str
    percent: float | None = None

    @property
    def name(self) -> str:
        """As the answer calls it."""
        return self.kind if self.percent is None else f"P{self.percent}"


class Point(NamedTuple):
    """The values of one group."""

    dimensions: dict[str, str]
    values: dict[str, float]


class Correlation(NamedTuple):
    """How often traces meet two filters, and how much more often both than by chance (-1 to 1; NaN: unknown)."""

    npmi: float
    npmi_smoothed: float
    filter1_count: int
    filter2_count: int
    joint_count: int
    total_count: int


def query(
    ws: Workspace,
    experiment_ids: Sequence[int],
    view: str,
    metric: str,
    measures: Sequence[Measure],
    dimensions: Sequence[str] = (),
    filters: Sequence[str] = (),
    interval_s: int = 0,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int = 1000,
) -> list[Point]:
    """Sum up a metric of a view, in groups by time and dimensions. Raises: ForeignError."""
    _check(view, metric, measures, dimensions)
    if interval_s and (since_ms is None or until_ms is None):
        raise invalid("start_time_ms and end_time_ms are required if time_interval_seconds is set")
    tests = [read_statistic_filter(text, view) for text in filters]
    width = interval_s * 1000

    def read(c: sa.Connection) -> list[tuple[Any, ...]]:
        met = conditions(c, experiment_ids, tests)
        rows, time, where = _rows(view, metric, experiment_ids, (since_ms, until_ms), met)
        by = [time.op("/", return_type=sa.BigInteger())(width) * width] if width else []
        by += [_DIMENSIONS[name] for name in dimensions]
        value = _VALUES[view].get(metric)
        summed = [_summed(c.dialect.name, one, value) for one in measures]
        present = [*(_DIMENSIONS[name] for name in dimensions), *([] if value is None else [value])]
        asked = sa.select(*by, *summed).select_from(rows).where(*where, *(one.is_not(None) for one in present))
        if by:
            asked = asked.group_by(*(sa.literal_column(str(at + 1)) for at in range(len(by))))
        found = [tuple(row) for row in c.execute(asked)]
        if by or all(one.kind == "COUNT" for one in measures):
            return found  # nothing at all is counted too
        return [row for row in found if row[0] is not None]

    keys = (1 if interval_s else 0) + len(dimensions)
    points: list[Point] = []
    for row in sorted(ws.db.read(read), key=lambda row: row[:keys])[:limit]:
        told = dict(zip((["time_bucket"] if interval_s else []) + list(dimensions), map(str, row), strict=False))
        if interval_s:
            told["time_bucket"] = datetime.fromtimestamp(row[0] / 1000, tz=UTC).isoformat()
        values = {one.name: _value(one, found) for one, found in zip(measures, row[keys:], strict=True)}
        points.append(Point(told, values))
    return points


def correlate(ws: Workspace, experiment_ids: Sequence[int], first: str, second: str, base: str = "") -> Correlation:
    """How much two filters have to do with each other, among the traces that meet `base`. Raises: ForeignError."""
    of_all = read_filter(base)
    one, two = (read_filter(f"{base} AND {text}" if base else text) for text in (first, second))
    both = Group("and", (one, two)) if one is not None and two is not None else one or two
    n, n1, n2, n12 = ws.db.read(lambda c: [count(c, experiment_ids, tree) for tree in (of_all, one, two, both)])
    cells = (n12, n1 - n12, n2 - n12, n - n1 - n2 + n12)
    if min(cells) < 0:
        return Correlation(math.nan, math.nan, n1, n2, n12, n)
    npmi = -1.0 if not n12 and n1 and n2 else _npmi(cells, 0)
    return Correlation(npmi, _npmi(cells, _MORE), n1, n2, n12, n)


def _npmi(cells: tuple[int, int, int, int], more: float) -> float:
    """Pointwise mutual information by that of two things that are always together."""
    both, one, two, neither = (cell + more for cell in cells)
    n, n1, n2 = both + one + two + neither, both + one, both + two
    if n1 <= 0 or n2 <= 0 or both <= 0:
        return math.nan
    if one == two == neither == 0:
        return 1.0
    found = math.log(both * n / (n1 * n2)) / -math.log(both / n)
    return max(-1.0, min(1.0, found))


def _check(view: str, metric: str, measures: Sequence[Measure], dimensions: Sequence[str]) -> None:
    metrics = VIEWS[view]
    if metric not in metrics:
        raise invalid(f"metric_name must be one of {list(metrics)}, got '{metric[:100]}'")
    kinds, known = metrics[metric]
    if wrong := sorted({one.kind for one in measures} - set(kinds)):
        raise invalid(f"Found invalid aggregation_type(s): {wrong}. Supported aggregation types: {sorted(kinds)}")
    if wrong := sorted(set(dimensions) - set(known)):
        raise invalid(f"Found invalid dimension(s): {wrong}. Supported dimensions: {sorted(known)}")


def _rows(
    view: str, metric: str, experiment_ids: Sequence[int], around: tuple[int | None, int | None], met: Met
) -> tuple[Any, sa.ColumnElement[Any], list[sa.ColumnElement[bool]]]:
    """What is summed up, the time that its groups are told apart by, and what must hold of it."""
    if view == "TRACES":
        return _TRACE, _TRACE.c.request_ms, [*within(experiment_ids, *around), *met.by_trace]
    if view == "ASSESSMENTS":
        rows = _TRACE.join(_SAID, _SAID.c.trace_id == _TRACE.c.id)
        where = [*within(experiment_ids, *around), *met.by_trace, _SAID.c.valid, *met.by_row]
        return rows, _TRACE.c.request_ms, where
    # Spans are taken by the time of their traces; what they cost, by their own.
    cost = metric in _COSTS
    if not met.by_trace:
        time = _FACT.c.start_ms if cost else _FACT.c.request_ms
        where = [*within(experiment_ids, *around, of=_FACT.c.experiment_id, time=time), *met.by_row]
        return _FACT, _FACT.c.start_ms, where
    # Asked of the trace, so that its spans are looked up by nothing but what they have in common.
    time = _FACT.c.start_ms if cost else _TRACE.c.request_ms
    # + 0: SQLite would look for the spans of each trace in the whole time asked for.
    same = [_FACT.c.experiment_id == _TRACE.c.experiment_id, _FACT.c.request_ms == _TRACE.c.request_ms + 0]
    rows = _TRACE.join(_FACT, sa.and_(*same, _FACT.c.trace_id == _TRACE.c.id))
    return rows, _FACT.c.start_ms, [*within(experiment_ids, *around, time=time), *met.by_trace, *met.by_row]


def _summed(dialect: str, measure: Measure, value: sa.ColumnElement[Any] | None) -> sa.ColumnElement[Any]:
    if value is None:
        return sa.func.count()
    match measure.kind:
        case "COUNT":
            return sa.func.count(value.distinct())
        case "PERCENTILE" if dialect == "postgresql":
            return sa.func.percentile_cont((measure.percent or 0) / 100).within_group(value)
        case "PERCENTILE":
            # All values of a group at once: to take them out one by one would take most of the time.
            return sa.func.json_group_array(value)
        case kind:
            return getattr(sa.func, kind.lower())(value)


def _value(measure: Measure, found: Any) -> float:
    if measure.kind == "COUNT":
        return int(found)
    if measure.kind != "PERCENTILE" or not isinstance(found, str):
        return float(found)
    there = sorted(msgspec.json.decode(found, type=list[float]))
    at = (measure.percent or 0) / 100 * (len(there) - 1)
    low = math.floor(at)
    high = min(low + 1, len(there) - 1)
    return there[low] + (there[high] - there[low]) * (at - low)
