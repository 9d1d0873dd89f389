"""Searches and statistics over 100,000 traces of five spans, each asked in turn; what keeping a trace takes beside.

    PYTHONPATH=src python -m bench.tracking.traces_hundred_thousand /tmp/traces [TRACES] [ROUNDS]

The argument is a folder or an address of PostgreSQL; traces that are there already are asked as they are. Traces come
in through the same functions as those of clients, so that the CPU time per trace is what keeping one takes. Of each
question: the median and the 95th percentile of the wall clock in milliseconds, the median of the CPU time of this
process (which on PostgreSQL leaves out the database), and how many traces or groups answered.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sized
from typing import Any

import homeostat as hs
from homeostat.tracking import trace_statistics
from homeostat.tracking.trace_search import search_traces
from homeostat.tracking.trace_spans import put_spans
from homeostat.tracking.trace_statistics import Measure
from homeostat.tracking.traces import HERE, SPANS_LOCATION, Trace, create_assessment, put_trace

BEGUN, AT_ONCE = 1_790_000_000_000, 100
SPANS = (("answer", "AGENT"), ("retrieve", "RETRIEVER"), ("rank", "CHAIN"), ("chat", "CHAT_MODEL"), ("lookup", "TOOL"))
WORDS = ("the", "red", "fox", "order", "refund", "price", "of", "a")


def one(ws: hs.Workspace, number: int, dice: random.Random) -> None:
    """Keep a trace as MLflow's client sends one: its spans, then its description; of each tenth something is said."""
    trace_id, at = f"tr-{dice.getrandbits(128):032x}", BEGUN + number * 1000
    took, asked = dice.randrange(50, 20_000), " ".join(dice.choice(WORDS) for _ in range(60))
    usage = {"input_tokens": dice.randrange(1000), "output_tokens": dice.randrange(1000)}
    usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
    spans: list[dict[str, Any]] = []
    for place, (name, kind) in enumerate(SPANS):
        told = {"mlflow.traceRequestId": trace_id, "mlflow.spanType": kind, "mlflow.spanInputs": asked}
        if kind == "CHAT_MODEL":
            cost = {"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003}
            told |= {"mlflow.chat.tokenUsage": usage, "mlflow.llm.cost": cost, "mlflow.llm.model": "small"}
        spans.append({
            "trace_id": "AAAAAAAAAAAAAAAAAAAAAQ==", "span_id": f"{dice.getrandbits(64):016x}", "name": name,
            "start_time_unix_nano": (at + place) * 10**6, "end_time_unix_nano": (at + took - place) * 10**6,
            "status": {"code": "STATUS_CODE_ERROR" if number % 50 == place == 0 else "STATUS_CODE_OK"},
            "attributes": [{"key": key, "value": {"string_value": json.dumps(value)}} for key, value in told.items()],
            **({"parent_span_id": spans[0]["span_id"]} if spans else {}),
        })  # fmt: skip
    put_spans(ws, "0", spans)
    tags = {"mlflow.traceName": dice.choice(("chat", "answer", "search", "rank")), SPANS_LOCATION: HERE,
            "team": dice.choice(("red", "blue", "green")), "user": f"user-{dice.randrange(500)}"}  # fmt: skip
    if number % 20_000 == 7:
        tags["rare"] = "yes"
    put_trace(ws, Trace(
        id=trace_id, experiment_id="0", request_ms=at, duration_ms=took, state="ERROR" if number % 50 == 0 else "OK",
        tags=tags, request_preview=asked, response_preview=asked[::-1],
        metadata={
            "mlflow.user": "u", "mlflow.source.name": "app.py", "mlflow.source.type": "LOCAL",
            "mlflow.trace.session": f"s-{number // 5}", "mlflow.trace_schema.version": "3",
            "mlflow.trace.sizeStats": json.dumps({"total_size_bytes": 2000, "num_spans": 5, "max": 900}),
            "mlflow.trace.tokenUsage": json.dumps(usage),
        },
    ))  # fmt: skip
    if number % 10 == 0:
        said = {"assessment_name": "good", "source": {"source_type": "HUMAN", "source_id": "x"}}
        create_assessment(ws, trace_id, {**said, "feedback": {"value": number % 20 == 0}})


def fill(ws: hs.Workspace, traces: int) -> None:
    """Keep traces, and say what one took."""
    dice, before = random.Random(1), time.process_time()
    for start in range(0, traces, AT_ONCE):
        ws.db.write(lambda _, start=start: [one(ws, n, dice) for n in range(start, min(start + AT_ONCE, traces))])
    print(f"kept {traces} traces: {(time.process_time() - before) / traces * 1e6:.0f} us of CPU each", flush=True)


def questions(ws: hs.Workspace, traces: int) -> dict[str, Callable[[], Sized]]:
    """What is asked, by name."""
    end = BEGUN + traces * 1000
    filters = {
        "newest 100": "", "status": "status = 'ERROR'", "no such status": "status = 'IN_PROGRESS'",
        "time": f"timestamp > {BEGUN} AND timestamp < {BEGUN + 5_000_000}", "duration": "execution_time > 19990",
        "common tag": "tags.team = 'red'", "tag of 1 in 500": "tags.user = 'user-7'", "rare tag": "tags.rare = 'yes'",
        "no such tag": "tags.team = 'violet'", "no tag LIKE": "tags.team LIKE 'viol%'",
        "tag is there": "tags.rare IS NOT NULL", "tag is not there": "tags.team IS NULL",
        "other tag": "tags.team != 'red'",
        "name": "name = 'chat'", "no such name": "name = 'nothing'", "name LIKE": "name ILIKE '%CHA%'",
        "no name LIKE": "name LIKE '%x%'",
        "session": "metadata.`mlflow.trace.session` = 's-77'", "user": "metadata.`mlflow.user` = 'u'",
        "status and tag": "status = 'ERROR' AND tags.user = 'user-7'", "run": "run_id = 'abc'",
        "one of two": "tags.rare = 'yes' OR name = 'nothing'", "not named": "NOT name = 'chat'",
        "feedback": "feedback.good = 'true'", "no such feedback": "feedback.bad = 'true'",
        "span name": "span.name = 'lookup'", "no such span name": "span.name = 'xyz'",
        "no such span type": "span.type = 'MEMORY'", "failed span": "span.status = 'ERROR'",
        "span of two": "span.name = 'lookup' AND span.type = 'AGENT'", "text": "trace.text LIKE '%refund%'",
        "no such text": "trace.text LIKE '%zebra%'", "no such attribute": "span.attributes.model = 'x'",
    }  # fmt: skip
    found: dict[str, Callable[[], Sized]] = {
        name: lambda text=text: search_traces(ws, [0], text)[0] for name, text in filters.items()
    }
    for name, (text, order, offset) in {
        "offset of half": ("", [], traces // 2), "by duration": ("", ["execution_time DESC"], 0),
        "errors by duration": ("status = 'ERROR'", ["execution_time DESC"], 0), "by name": ("", ["name"], 0),
        "tag, oldest first": ("tags.user = 'user-7'", ["timestamp ASC"], 0),
        "errors by a tag": ("status = 'ERROR'", ["tags.user"], 0),
    }.items():  # fmt: skip
        found[name] = lambda text=text, order=order, offset=offset: search_traces(ws, [0], text, order, 100, offset)[0]
    count, mean, half = Measure("COUNT"), Measure("AVG"), Measure("PERCENTILE", 50.0)
    for view, metric, measures, dimensions, filters in (
        ("TRACES", "trace_count", [count], [], []),
        ("TRACES", "trace_count", [count], ["trace_status"], []),
        ("TRACES", "trace_count", [count], ["trace_name"], []),
        ("TRACES", "session_count", [count], [], []),
        ("TRACES", "trace_count", [count], [], ["trace.tag.user = 'user-7'"]),
        ("TRACES", "latency", [mean, half, Measure("PERCENTILE", 99.0)], ["trace_name"], []),
        ("TRACES", "total_tokens", [Measure("SUM"), mean, half], ["trace_name"], []),
        ("TRACES", "total_tokens", [half], [], ["trace.metadata.mlflow.user = 'u'"]),
        ("SPANS", "span_count", [count], ["span_name", "span_status"], []),
        ("SPANS", "span_count", [count], ["span_type"], ["span.type = 'TOOL'"]),
        ("SPANS", "span_count", [count], [], ["trace.status = 'ERROR'"]),
        ("SPANS", "latency", [mean, half], ["span_name"], []),
        ("SPANS", "latency", [mean], ["span_name", "span_status"], []),
        ("SPANS", "total_cost", [Measure("SUM")], ["span_model_name"], []),
        ("ASSESSMENTS", "assessment_count", [count], ["assessment_name", "assessment_value"], []),
        ("ASSESSMENTS", "assessment_value", [mean], ["assessment_name"], []),
    ):
        called = f"{metric} of {view.lower()}: {','.join(one.name for one in measures)}"
        called += f" by {','.join(dimensions) or 'nothing'} {' '.join(filters)}"
        for told, times in {"": (0, None, None), "hourly": (3600, BEGUN, end)}.items():
            found[f"{called} {told}"] = lambda asked=(view, metric, measures, dimensions, filters), times=times: (
                trace_statistics.query(ws, [0], *asked, *times))  # fmt: skip
    found["correlation"] = lambda: trace_statistics.correlate(ws, [0], "status = 'ERROR'", "tags.team = 'red'")
    return found


def main() -> None:
    address, traces, rounds = sys.argv[1], *map(int, [*sys.argv[2:], *("100000", "15")[len(sys.argv) - 2 :]])
    with hs.open(address) as ws:
        if not search_traces(ws, [0], limit=1)[0]:
            fill(ws, traces)
        for name, ask in questions(ws, traces).items():
            walls: list[float] = []
            worked: list[float] = []
            answer: Sized = ()
            while len(walls) < rounds and sum(walls) < 10:
                begun, before = time.perf_counter(), time.process_time()
                answer = ask()
                walls.append((time.perf_counter() - begun) * 1000)
                worked.append((time.process_time() - before) * 1000)
            walls.sort()
            high, cpu = walls[int(len(walls) * 0.95)], statistics.median(worked)
            print(f"{name:75} {statistics.median(walls):8.1f} {high:8.1f} {cpu:8.1f} {len(answer):6}", flush=True)


if __name__ == "__main__":
    main()
