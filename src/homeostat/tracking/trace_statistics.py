"""Statistics over traces, their spans and what was said of them; how much two filters have to do with each other."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.foreign import invalid
from homeostat.core.foreign_search import Comparison
from homeostat.core.records import from_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.otel_words import plain
from homeostat.tracking.trace_facts import SESSION, Facts, Span, said_value
from homeostat.tracking.trace_filter import NAME, RUN, read_filter
from homeostat.tracking.trace_hints import hint
from homeostat.tracking.trace_search import matching, within
from homeostat.tracking.traces import Trace, assessments_of

_TRACE, _PART = store.trace, 500
_NUMBERS = ("AVG", "MAX", "MIN", "PERCENTILE")
_SUMS = (*_NUMBERS, "SUM")
_TOKENS = "input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"
_COSTS = "input_cost", "output_cost", "total_cost"
_MODELS = ("span_model_name", "span_model_provider")
# Of each view: what can be measured, how it may be summed up, by what it may be told apart.
VIEWS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "TRACES": {
        "trace_count": (("COUNT",), ("trace_name", "trace_status")),
        "session_count": (("COUNT",), ()),
        "latency": (_NUMBERS, ("trace_name",)),
        **dict.fromkeys(_TOKENS, (_SUMS, ("trace_name",))),
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
_KEYED = {"trace": {"status": False, "tag": True, "metadata": True},
          "span": {"name": False, "status": False, "type": False},
          "assessment": {"name": False, "type": False}}  # fmt: skip
_FILTER = re.compile(r"""\s*(\w+)\.(\w+)(?:\.(`[^`]*`|"[^"]*"|[^\s=!<>'"`]+))?\s*([=!<>]+|\w+)\s*(.*?)\s*""", re.DOTALL)
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


class _Asked(NamedTuple):
    experiment_ids: Sequence[int]
    view: str
    metric: str
    dimensions: tuple[str, ...]
    interval_s: int
    since_ms: int | None
    until_ms: int | None


class _Row(NamedTuple):
    trace: Trace
    at_ms: int
    span: Span | None = None
    said: dict[str, Any] | None = None


class _Test(NamedTuple):
    """A filter: whether a row meets it, what the database can say of it (`whole`: all), the column it looks at."""

    holds: Callable[[_Row, Facts], bool]
    must: sa.ColumnElement[bool] | None = None
    whole: bool = False
    column: str = ""


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
    tests = [_test(text, view) for text in filters]
    asked = _Asked(experiment_ids, view, metric, tuple(dimensions), interval_s, since_ms, until_ms)

    def read(c: sa.Connection) -> dict[tuple[Any, ...], Sequence[Any]]:
        by_columns = metric in ("trace_count", "latency") and set(dimensions) <= {"trace_status"} and view == "TRACES"
        groups = (_by_columns if by_columns and all(test.whole for test in tests) else _one_by_one)(c, asked, tests)
        if not dimensions and not interval_s and all(measure.kind == "COUNT" for measure in measures):
            groups.setdefault((), [])  # nothing at all is counted too
        return groups

    groups = ws.db.read(read)
    points: list[Point] = []
    for key in sorted(groups)[:limit]:
        names = (["time_bucket"] if interval_s else []) + list(dimensions)
        told = dict(zip(names, key, strict=True))
        if interval_s:
            told["time_bucket"] = datetime.fromtimestamp(key[0] / 1000, tz=UTC).isoformat()
        values = {one.name: _summed(groups[key], one, metric) for one in measures}
        points.append(Point({name: str(value) for name, value in told.items()}, values))
    return points


def correlate(ws: Workspace, experiment_ids: Sequence[int], first: str, second: str, base: str = "") -> Correlation:
    """How much two filters have to do with each other, among the traces that meet `base`. Raises: ForeignError."""
    trees = [read_filter(text) for text in (base, f"{base} AND {first}" if base else first,
                                            f"{base} AND {second}" if base else second)]  # fmt: skip

    def read(c: sa.Connection) -> list[set[str]]:
        return [{trace.id for trace in matching(c, experiment_ids, tree)} for tree in trees]

    total, one, two = ws.db.read(read)
    n, n1, n2, both = len(total), len(one), len(two), len(one & two)
    cells = (both, n1 - both, n2 - both, n - n1 - n2 + both)
    if min(cells) < 0:
        return Correlation(math.nan, math.nan, n1, n2, both, n)
    npmi = -1.0 if not both and n1 and n2 else _npmi(cells, 0)
    return Correlation(npmi, _npmi(cells, _MORE), n1, n2, both, n)


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


def _one_by_one(c: sa.Connection, asked: _Asked, tests: Sequence[_Test]) -> dict[tuple[Any, ...], Sequence[Any]]:
    """The values of each group, row by row."""
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    by_span_time = asked.view == "SPANS" and asked.metric in _COSTS
    width = asked.interval_s * 1000
    for row, facts in _rows(c, asked, tests, (None, None) if by_span_time else (asked.since_ms, asked.until_ms)):
        if by_span_time and not _within(row.at_ms, asked.since_ms, asked.until_ms):
            continue
        value = _value(row, asked.metric)
        if value is None or not all(test.holds(row, facts) for test in tests):
            continue
        bucket = (row.at_ms // width * width,) if width else ()
        key = (*bucket, *(_dimension(row, name) for name in asked.dimensions))
        if None not in key:
            groups[key].append(value)
    return dict(groups)


def _by_columns(c: sa.Connection, asked: _Asked, tests: Sequence[_Test]) -> dict[tuple[Any, ...], Sequence[Any]]:
    """As `_one_by_one`, of what the traces have columns for."""
    width = asked.interval_s * 1000
    bucket = _TRACE.c.request_ms.op("/", return_type=sa.BigInteger())(width) * width
    by = [*([bucket] if width else []), *([_TRACE.c.state] if asked.dimensions else [])]
    where = [*within(asked.experiment_ids, asked.since_ms, asked.until_ms),
             *(test.must for test in tests if test.must is not None)]  # fmt: skip
    if asked.metric == "trace_count":
        counted = sa.select(*by, sa.func.count()).where(*where)
        if by:
            counted = counted.group_by(*(sa.literal_column(str(at + 1)) for at in range(len(by))))
        return {tuple(key): range(count) for *key, count in c.execute(counted)}
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for *key, value in c.execute(sa.select(*by, _TRACE.c.duration_ms).where(*where, _TRACE.c.duration_ms.is_not(None))):
        groups[tuple(key)].append(value)
    return dict(groups)


def _rows(
    c: sa.Connection, asked: _Asked, tests: Sequence[_Test], around: tuple[int | None, int | None]
) -> Iterator[tuple[_Row, Facts]]:
    """Traces, their spans or what was said of them. Of a trace only what is asked for is read: its rows are wide."""
    columns = {*(test.column for test in tests), *(["tags"] if "trace_name" in asked.dimensions else [])}
    if asked.view == "TRACES" and asked.metric not in ("trace_count", "latency"):
        columns.add("metadata")
    names = [name for name in ("tags", "metadata") if name in columns]
    where = [*within(asked.experiment_ids, *around), *(test.must for test in tests if test.must is not None)]
    query = sa.select(
        _TRACE.c.id, _TRACE.c.experiment_id, _TRACE.c.request_ms, _TRACE.c.duration_ms, _TRACE.c.state,
        *(_TRACE.c[name] for name in names),
    ).where(*where)  # fmt: skip
    with c.execute(query, execution_options={"yield_per": _PART}) as found:
        for part in found.partitions():
            said = assessments_of(c, [row.id for row in part]) if asked.view == "ASSESSMENTS" else {}
            traces: list[Trace] = []
            for row in part:
                held = {name: from_json(value, dict[str, str]) for name, value in zip(names, row[5:], strict=True)}
                traces.append(Trace(
                    id=row.id, experiment_id=str(row.experiment_id), request_ms=row.request_ms, state=row.state,
                    duration_ms=row.duration_ms, assessments=said.get(row.id, []), tags=held.get("tags", {}),
                    metadata=held.get("metadata", {}),
                ))  # fmt: skip
            yield from _of(Facts(c, traces), traces, asked.view)


def _of(facts: Facts, traces: list[Trace], view: str) -> Iterator[tuple[_Row, Facts]]:
    for trace in traces:
        if view == "TRACES":
            yield _Row(trace, trace.request_ms), facts
        elif view == "SPANS":
            for span in facts.spans(trace.id):
                yield _Row(trace, span.body.get("start_time_unix_nano", 0) // 1_000_000, span), facts
        else:
            for said in trace.assessments:
                if said.get("valid") is not False:
                    yield _Row(trace, trace.request_ms, said=said), facts


def _within(at_ms: int, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or at_ms >= since_ms) and (until_ms is None or at_ms <= until_ms)


def _value(row: _Row, metric: str) -> Any:
    """What is summed up; None when the row has nothing of it."""
    match metric:
        case "trace_count" | "span_count" | "assessment_count":
            return 1
        case "session_count":
            return row.trace.metadata.get(SESSION)
        case "latency" if row.span is not None:
            start, end = row.span.body.get("start_time_unix_nano"), row.span.body.get("end_time_unix_nano")
            return None if not start or not end else (end - start) // 1_000_000
        case "latency":
            return row.trace.duration_ms
        case "assessment_value":
            return _as_number(_said(row))
        case _ if row.span is not None:
            cost = plain(row.span.attributes.get("mlflow.llm.cost"))
            return _finite(cost.get(metric)) if isinstance(cost, dict) else None
        case _:
            tokens = plain(row.trace.metadata.get("mlflow.trace.tokenUsage"))
            return _finite(tokens.get(metric)) if isinstance(tokens, dict) else None


def _said(row: _Row) -> Any:
    said = row.said or {}
    told = said.get("feedback") or said.get("expectation")
    return said_value(told) if told is not None else None


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return value if number else None


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return {"yes": 1.0, "no": 0.0}.get(value.strip().lower())
    found = _finite(value)
    return None if found is None else float(found)


def _dimension(row: _Row, name: str) -> str | None:
    span, said = row.span, row.said or {}
    match name:
        case "trace_name":
            return row.trace.tags.get(NAME)
        case "trace_status":
            return row.trace.state
        case "assessment_name":
            return said.get("assessment_name")
        case "assessment_value":
            return json.dumps(_said(row))
        case _ if span is None:
            return None
        case "span_name":
            return span.name
        case "span_type":
            return span.type
        case "span_status":
            return span.status
        case _:
            found = plain(
                span.attributes.get("mlflow.llm.model" if name == "span_model_name" else "mlflow.llm.provider")
            )
            return found[:500] if isinstance(found, str) else None


def _summed(values: Sequence[Any], measure: Measure, metric: str) -> float:
    match measure.kind:
        case "COUNT":
            return len(set(values)) if metric == "session_count" else len(values)
        case "SUM":
            return sum(values)
        case "AVG":
            return sum(values) / len(values)
        case "MIN":
            return min(values)
        case "MAX":
            return max(values)
        case _:
            there = sorted(values)
            at = (measure.percent or 0) / 100 * (len(there) - 1)
            low = math.floor(at)
            high = min(low + 1, len(there) - 1)
            return there[low] + (there[high] - there[low]) * (at - low)


def _test(text: str, view: str) -> _Test:
    """A filter of statistics: one comparison, by = only."""
    found = _FILTER.fullmatch(text[:10_000])
    if found is None:
        if (bare := re.match(r"\s*(\w+)\s*[=!<>]", text)) is not None:
            raise invalid(
                f"Invalid identifier '{bare[1][:100]}'. Columns should be specified as 'trace.<key>', 'span.<key>',"
                " 'assessment.<key>'."
            )
        raise invalid(f"Invalid clause(s) in filter string: {text[:200]}")
    of, entity, key, sign, value = found.groups()
    if of not in _KEYED:
        raise invalid(f"Invalid view type '{of[:100]}'. Valid values are {list(_KEYED)}")
    if entity not in _KEYED[of]:
        raise invalid(
            f"Invalid entity '{entity[:100]}' specified for view type '{of}'. Valid entities are {list(_KEYED[of])}"
        )
    if _KEYED[of][entity] and key is None:
        raise invalid(f"Filtering by {entity} requires a key, e.g. '{of}.{entity}.<key> = <value>'")
    if not _KEYED[of][entity] and key is not None:
        raise invalid(f"Filtering by {entity} does not require a key, use '{of}.{entity}' instead")
    if sign != "=":
        raise invalid(f"Invalid comparator: '{sign[:20]}', only '=' operator is supported")
    if len(value) < 2 or value[0] not in "'\"" or value[-1] != value[0]:
        raise invalid(f"Expected a quoted string value for {entity} value (e.g. 'my-value'). Got value {value[:100]}")
    if value[0] in value[1:-1]:
        raise invalid(f"Invalid filter: '{text[:200]}'. Expected one filter clause.")
    if (of == "span" and view != "SPANS") or (of == "assessment" and view != "ASSESSMENTS"):
        raise invalid(f"Filtering by {of} is only supported for {of.upper()}S view type, got {view}")
    name, value = (key or "").strip("`\"'"), value[1:-1]
    holds = _tester(of, entity, name, value)
    if of != "trace":
        return _Test(holds)
    if entity == "status":
        return _Test(holds, _TRACE.c.state == value, whole=True)
    must = hint(Comparison(entity, name, "=", value), of_sessions=False)
    return _Test(holds, must, column="tags" if entity == "tag" else "metadata")


def _tester(of: str, entity: str, key: str, value: str) -> Callable[[_Row, Facts], bool]:
    if of == "span":
        return lambda row, _: row.span is not None and getattr(row.span, entity) == value
    if of == "assessment":
        if entity == "name":
            return lambda row, _: (row.said or {}).get("assessment_name") == value
        return lambda row, _: (row.said or {}).get(value) is not None
    if entity == "status":
        return lambda row, _: row.trace.state == value
    if entity == "tag":
        return lambda row, _: row.trace.tags.get(key) == value
    if key == RUN:
        return lambda row, facts: row.trace.metadata.get(key) == value or value in facts.runs(row.trace.id)
    return lambda row, _: row.trace.metadata.get(key) == value
