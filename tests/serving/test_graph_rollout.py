"""Graphs as shadows, canaries and arms of bandits, beside plain versions of the same model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, Refused
from homeostat.serving import (
    BanditPolicy,
    CanaryPolicy,
    Ensemble,
    Member,
    PredictionClient,
    Route,
    Sequence,
    bandit_arms,
    compare_shadow,
    deploy,
    deploy_graph,
    get_deployment,
    graph_traffic,
    predictions,
    rollback,
    set_routes,
    start_bandit,
    start_canary,
    traffic,
    wait_ready,
)
from homeostat.serving.by_name import by_name
from homeostat.serving.contract import ColumnsContract, MatrixContract, TensorSpec, WireTensor
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.oip import WireRequest
from homeostat.serving.question import Question
from homeostat.serving.runtimes.runtime import Runtime
from homeostat.serving.shadow import Shadow
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import COLUMNS, expected, register_logistic

PATIENT_MS = 300_000
W1, W2 = np.array([0.5, -1.0, 0.25]), np.array([-0.2, 0.3, 1.5])
X = np.random.default_rng(7).normal(size=(20, 3)).astype("f4")


def not_seven(rows: np.ndarray) -> np.ndarray:
    if (rows[:, 0] == 7).any():
        raise ValueError("not seven")
    return rows.astype("f4")


@pytest.fixture(scope="module")
def blend(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    """Model "blend": version 1 is a model, 2 a graph of "one" and "two", 3 one that does not take sevens."""
    ws, scratch = shared.ws, tmp_path_factory.mktemp("models")
    for name, weights in (("one", W1), ("two", W2), ("blend", W1)):
        register_logistic(ws, scratch, name, weights)
        deploy(ws, name)
    with hs.run("train", ws=ws) as run:
        sample = pl.DataFrame(np.zeros((2, 3), "f4"), schema=COLUMNS)
        hs.log_model(ws, "checked", not_seven, sample, run_id=run.id)
    deploy(ws, "checked", timeout_ms=PATIENT_MS)
    assert deploy_graph(ws, "blend", Ensemble(members=[Member(name="one"), Member(name="two")])).champion == 2
    steps = Sequence(steps=[Member(name="checked"), Member(name="one", version=1)])
    assert deploy_graph(ws, "blend", steps, timeout_ms=PATIENT_MS).champion == 3
    wait_ready(ws, "blend", deploy(ws, "blend", 1).generation, timeout_s=120)
    return shared


def ask(plane: PlaneProcess, prefix: str, rows: np.ndarray = X) -> np.ndarray:
    with PredictionClient(plane.url) as client:
        answers = client.predict_many("blend", [(f"{prefix}-{at}", {}, rows[at : at + 1]) for at in range(len(rows))])
        client.flush("blend")
    return np.array(answers)[:, 0]


def of(frame: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return frame.filter(pl.col("request_id").str.starts_with(f"{prefix}-"))


def test_a_graph_in_shadow_is_asked_after_the_answer_and_compared(blend: PlaneProcess) -> None:
    ws = blend.ws
    routes = [Route(version=1), Route(version=2, role="shadow")]
    wait_ready(ws, "blend", set_routes(ws, "blend", routes).generation)
    np.testing.assert_allclose(ask(blend, "mirrored"), expected(W1, X), rtol=1e-5)
    shadow = of(predictions(ws, "blend", routes=["shadow"]), "mirrored")
    mean = (expected(W1, X) + expected(W2, X)) / 2
    order = [int(name.rpartition("-")[2]) for name in shadow["request_id"]]
    np.testing.assert_allclose(shadow["probability"].to_numpy(), mean[order], rtol=1e-5)
    assert set(shadow["members"]) == {"one/1 two/1"} and shadow["us:graph.members[0]"].null_count() == 0
    # What the members did for it is theirs in the log, but nobody's answer.
    assert of(predictions(ws, "one"), "mirrored").height == 0
    assert of(predictions(ws, "one", routes=["shadow"]), "mirrored").height == 20
    (compared,) = compare_shadow(ws, "blend")
    assert (compared.version, compared.rows, compared.failed) == (2, 20, 0)
    assert compared.outputs[0].equal < 1 and compared.latency_ms is not None
    assert [node.requests for node in graph_traffic(ws, "blend", 2).nodes] == [20, 20]
    assert (traffic(ws, "blend")[0].requests, traffic(ws, "one")[0].requests) == (20, 0)
    page = blend.request("GET", "/metrics")[2].decode()
    assert 'homeostat_shadow_total{model="blend",version="2"} 20' in page
    assert 'homeostat_requests_total{model="blend",version="2"} 0' in page


def test_a_graph_in_shadow_that_fails_changes_no_answer(blend: PlaneProcess) -> None:
    ws = blend.ws
    routes = [Route(version=2), Route(version=3, role="shadow"), Route(version=1, weight=0.0, role="canary")]
    wait_ready(ws, "blend", set_routes(ws, "blend", routes).generation, timeout_s=120)
    rows = X.copy()
    rows[:5, 0] = 7
    np.testing.assert_allclose(ask(blend, "failing", rows), (expected(W1, rows) + expected(W2, rows)) / 2, rtol=1e-5)
    shadow = of(predictions(ws, "blend", routes=["shadow"]), "failing")
    assert sorted(shadow["status"]) == [200] * 15 + [500] * 5
    failed = shadow.filter(pl.col("status") == 500)
    assert set(failed["failed_node"]) == {"graph.steps[0]"}
    (compared,) = compare_shadow(ws, "blend")
    assert (compared.version, compared.rows, compared.failed) == (3, 15, 5)


def test_what_is_beyond_the_queue_of_a_graph_in_shadow_is_dropped_and_counted(blend: PlaneProcess) -> None:
    ws = blend.ws
    deploy(ws, "blend", 1, max_waiting=2)
    routes = [Route(version=1), Route(version=3, role="shadow")]
    wait_ready(ws, "blend", set_routes(ws, "blend", routes).generation, timeout_s=120)
    np.testing.assert_allclose(ask(blend, "many", np.repeat(X, 20, axis=0)), np.repeat(expected(W1, X), 20), rtol=1e-5)
    mirrored = of(predictions(ws, "blend", routes=["shadow"]), "many").height
    page = blend.request("GET", "/metrics")[2].decode()
    dropped = int(page.split("\nhomeostat_shadow_dropped_total ")[1].split("\n")[0])
    assert mirrored + dropped == 400 and mirrored >= 2
    deploy(ws, "blend", 1, max_waiting=2048)


def test_members_of_a_graph_in_shadow_stay_what_they_are(blend: PlaneProcess, tmp_path: Path) -> None:
    ws = blend.ws
    set_routes(ws, "blend", [Route(version=1), Route(version=2, role="shadow")])
    assert get_deployment(ws, "blend").members == ["one", "two"]
    with pytest.raises(Refused, match="model 'two' is asked by the graph 'blend'"):
        ws.serving.undeploy("two")
    wider = register_logistic(ws, tmp_path, "two", np.ones(4), [*COLUMNS, "rain"]).version
    with pytest.raises(Refused, match="does not fit the graph 'blend'"):
        deploy(ws, "two", wider)


def test_graphs_are_canaries_and_arms_beside_models(blend: PlaneProcess) -> None:
    ws = blend.ws
    deploy(ws, "blend", 1)
    policy = CanaryPolicy(weights=[0.5, 1.0])
    wait_ready(ws, "blend", start_canary(ws, "blend", 2, policy).generation, timeout_s=120)
    mean = (expected(W1, X) + expected(W2, X)) / 2
    got = ask(blend, "canary")
    kinds = {
        "champion" if abs(a - b) < abs(a - c) else "canary" for a, b, c in zip(got, expected(W1, X), mean, strict=True)
    }
    assert kinds == {"champion", "canary"}
    assert rollback(ws, "blend").routes == [Route(version=1)]
    started = start_bandit(ws, "blend", [1, 2], BanditPolicy())
    wait_ready(ws, "blend", started.generation, timeout_s=120)
    ask(blend, "bandit")
    arms = bandit_arms(ws, "blend")
    assert arms is not None and [arm.version for arm in arms.versions] == [1, 2]
    log = of(predictions(ws, "blend"), "bandit")
    assert set(log["version"]) == {1, 2}
    status, _ = blend.infer("blend", features(X.tolist()), version=2)
    assert status == 200


def test_a_request_that_one_version_refuses_names_it(shared: PlaneProcess, tmp_path: Path) -> None:
    ws = shared.ws
    register_logistic(ws, tmp_path, "wider", W1)
    register_logistic(ws, tmp_path, "wider", np.ones(4), [*COLUMNS, "rain"])
    deploy(ws, "wider", 1)
    routes = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    wait_ready(ws, "wider", set_routes(ws, "wider", routes).generation, timeout_s=120)
    answers = [shared.infer("wider", {"id": f"r{at}", **features([[1, 2, 3]])}) for at in range(20)]
    assert {status for status, _ in answers} == {200, 400}
    errors = {answer["error"] for status, answer in answers if status == 400}
    assert errors == {"input 'features': expected shape [rows, 4], got [1, 3]; version 2 was to answer"}
    named = [{"name": name, "datatype": "FP32", "shape": [1], "data": [1.0]} for name in (*COLUMNS, "rain")]
    assert {shared.infer("wider", {"id": f"r{at}", "inputs": named})[0] for at in range(20)} == {200}


class Wired(Runtime):
    """Gives its first column."""

    name = "wired"

    def run(self, arrays: list[Any]) -> list[Any]:
        return [np.ascontiguousarray(arrays[0].reshape(len(arrays[0]), -1)[:, 0])]


def test_a_shadow_may_take_the_same_columns_in_another_form() -> None:
    specs = [TensorSpec(name=name, datatype="FP32", shape=[-1]) for name in ("a", "b")]
    matrix, columns = (kind("m", specs, "key", "time") for kind in (MatrixContract, ColumnsContract))
    answered, shadow = (LoadedVersion("m", 1, contract, Wired(), specs[:1]) for contract in (matrix, columns))
    entries: list[tuple[Any, ...]] = []
    log: Any = SimpleNamespace(add=lambda *entry: entries.append(entry))
    nobody: Any = None
    payload = np.array([[1, 2], [3, 4]], "<f4").tobytes()
    question = Question(nobody, nobody, "r", "champion", 2, payload, None, None, [], 0)
    wire = WireTensor("features", [2, 2], "FP32", parameters={"binary_data_size": len(payload)})
    named = [WireTensor(name, [2], "FP32", msgspec.Raw(b"[1,3]")) for name in ("a", "b")]
    for wires, body in (([wire], payload), (named, b"")):
        question.shadows, question.mirror = [shadow], (WireRequest(wires), body, 0)
        entries.clear()
        mirror = Shadow(log)
        mirror.mirror(answered, [question], payload)
        mirror.close()
        # One matrix is read by the names of its columns, as a tensor for each column is.
        assert [entry[5] for entry in entries] == [200]
        assert entries[0][3].arrays[0].tolist() == [1, 3]


def test_a_matrix_is_read_by_the_names_of_its_columns() -> None:
    there = MatrixContract("m", [TensorSpec(name=n, datatype="FP32", shape=[-1]) for n in ("a", "b", "c")], "key", "t")
    matrix = np.array([[1, 2, 0.5], [3, 4, 1]], "<f4")
    key = WireTensor("key", [2], "INT64", msgspec.Raw(b"[7, 8]"))
    more = WireTensor("d", [2], "FP32", parameters={"binary_data_size": 8})
    as_bytes = WireTensor("features", [2, 3], "FP32", parameters={"binary_data_size": 24})
    as_json = WireTensor("features", [2, 3], "FP32", msgspec.Raw(msgspec.json.encode(matrix.tolist())))
    specs = [TensorSpec(name=n, datatype=d, shape=[-1]) for n, d in (("b", "INT64"), ("a", "FP64"), ("d", "FP32"))]
    here = ColumnsContract("m", specs, "key", "t")
    others = np.array([9, 9], "<f4").tobytes()
    for wire, body in ((as_bytes, b"-" + matrix.tobytes() + others), (as_json, b"-" + others)):
        wires, data, at = by_name([key, wire, more], body, 1, there, specs)
        assert [one.name for one in wires] == ["key", "b", "a", "d"]
        found = here.accept(wires, data, at)
        assert [array.tolist() for array in found.payload] == [[2, 4], [1.0, 3.0], [9.0, 9.0]]
        assert found.key == [7, 8]
    with pytest.raises(InvalidInput, match="'c' is INT32, which cannot hold all numbers of the request"):
        by_name([as_json], b"", 0, there, [TensorSpec(name="c", datatype="INT32", shape=[-1])])
    with pytest.raises(InvalidInput, match="'c' holds texts"):
        by_name([as_json], b"", 0, there, [TensorSpec(name="c", datatype="BYTES", shape=[-1])])
    turned = MatrixContract("m", [there.inputs[1], there.inputs[0]], "key", "t")
    wires, data, at = by_name([as_bytes], matrix.tobytes(), 0, there, turned.inputs)
    assert turned.feed(turned.accept(wires, data, at).payload)[0].tolist() == [[2, 1], [4, 3]]
