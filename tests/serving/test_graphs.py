"""Graphs of models answer over HTTP and gRPC what their members answer one by one."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton_grpc

import homeostat as hs
from homeostat.core.errors import InvalidInput, Refused
from homeostat.serving import (
    Case,
    Ensemble,
    Lookup,
    Member,
    PredictionClient,
    Route,
    Sequence,
    Share,
    Splitter,
    Switch,
    When,
    configure,
    deploy,
    deploy_graph,
    get_deployment,
    get_graph,
    predictions,
    rollback,
    set_routes,
    states,
    undeploy,
    wait_ready,
)
from homeostat.serving.routes import position
from homeostat.serving.spool import spool_files
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import COLUMNS, expected, register_logistic

# Worker processes may take long to start where many tests run at once.
PATIENT_MS = 300_000
W1, W2 = np.array([0.5, -1.0, 0.25]), np.array([-0.2, 0.3, 1.5])
X = np.random.default_rng(5).normal(size=(40, 3)).astype("f4")


@pytest.fixture(scope="module")
def served(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    """A data plane with two logistic models, "one" and "two"."""
    ws, scratch = shared.ws, tmp_path_factory.mktemp("models")
    for name, weights in (("one", W1), ("two", W2)):
        register_logistic(ws, scratch, name, weights)
        wait_ready(ws, name, deploy(ws, name).generation)
    return shared


def ready(ws: hs.Workspace, name: str, graph: Any, **options: Any) -> None:
    wait_ready(ws, name, deploy_graph(ws, name, graph, **options).generation, timeout_s=600)


def outputs(answer: dict[str, Any]) -> dict[str, list[Any]]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def ask(plane: PlaneProcess, name: str, request: dict[str, Any]) -> dict[str, list[Any]]:
    status, answer = plane.infer(name, request)
    assert status == 200, answer
    return outputs(answer)


def test_an_ensemble_gives_the_mean_of_its_members_in_every_protocol(served: PlaneProcess) -> None:
    ready(served.ws, "both", Ensemble(members=[Member(name="one"), Member(name="two")], weights=[3, 1]))
    want = (3 * expected(W1, X) + expected(W2, X)) / 4
    got = ask(served, "both", features(X.tolist()))
    np.testing.assert_allclose(got["probability"], want, rtol=1e-5)
    named = {"inputs": [
        {"name": name, "datatype": "FP32", "shape": [len(X)], "data": X[:, at].tolist()}
        for at, name in enumerate(COLUMNS)
    ]}  # fmt: skip
    np.testing.assert_allclose(ask(served, "both", named)["probability"], want, rtol=1e-5)
    with PredictionClient(served.url) as client:
        many = client.predict_many("both", [(f"both-{at}", {}, X[at : at + 1]) for at in range(40)])
    np.testing.assert_allclose(np.array(many)[:, 0], want, rtol=1e-5)
    tensor = triton_grpc.InferInput("features", list(X.shape), "FP32")
    tensor.set_data_from_numpy(X)
    client = triton_grpc.InferenceServerClient(f"127.0.0.1:{served.port}")
    try:
        assert client.get_model_metadata("both").platform == "homeostat_graph"
        np.testing.assert_allclose(client.infer("both", [tensor]).as_numpy("probability"), want, rtol=1e-5)
    finally:
        client.close()
    csv = ",".join(COLUMNS) + "\n" + "\n".join(",".join(map(str, row)) for row in X.tolist())
    status, _, body = served.request("POST", "/v2/models/both/invocations", csv.encode(), {"Content-Type": "text/csv"})
    assert status == 200, body
    served.flush("both")
    frame = predictions(served.ws, "both").filter(pl.col("request_id").str.starts_with("both-"))
    assert set(frame["members"]) == {"one/1 two/1"}
    assert frame.height == 40
    assert predictions(served.ws, "one").filter(pl.col("request_id").str.starts_with("both-")).height == 40


def test_facts_pages_and_counts_of_a_graph_are_those_of_a_model(served: PlaneProcess) -> None:
    ready(served.ws, "facts", Ensemble(members=[Member(name="one"), Member(name="two")], combine="collect"))
    ask(served, "facts", features(X[:2].tolist()))
    _, metadata = served.get("/v2/models/facts")
    assert [output["name"] for output in metadata["outputs"]] == ["one.probability", "two.probability"]
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
    _, document = served.get("/v2/models/facts/openapi.json")
    example = document["paths"]["/v2/models/facts/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert ask(served, "facts", example["examples"]["tensors"]["value"]).keys() == {
        "one.probability",
        "two.probability",
    }
    _, stats = served.get("/v2/models/facts/stats")
    assert stats["model_stats"][0]["inference_count"] == 4
    metrics = served.request("GET", "/metrics")[2].decode()
    assert 'homeostat_requests_total{model="facts",version="1"} 2' in metrics
    status, answer = served.infer("facts", features([[1.0, 2.0]]))
    assert status == 400
    assert "expected shape [rows, 3]" in answer["error"]
    declared = get_graph(served.ws, "facts")
    assert declared.members == ["one", "two"]
    assert deploy_graph(served.ws, "facts", declared.graph) == get_deployment(served.ws, "facts")


def scale(rows: np.ndarray) -> np.ndarray:
    """Doubles; a request that begins with 13 ends the process."""
    if (rows[:, 0] == 13).any():
        os.kill(os.getpid(), signal.SIGKILL)
    if (rows[:, 0] == 7).any():
        raise ValueError("not seven")
    return (rows * 2).astype("f4")


class Words:
    """A post-processing step: from a probability to a word."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.where(rows[:, 0] > 0.5, "late", "in time")


