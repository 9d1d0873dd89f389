"""Filters of traces and statistics over them on each database, without a client."""

from __future__ import annotations

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.core.foreign import ForeignError
from homeostat.tracking.trace_filter import read_filter
from homeostat.tracking.trace_search import search_traces
from homeostat.tracking.trace_spans import preview, put_spans
from homeostat.tracking.trace_statistics import Measure, correlate, query
from homeostat.tracking.traces import Trace, create_assessment, get_trace, put_trace


def span(number: int, name: str = "s", parent: int = 0, of: str = "tr-0", **told: str) -> dict[str, object]:
    """One span of the trace `of`, as the exports give them."""
    said = {"mlflow.traceRequestId": f'"{of}"', **{key.replace("__", "."): value for key, value in told.items()}}
    made: dict[str, object] = {
        "trace_id": "AAAAAAAAAAAAAAAAAAAAAg==", "span_id": f"{number:08d}", "name": name,
        "start_time_unix_nano": number * 10**9, "end_time_unix_nano": (number + 1) * 10**9,
        "attributes": [{"key": key, "value": {"string_value": value}} for key, value in said.items()],
    }  # fmt: skip
    return {**made, "parent_span_id": f"{parent:08d}"} if parent else made


def made(ws: hs.Workspace, count: int = 4) -> None:
    for number in range(count):
        tags = {"mlflow.traceName": "even" if number % 2 == 0 else "odd", "n": str(number)}
        put_trace(ws, Trace(
            id=f"tr-{number}", experiment_id="0", request_ms=number * 1000, duration_ms=None if number == 3 else number,
            state="ERROR" if number == 2 else "OK", tags=tags, metadata={"mlflow.sourceRun": "r"} if number else {},
        ))  # fmt: skip
        put_spans(ws, "0", [span(number + 1, f"s{number}", of=f"tr-{number}", mlflow__spanType='"LLM"')])
        said = {"assessment_name": "good", "feedback": {"value": number}, "source": {"source_type": "HUMAN"}}
        create_assessment(ws, f"tr-{number}", said)


def found(ws: hs.Workspace, filter: str, *order: str) -> str:
    return "".join(one.id[-1] for one in search_traces(ws, [0], filter, order)[0])


def test_filters_and_orders_mean_the_same_on_each_database(any_ws: hs.Workspace):
    made(any_ws)
    for filter, wanted in {
        "": "3210", "name = 'odd'": "31", "status = 'ERROR'": "2", "status NOT IN ('ERROR')": "310",
        "execution_time_ms <= 1": "10", "end_time >= 2002": "32", "timestamp = 1000": "1", "run_id = 'r'": "321",
        "run_id != 'r'": "", "request_id IN ('tr-1', 'tr-9')": "1",
        "span.name LIKE 's_' AND tags.n RLIKE '^[01]$'": "10",
        "feedback.good >= 2": "32", "feedback.good = '2'": "2", "feedback.good != '2'": "310",
        "NOT (name = 'odd' OR status = 'ERROR')": "0", "name LIKE '%d%'": "31", "name LIKE 'o%d%d'": "31",
    }.items():  # fmt: skip
        assert found(any_ws, filter) == wanted, filter
    for order, wanted in {
        "timestamp": "0123", "execution_time DESC": "2103", "execution_time": "0123", "end_time DESC": "3210",
        "name DESC": "3120", "tags.n": "0123", "run_id": "3210", "status": "2310", "request_id DESC": "3210",
    }.items():  # fmt: skip
        assert found(any_ws, "", order) == wanted, order
    assert [one.id for one in search_traces(any_ws, [0], limit=2, offset=1)[0]] == ["tr-2", "tr-1"]
    assert search_traces(any_ws, [0], "name = 'even'", ["tags.n"], 1) == ([get_trace(any_ws, "tr-0")], True)


@pytest.mark.parametrize(
    "filter",
    [
        "name", "name = ", "name = x", "= 'a'", "name = 'a' name = 'b'", "timestamp LIKE '1'", "timestamp > 'a'",
        "status IS NULL", "span. = 'x'", "issue.name = 'x'", "issue.id != 'x'", "name = 'a' OR", "name NOT LIKE 'a'",
        "tags.a IN ('b')", "timestamp > 99999999999999999999",
    ],
)  # fmt: skip
def test_filters_that_mean_nothing_are_refused(filter: str):
    with pytest.raises(ForeignError):
        read_filter(filter)


def test_a_pattern_that_would_take_years_is_refused_or_quick(ws: hs.Workspace):
    made(ws, 1)
    assert found(ws, f"name LIKE '{'%e' * 500}'") == ""
    assert found(ws, "name RLIKE '(e*)*x'") == ""
    with pytest.raises(InvalidInput):
        read_filter("name RLIKE '('")


