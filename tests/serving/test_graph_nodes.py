"""What is kept of every node of a graph: its times and failures in the log, the metrics, the verb and the trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.serving import (
    Case,
    Ensemble,
    Lookup,
    Member,
    Sequence,
    Switch,
    When,
    deploy,
    deploy_graph,
    fold,
    graph_traffic,
    logged_request,
    predictions,
    traffic,
    wait_ready,
)
from tests.serving.collector import Collector, plain
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import COLUMNS, register_logistic

PATIENT_MS = 300_000
W1, W2 = np.array([0.5, -1.0, 0.25]), np.array([-0.2, 0.3, 1.5])
STEPS = [f"graph.steps[{at}]" for at in (0, 1)]
CASE, OTHERWISE = "graph.steps[2].cases[0]", "graph.steps[2].otherwise"


def not_seven(rows: np.ndarray) -> np.ndarray:
    """Gives what it is given, but for rows that begin with a seven."""
    if (rows[:, 0] == 7).any():
        raise ValueError("not seven")
    return rows.astype("f4")


@pytest.fixture(scope="module")
def graph(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    """A lookup, a step of own code and a switch between two models, as "told"."""
    ws, scratch = shared.ws, tmp_path_factory.mktemp("models")
    for name, weights in (("one", W1), ("two", W2)):
        register_logistic(ws, scratch, name, weights)
        deploy(ws, name)
    with hs.run("train", ws=ws) as run:
        sample = pl.DataFrame(np.zeros((2, 3), "f4"), schema=COLUMNS)
        hs.log_model(ws, "checked", not_seven, sample, run_id=run.id)
    deploy(ws, "checked", timeout_ms=PATIENT_MS)
    ws.data.write_table("winds", pl.DataFrame({"airport": [1, 2], "wind": [0.5, -0.5]}))
    lookup = Lookup(table="winds", key=["airport"], columns=["wind"], defaults={"wind": 0.0})
    ways = Switch(
        cases=[Case(when=When(column="hour", op=">", value=0), then=Member(name="one"))], otherwise=Member(name="two")
    )
    declared = Sequence(steps=[lookup, Member(name="checked"), ways])
    wait_ready(ws, "told", deploy_graph(ws, "told", declared, timeout_ms=PATIENT_MS).generation, timeout_s=600)
    return shared


def request(name: str, rows: list[tuple[float, float]]) -> dict[str, Any]:
    distance, hour = zip(*rows, strict=True)
    return {"id": name, "inputs": [
        {"name": "distance", "datatype": "FP32", "shape": [len(rows)], "data": distance},
        {"name": "hour", "datatype": "FP32", "shape": [len(rows)], "data": hour},
        {"name": "airport", "datatype": "INT64", "shape": [len(rows)], "data": [1] * len(rows)},
    ]}  # fmt: skip


def test_the_log_the_metrics_and_the_verb_tell_of_every_node(graph: PlaneProcess) -> None:
    ws = graph.ws
    for at in range(3):
        assert graph.infer("told", request(f"up-{at}", [(1.0, 1.0), (2.0, 1.0)]))[0] == 200
    assert graph.infer("told", request("both", [(1.0, 1.0), (2.0, -1.0)]))[0] == 200
    assert graph.infer("told", request("bad", [(7.0, 1.0), (2.0, 1.0)]))[0] == 500
    graph.flush("told")
    columns = [f"us:{path}" for path in (*STEPS, CASE, OTHERWISE)]
    for _ in range(2):  # as it is spooled, and as it is folded
        log = predictions(ws, "told")
        answered = log.filter(pl.col("status") == 200)
        assert set(columns) <= set(log.columns) and answered.height == 8
        assert answered.select(columns[:3]).null_count().sum_horizontal().to_list() == [0]
        assert answered.filter(pl.col(columns[3]).is_not_null())["request_id"].to_list() == ["both", "both"]
        assert (answered[columns[1]] <= answered["latency_us"]).all()
        (first, *_) = log.filter(pl.col("request_id") == "bad").to_dicts()
        assert (first["status"], first["failed_node"], first["members"]) == (500, STEPS[1], "")
        assert first[columns[0]] is not None and [first[name] for name in columns[1:]] == [None] * 3
        told = graph_traffic(ws, "told")
        assert [(node.node, node.name, node.requests, node.failed) for node in told.nodes] == [
            (STEPS[0], "winds", 5, 0), (STEPS[1], "checked", 5, 1), (CASE, "one", 4, 0), (OTHERWISE, "two", 1, 0),
        ]  # fmt: skip
        assert all(node.latency_ms is not None and node.latency_p95_ms is not None for node in told.nodes)
        assert told.nodes == graph_traffic(ws, "told", to_ms=told.to_ms + 1).nodes  # read anew, at a moment
        (whole,) = traffic(ws, "told")
        assert (whole.requests, whole.failed) == (5, 1)
        graph.process.terminate()  # which finishes the spool's file
        graph.process.wait(300)
        fold(ws)
    graph.start()
    wait_ready(ws, "told", timeout_s=600)
    (row, *_) = logged_request(ws, "told", "both")
    assert columns[0] in row.outputs and "us" not in "".join(row.inputs)


def test_metrics_have_a_histogram_and_the_failures_of_every_node(graph: PlaneProcess) -> None:
    assert graph.infer("told", request("counted", [(1.0, 1.0)]))[0] == 200
    assert graph.infer("told", request("refused", [(7.0, 1.0)]))[0] == 500
    page = graph.request("GET", "/metrics")[2].decode()
    of = f'model="told",version="1",node="{STEPS[1]}",name="checked"'
    assert f"homeostat_node_seconds_count{{{of}}} 1" in page
    assert f'homeostat_node_seconds_bucket{{{of},le="+Inf"}} 1' in page
    assert f'homeostat_node_failures_total{{{of},status="500"}} 1' in page
    assert f'homeostat_node_seconds_count{{model="told",version="1",node="{STEPS[0]}",name="winds"}} 2' in page
    assert 'homeostat_node_seconds_count{model="one"' not in page


def test_only_graphs_have_nodes(graph: PlaneProcess) -> None:
    with pytest.raises(InvalidInput, match="is no graph"):
        graph_traffic(graph.ws, "one")
    with pytest.raises(NotFound):
        graph_traffic(graph.ws, "nothing")
    with pytest.raises(InvalidInput, match="window_ms"):
        graph_traffic(graph.ws, "told", window_ms=1)


def test_what_is_not_logged_is_counted_all_the_same(graph: PlaneProcess) -> None:
    ws = graph.ws
    both = Ensemble(members=[Member(name="one"), Member(name="two")])
    wait_ready(ws, "quiet", deploy_graph(ws, "quiet", both, log_share=0).generation)
    assert graph.infer("quiet", features([[1, 2, 3]]))[0] == 200
    graph.flush("quiet")
    assert [node.requests for node in graph_traffic(ws, "quiet").nodes] == [0, 0]
    assert graph_traffic(ws, "quiet").log_share == 0
    assert 'homeostat_node_seconds_count{model="quiet"' in graph.request("GET", "/metrics")[2].decode()


def test_the_trace_of_a_request_has_a_span_for_every_node_and_for_computing(
    ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    for name in ("one", "two"):
        register_logistic(ws, tmp_path, name, W1)
        deploy(ws, name)
    both = Ensemble(members=[Member(name="one"), Member(name="two", version=1)])
    inner = deploy_graph(ws, "inner", both)
    running = PlaneProcess(ws, tmp_path / "plane.log")
    try:
        wait_ready(ws, "inner", inner.generation)
        wait_ready(ws, "outer", deploy_graph(ws, "outer", Sequence(steps=[Member(name="inner")])).generation)
        body = msgspec.json.encode({"id": "r1", **features([[1, 2, 3]])})
        assert running.request("POST", "/v2/models/outer/infer", body)[0] == 200
        assert running.request("POST", "/v2/models/one/infer", body)[0] == 200
    finally:
        assert running.stop() == 0
        collector.stop()
    spans = {span.span_id: span for span in collector.spans}
    roots = [span for span in spans.values() if span.name.startswith("POST")]
    found = {tree(root, spans) for root in roots}
    assert found == {
        "POST /v2/models/{model}/infer(compute)",
        "POST /v2/models/{model}/infer(graph(graph.steps[0] inner("
        "graph(graph.members[0] one(compute) graph.members[1] two(compute)))))",
    }
    for span in spans.values():
        if span.parent_span_id:
            above = spans[span.parent_span_id]
            assert above.start_time_unix_nano <= span.end_time_unix_nano and span.kind == 1
            assert span.trace_id == above.trace_id and span.start_time_unix_nano <= span.end_time_unix_nano
    (compute, *_) = (span for span in spans.values() if span.name == "compute")
    assert plain(compute.attributes)["homeostat.model"] in ("one", "two")


def tree(span: Any, spans: dict[bytes, Any]) -> str:
    below = [other for other in spans.values() if other.parent_span_id == span.span_id]
    parts = sorted(tree(other, spans) for other in below)
    return f"{span.name}({' '.join(parts)})" if parts else span.name


def test_the_status_on_the_command_line_lists_the_nodes(
    graph: PlaneProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert graph.infer("told", request("status", [(7.0, 1.0)]))[0] == 500
    graph.flush("told")
    for arguments in (["status", "told"], ["status"]):
        assert main([*arguments, "--home", str(graph.ws.home)]) == 0
        shown = capsys.readouterr().out
        assert "graph, version 1" in shown and "graph.steps[1]" in shown and "checked" in shown
    assert main(["status", "told", "--json", "--home", str(graph.ws.home)]) == 0
    (told,) = msgspec.json.decode(capsys.readouterr().out)
    assert [node["name"] for node in told["nodes"]] == ["winds", "checked", "one", "two"]
    assert told["nodes"][1]["failed"] >= 1