@pytest.fixture(scope="module")
def chain(served: PlaneProcess) -> PlaneProcess:
    """A sequence "chain": a function, a model, an object, the first and the last in processes of their own."""
    with hs.run("train", ws=served.ws) as run:
        hs.log_model(served.ws, "scale", scale, pl.DataFrame(X, schema=COLUMNS), run_id=run.id)
        sample = pl.DataFrame({"probability": np.array([0.1, 0.9], "f4")})
        hs.log_model(served.ws, "words", Words(), sample, run_id=run.id)
    for name in ("scale", "words"):
        deployment = deploy(served.ws, name, timeout_ms=PATIENT_MS)
        wait_ready(served.ws, name, deployment.generation, timeout_s=600)
    steps = [Member(name="scale"), Member(name="one"), Member(name="words")]
    ready(served.ws, "chain", Sequence(steps=steps))
    return served


def test_pre_and_post_processing_run_in_processes_of_their_own(chain: PlaneProcess) -> None:
    got = ask(chain, "chain", features(X.tolist()))["prediction"]
    assert got == ["late" if p > 0.5 else "in time" for p in expected(W1, X * 2)]


def test_a_bad_request_fails_alone(chain: PlaneProcess) -> None:
    answers: dict[float, int] = {}

    def one(value: float) -> None:
        answers[value] = chain.infer("chain", features([[value] * 3]))[0]

    threads = [threading.Thread(target=one, args=(float(value),)) for value in (1, 2, 7, 9, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {1.0: 200, 2.0: 200, 7.0: 500, 9.0: 200, 4.0: 200}
    status, answer = chain.infer("chain", features([[7.0] * 3]))
    assert (status, answer["error"]) == (
        500, "graph 'chain' version 1: member 'scale': model 'scale' version 1: the model raised ValueError: not seven"
    )  # fmt: skip
    chain.flush("chain")
    logged = predictions(chain.ws, "chain")
    assert set(logged.filter(pl.col("status") == 200)["members"]) == {"scale/1 one/1 words/1"}
    assert logged.filter(pl.col("status") == 500).height >= 2


def test_a_worker_that_died_makes_the_graph_answer_503_and_comes_back(chain: PlaneProcess) -> None:
    graph = Sequence(steps=[Member(name="scale"), Member(name="one")])
    ready(chain.ws, "scaled", graph, timeout_ms=PATIENT_MS)
    status, answer = chain.infer("scaled", features([[13.0] * 3]))
    assert status == 503
    assert "member 'scale'" in answer["error"]
    with PredictionClient(chain.url, timeout_s=600, retry_s=300) as client:  # the process has to start first
        np.testing.assert_allclose(client.predict("scaled", X), expected(W1, X * 2), rtol=1e-5)


def test_rows_of_a_switch_go_to_their_cases_and_come_back_in_order(served: PlaneProcess) -> None:
    graph = Switch(
        cases=[
            Case(when=When(parameter="always", op="==", value="two"), then=Member(name="two")),
            Case(when=When(column="hour", op=">=", value=0.5), then=Member(name="one")),
            Case(when=When(column="country", op="in", value=["DE", "AT"]), then=Member(name="two")),
        ],
        otherwise=Ensemble(members=[Member(name="one"), Member(name="two")], combine="max"),
    )
    ready(served.ws, "switched", graph)
    countries = [["DE", "FR", "", "AT"][at % 4] for at in range(len(X))]
    inputs: list[dict[str, Any]] = [
        {"name": name, "datatype": "FP32", "shape": [len(X)], "data": X[:, at].tolist()}
        for at, name in enumerate(COLUMNS)
    ]
    inputs.append({"name": "country", "datatype": "BYTES", "shape": [len(X)], "data": countries})
    p1, p2 = expected(W1, X), expected(W2, X)
    want = [
        a if row[1] >= 0.5 else b if country in ("DE", "AT") else max(a, b)
        for a, b, row, country in zip(p1, p2, X, countries, strict=True)
    ]
    np.testing.assert_allclose(ask(served, "switched", {"inputs": inputs})["probability"], want, rtol=1e-5)
    all_two = ask(served, "switched", {"inputs": inputs, "parameters": {"always": "two"}})
    np.testing.assert_allclose(all_two["probability"], p2, rtol=1e-5)


def test_a_splitter_shares_requests_and_rows_as_the_hash_says(served: PlaneProcess) -> None:
    shares = [Share(weight=0.25, node=Member(name="one")), Share(weight=0.75, node=Member(name="two"))]
    ready(served.ws, "by-request", Splitter(shares=shares, salt="s"))
    ready(served.ws, "by-key", Splitter(shares=shares, sticky="key", salt="s"))
    row = X[:1]
    p1, p2 = float(expected(W1, row)[0]), float(expected(W2, row)[0])

    def told(key: str) -> float:
        return p1 if position("s", key) < 0.25 * 2**64 else p2

    ids = [f"id-{at}" for at in range(100)]
    with PredictionClient(served.url) as client:
        got = client.predict_many("by-request", [(id, {}, row) for id in ids])
    np.testing.assert_allclose(np.array(got)[:, 0], [told(id) for id in ids], rtol=1e-5)
    request = features(np.repeat(row, 100, axis=0).tolist())
    request["inputs"].append({"name": "key", "datatype": "BYTES", "shape": [100], "data": ids})
    np.testing.assert_allclose(ask(served, "by-key", request)["probability"], [told(id) for id in ids], rtol=1e-5)
    served.flush("by-key")
    logged = predictions(served.ws, "one").filter(pl.col("key").is_in(ids))
    assert sorted(logged["key"].unique()) == sorted(id for id in ids if told(id) == p1)


def test_a_lookup_adds_columns_of_the_newest_version_of_a_table(served: PlaneProcess) -> None:
    ws = served.ws
    ws.data.write_table("airports", pl.DataFrame({"airport": ["JFK", "LGA"], "hour": [1, 2], "wind": [0.5, -0.5]}))
    lookup = Lookup(table="airports", key=["airport"], columns=["hour", "wind"], defaults={"wind": 9.0})
    ready(ws, "looked-up", Sequence(steps=[lookup, Member(name="one")]))
    request = {"inputs": [
        {"name": "distance", "datatype": "FP32", "shape": [3], "data": [1.0, 2.0, 3.0]},
        {"name": "airport", "datatype": "BYTES", "shape": [3], "data": ["LGA", "JFK", "???"]},
    ]}  # fmt: skip
    rows = np.array([[1, 2, -0.5], [2, 1, 0.5], [3, np.nan, 9]])
    got = ask(served, "looked-up", request)["probability"]
    np.testing.assert_allclose(got[:2], expected(W1, rows)[:2], rtol=1e-5)
    assert got[2] is None  # an hour that is not there is NaN, and so is what this model makes of it
    ws.data.write_table("airports", pl.DataFrame({"airport": ["???"], "hour": [3], "wind": [1.0]}))
    deadline = time.monotonic() + 300
    while ask(served, "looked-up", request)["probability"][2] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (value,) = expected(W1, np.array([[3, 3, 1.0]]))
    np.testing.assert_allclose(ask(served, "looked-up", request)["probability"][2], value, rtol=1e-5)


def test_a_graph_names_a_graph_and_answers_by_the_routes_of_its_members(served: PlaneProcess, tmp_path: Path) -> None:
    ws = served.ws
    register_logistic(ws, tmp_path, "three", W1)
    register_logistic(ws, tmp_path, "three", W2)
    deploy(ws, "three", 1)
    fixed = Member(name="three", version=1, outputs={"probability": "fixed"})
    ready(ws, "inner", Ensemble(members=[Member(name="three"), fixed], combine="collect"))
    ready(ws, "outer", Sequence(steps=[Member(name="inner")]))
    first = ask(served, "outer", features(X.tolist()))
    assert first["three.probability"] == first["fixed"]
    routes = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    wait_ready(ws, "three", set_routes(ws, "three", routes).generation)
    answers = [ask(served, "outer", {**features(X[:1].tolist()), "id": f"r{at}"}) for at in range(40)]
    values = {round(answer["three.probability"][0], 5) for answer in answers}
    assert values == {round(float(expected(w, X[:1])[0]), 5) for w in (W1, W2)}
    served.flush("outer")
    logged = predictions(ws, "three", routes=["champion", "canary", "direct"])
    assert set(logged["route"]) == {"champion", "canary", "direct"}


def test_a_member_is_swapped_under_load_without_a_failed_request(served: PlaneProcess, tmp_path: Path) -> None:
    ws = served.ws
    register_logistic(ws, tmp_path, "moving", W1)
    register_logistic(ws, tmp_path, "moving", W2)
    deploy(ws, "moving", 1)
    ready(ws, "over", Ensemble(members=[Member(name="moving"), Member(name="one")], combine="max"))
    answered: list[float] = []
    stop = threading.Event()

    def load() -> None:
        with PredictionClient(served.url, connections=4, depth=4, retry_s=0) as client:
            turn = 0
            while not stop.is_set():
                turn += 1
                requests = [(f"load-{turn}-{at}", {}, X[:1]) for at in range(50)]
                answered.extend(float(out[0]) for out in client.predict_many("over", requests))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for turn in range(10):
            wait_ready(ws, "moving", deploy(ws, "moving", 1 + (turn + 1) % 2).generation)
        graph = Ensemble(members=[Member(name="moving"), Member(name="one")])
        for _ in range(3):
            ready(ws, "over", graph)
            wait_ready(ws, "over", rollback(ws, "over").generation)
    finally:
        stop.set()
        thread.join()
    assert answered
    assert len(answered) % 50 == 0  # every batch was answered whole
    p1, p2 = float(expected(W1, X[:1])[0]), float(expected(W2, X[:1])[0])
    wanted = {round(value, 5) for value in (max(p1, p2), p1, (p1 + p2) / 2)}
    assert {round(value, 5) for value in answered} <= wanted


def test_a_member_that_was_unloaded_is_loaded_again_for_the_graph(served: PlaneProcess, tmp_path: Path) -> None:
    ws = served.ws
    register_logistic(ws, tmp_path, "sleepy", W1)
    deploy(ws, "sleepy", idle_s=0.1)
    ready(ws, "waking", Sequence(steps=[Member(name="sleepy")]))
    deadline = time.monotonic() + 300
    while [state.state for state in states(ws, "sleepy")] != ["unloaded"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    np.testing.assert_allclose(ask(served, "waking", features(X.tolist()))["probability"], expected(W1, X), rtol=1e-5)


def test_what_a_graph_asks_stays_deployed_and_fits_it(served: PlaneProcess, tmp_path: Path) -> None:
    ws = served.ws
    for _ in range(2):
        register_logistic(ws, tmp_path, "kept", W1)
    register_logistic(ws, tmp_path, "kept", np.ones(4), [*COLUMNS, "rain"])
    deploy(ws, "kept", 1)
    ready(ws, "keeper", Sequence(steps=[Member(name="kept", version=2, outputs={"probability": "hour"}),
                                        Member(name="kept")]))  # fmt: skip
    assert get_deployment(ws, "keeper").members == ["kept/2", "kept"]
    with pytest.raises(Refused, match="model 'kept' is asked by the graph 'keeper'"):
        undeploy(ws, "kept")
    assert served.request("POST", "/v2/repository/models/kept/unload", b"{}")[0] >= 400
    with pytest.raises(Refused, match="version 2 of 'kept' is asked by the graph 'keeper'"):
        ws.registry.delete_version("kept", 2)
    with pytest.raises(Refused, match="of 'kept' is asked by the graph 'keeper'"):
        ws.registry.delete_model("kept")
    with pytest.raises(Refused, match="does not fit the graph 'keeper': it would take 'rain' too"):
        deploy(ws, "kept", 3)
    with pytest.raises(Refused, match="does not fit the graph 'keeper'"):
        set_routes(ws, "kept", [Route(version=1, weight=0.9), Route(version=3, weight=0.1, role="canary")])
    undeploy(ws, "keeper")
    deploy(ws, "kept", 3)


def test_a_graph_waits_for_its_members_and_says_which_one_is_not_there(ws: hs.Workspace, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "a", W1)
    with pytest.raises(Refused, match="member 'a' is not deployed"):
        deploy_graph(ws, "g", Member(name="a"))
    deploy(ws, "a")
    deploy_graph(ws, "g", Sequence(steps=[Member(name="a")]))
    deploy_graph(ws, "h", Sequence(steps=[Member(name="g")]))
    with pytest.raises(InvalidInput, match="graphs ask each other in a circle: g → h → g"):
        deploy_graph(ws, "g", Sequence(steps=[Member(name="h")]))


def test_what_a_graph_or_a_member_keeps_out_of_the_log_is_on_no_disk(served: PlaneProcess, tmp_path: Path) -> None:
    ws, secret = served.ws, COLUMNS[1]
    for name in ("shy", "known"):
        register_logistic(ws, tmp_path, name, W1)
        deploy(ws, name)
    graph = Ensemble(members=[Member(name="shy"), Member(name="known", version=1)], combine="max")
    with pytest.raises(Refused, match=f"keeps '{secret}' out of the prediction log, and its member 'shy' would log it"):
        deploy_graph(ws, "discreet", graph, redacted=[secret])
    wait_ready(ws, "shy", configure(ws, "shy", redacted=[secret]).generation)
    wait_ready(ws, "known", configure(ws, "known", redacted=[COLUMNS[2]]).generation)
    ready(ws, "discreet", graph, redacted=[secret])
    with pytest.raises(Refused, match="its member 'shy' would log it"):
        configure(ws, "shy", redacted=[])
    row = np.array([[0.125, 0.7654321, 0.25]], "f4")
    ask(served, "discreet", {**features(row.tolist()), "id": "whispered"})
    served.flush("discreet")
    logged = {name: predictions(ws, name, routes=["champion", "direct"]) for name in ("discreet", "shy", "known")}
    assert {name: [one for one in COLUMNS if one in frame.columns] for name, frame in logged.items()} == {
        "discreet": [COLUMNS[0], COLUMNS[2]], "shy": [COLUMNS[0], COLUMNS[2]], "known": [COLUMNS[0]],
    }  # fmt: skip
    assert not any(row[0, 1].tobytes() in path.read_bytes() for path in spool_files(ws.home))
    wait_ready(ws, "discreet", configure(ws, "discreet", log_share=0.0).generation)
    ask(served, "discreet", {**features(row.tolist()), "id": "unsaid"})
    served.flush("discreet")
    frames = [predictions(ws, name, routes=["champion", "direct"]) for name in ("discreet", "known")]
    assert not any("unsaid" in frame["request_id"].to_list() for frame in frames)