def test_statistics_are_the_same_on_each_database(any_ws: hs.Workspace):
    made(any_ws)
    count = [Measure("COUNT")]
    points = query(any_ws, [0], "TRACES", "trace_count", count, ["trace_name"])
    assert points == [({"trace_name": "even"}, {"COUNT": 2}), ({"trace_name": "odd"}, {"COUNT": 2})]
    (point,) = query(any_ws, [0], "TRACES", "latency", [Measure("AVG"), Measure("PERCENTILE", 25.0)])
    assert point.values == {"AVG": 1.0, "P25.0": 0.5}
    points = query(any_ws, [0], "TRACES", "trace_count", count, (), ["trace.status = 'OK'"], 2, 1000, 3000)
    assert [(one.dimensions["time_bucket"][17:19], one.values["COUNT"]) for one in points] == [("00", 1), ("02", 1)]
    (point,) = query(any_ws, [0], "SPANS", "span_count", count, ["span_type", "span_status"], ["span.name = 's1'"])
    assert point == ({"span_type": "LLM", "span_status": "UNSET"}, {"COUNT": 1})
    (point,) = query(any_ws, [0], "ASSESSMENTS", "assessment_value", [Measure("MAX"), Measure("MIN")])
    assert point.values == {"MAX": 3.0, "MIN": 0.0}
    assert query(any_ws, [0], "TRACES", "trace_count", count, (), ["trace.metadata.mlflow.sourceRun = 'r'"])[
        0
    ].values == {"COUNT": 3}
    assert correlate(any_ws, [0], "name = 'even'", "status = 'ERROR'").joint_count == 1
    assert query(any_ws, [9], "TRACES", "latency", [Measure("AVG")]) == []
    assert query(any_ws, [9], "TRACES", "trace_count", count)[0].values == {"COUNT": 0}


@pytest.mark.parametrize(
    "filter", ["status = 'x'", "trace.status != 'x'", "trace.tag = 'x'", "trace.status.a = 'x'", "x.y = 'z'", "x",
               "span.name = 'x'", "assessment.name = 'x'", "trace.status = x",
               "trace.status = 'a' AND trace.tag.b = 'c'"]
)  # fmt: skip
def test_filters_of_statistics_that_mean_nothing_are_refused(ws: hs.Workspace, filter: str):
    with pytest.raises(ForeignError):
        query(ws, [0], "TRACES", "trace_count", [Measure("COUNT")], (), [filter])


def test_what_spans_cost_is_counted_once(ws: hs.Workspace):
    usage = '{"input_tokens": %d, "output_tokens": 1, "total_tokens": %d}'
    put_spans(ws, "0", [span(3, "leaf", 2, mlflow__chat__tokenUsage=usage % (5, 6))])
    assert get_trace(ws, "tr-0").state == "IN_PROGRESS"
    put_spans(ws, "0", [span(4, "leaf", 2, mlflow__chat__tokenUsage=usage % (7, 8))])
    told = get_trace(ws, "tr-0")
    assert (told.request_ms, told.duration_ms) == (3000, 2000) and '"input_tokens": 12' in told.metadata[
        "mlflow.trace.tokenUsage"
    ]
    # What the one above them says stands for both.
    put_spans(ws, "0", [span(2, "agent", 1, mlflow__chat__tokenUsage=usage % (12, 14)), span(1, "root")])
    told = get_trace(ws, "tr-0")
    assert '"total_tokens": 14' in told.metadata["mlflow.trace.tokenUsage"]
    assert (told.state, told.request_ms, told.duration_ms) == ("OK", 1000, 4000)
    described = Trace(id="tr-0", experiment_id="0", request_ms=5, duration_ms=6, state="OK", metadata={
        "mlflow.trace.tokenUsage": "{}"})  # fmt: skip
    put_trace(ws, described)
    put_spans(ws, "0", [span(9, "late", 1, mlflow__chat__tokenUsage=usage % (1, 2))])
    told = get_trace(ws, "tr-0")
    assert (told.request_ms, told.duration_ms, told.metadata["mlflow.trace.tokenUsage"]) == (5, 6, "{}")
    with pytest.raises(InvalidInput):
        put_trace(ws, Trace(id="tr-0", experiment_id="1", request_ms=5))


def test_the_preview_of_a_chat_is_its_last_message():
    chat = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    assert (preview(chat, "user"), preview(chat, "assistant")) == ("a", "b")
    assert preview('{"choices": [{"message": {"content": [{"type": "text", "text": "c"}]}}]}', "assistant") == "c"
    assert preview({"a": 1}, "user") == '{"a": 1}' and preview("x" * 2000, "user") == '"' + "x" * 996 + "..."
