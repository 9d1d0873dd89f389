"""Models of every flavour answer over HTTP what they answer in Python."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import tritonclient.http as triton
from onnx import TensorProto, helper

import homeostat as hs
from homeostat.core.errors import Refused, Unavailable
from homeostat.registry import Field, Signature, log_model, put_package, register
from homeostat.serving import PredictionClient, deploy, wait_ready
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import serialised, tabular, write_package

RNG = np.random.default_rng(3)
X = RNG.normal(size=(400, 4)).astype("f4")
Y = X[:, 0] + X[:, 1] * X[:, 2] > 0


def serve(ws: hs.Workspace, model: str) -> None:
    wait_ready(ws, model, deploy(ws, model).generation)


@pytest.mark.parametrize("onnx", [True, False])
def test_lightgbm_as_onnx_and_native_through_tritonclient(ws: hs.Workspace, plane: PlaneProcess, onnx: bool) -> None:
    import lightgbm as lgb

    booster = lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lgb.Dataset(X, Y), 20)
    version = log_model(ws, "trees", booster, X, onnx=onnx)
    assert version.onnx.agrees is onnx
    serve(ws, "trees")
    client = triton.InferenceServerClient(f"127.0.0.1:{plane.port}")
    try:
        assert client.get_model_metadata("trees")["platform"] == f"homeostat_{'onnxruntime' if onnx else 'lightgbm'}"
        for rows in (X[:1], X):
            tensor = triton.InferInput("features", list(rows.shape), "FP32")
            tensor.set_data_from_numpy(rows)
            got = client.infer("trees", [tensor]).as_numpy("probability")
            np.testing.assert_allclose(got, booster.predict(rows, num_threads=1), rtol=1e-5, atol=1e-6)
    finally:
        client.close()


@pytest.mark.parametrize("onnx", [True, False])
def test_xgboost_as_onnx_and_native(ws: hs.Workspace, plane: PlaneProcess, onnx: bool) -> None:
    import xgboost as xgb

    model = xgb.XGBClassifier(n_estimators=10, n_jobs=1).fit(X, Y)
    assert log_model(ws, "boosted", model, X, onnx=onnx).onnx.agrees is onnx
    serve(ws, "boosted")
    status, answer = plane.infer("boosted", features(X[:9].tolist()))
    assert status == 200, answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], model.predict_proba(X[:9])[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("onnx", [True, False])
def test_catboost_as_onnx_and_native(ws: hs.Workspace, plane: PlaneProcess, onnx: bool) -> None:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(iterations=10, thread_count=1, verbose=0, allow_writing_files=False).fit(X, Y)
    assert log_model(ws, "oblivious", model, X, onnx=onnx).onnx.agrees is onnx
    serve(ws, "oblivious")
    status, answer = plane.infer("oblivious", features(X[:9].tolist()))
    assert status == 200, answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], model.predict_proba(X[:9])[:, 1], rtol=1e-4, atol=1e-5)


def test_catboost_with_categories(ws: hs.Workspace, plane: PlaneProcess) -> None:
    from catboost import CatBoostClassifier

    rows = pl.DataFrame({"far": X[:, 0], "carrier": ["AA", "été"] * (len(X) // 2)})
    model = CatBoostClassifier(iterations=10, thread_count=1, verbose=0, allow_writing_files=False,
                               cat_features=["carrier"]).fit(rows.to_pandas(), Y)  # fmt: skip
    log_model(ws, "carriers", model, rows)
    serve(ws, "carriers")
    inputs = [
        {"name": "carrier", "datatype": "BYTES", "shape": [9], "data": rows["carrier"][:9].to_list()},
        {"name": "far", "datatype": "FP32", "shape": [9], "data": rows["far"][:9].to_list()},
    ]
    status, answer = plane.infer("carriers", {"inputs": inputs})
    assert status == 200, answer
    wanted = model.predict_proba(rows[:9].to_pandas())[:, 1]
    np.testing.assert_allclose(answer["outputs"][0]["data"], wanted, rtol=1e-5, atol=1e-6)


def test_what_runs_no_code_is_served_whoever_made_it(ws: hs.Workspace, plane: PlaneProcess) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(X, Y)
    log_model(ws, "kept", model, X, onnx=False, pickled=False)
    serve(ws, "kept")
    status, answer = plane.infer("kept", features(X[:4].tolist()))
    assert status == 200, answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], model.predict_proba(X[:4])[:, 1], rtol=1e-5)


def test_a_scikit_learn_pipeline_answers_named_columns(ws: hs.Workspace, plane: PlaneProcess) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    sample = pl.DataFrame(X, schema=["a", "b", "c", "d"])
    log_model(ws, "pipe", model, sample)
    serve(ws, "pipe")
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [5], "data": sample[name][:5].to_list()} for name in sample.columns
    ]
    status, answer = plane.infer("pipe", {"inputs": inputs})
    assert status == 200, answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], model.predict_proba(X[:5])[:, 1], rtol=1e-4)


def noisy_sum(rows: np.ndarray) -> np.ndarray:
    """A model of the user's own; a row that begins with 13 kills its process, one with 7 raises."""
    print("this must not reach the wire")
    if (rows[:, 0] == 13).any():
        os.kill(os.getpid(), signal.SIGKILL)
    if (rows[:, 0] == 7).any():
        raise ValueError("seven is not a number I like")
    return rows.sum(axis=1).astype("f4")


def test_a_python_function_runs_in_a_process_of_its_own(ws: hs.Workspace, plane: PlaneProcess) -> None:
    with hs.run("train", ws=ws) as run:
        log_model(ws, "own", noisy_sum, X, run_id=run.id)
    serve(ws, "own")
    with PredictionClient(plane.url, retry_s=5) as client:
        got = client.predict_many("own", [(str(at), {}, X[at : at + 2]) for at in range(100)])
        np.testing.assert_allclose(np.array(got), [X[at : at + 2].sum(axis=1) for at in range(100)], rtol=1e-5)
        bad = X[:1].copy()
        bad[0, 0] = 7
        mixed = [(str(at), {}, X[at : at + 1]) for at in range(20)]
        status, answer = plane.infer("own", features(bad.tolist()))
        assert status == 500
        assert "ValueError: seven is not a number I like" in answer["error"]
        deadly = X[:1].copy()
        deadly[0, 0] = 13
        status, answer = plane.infer("own", features(deadly.tolist()))
        assert status == 503
        assert "worker process died" in answer["error"]
        assert len(client.predict_many("own", mixed)) == 20


def test_a_new_version_rehearses_what_the_last_one_was_asked(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"

    def first(rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1)

    def second(rows: np.ndarray) -> np.ndarray:
        with trace.open("a") as out:
            out.write(f"{len(rows)} {rows[0, 0]:g}\n")
        if rows[0, 0] == 1234.5:
            raise ValueError("too large for me")
        return rows.sum(axis=1)

    with hs.run("train", ws=ws) as run:
        log_model(ws, "own", first, X, run_id=run.id)
        log_model(ws, "own", second, X, run_id=run.id)
    wait_ready(ws, "own", deploy(ws, "own", 1).generation)
    assert plane.infer("own", features([[1234.5, 0, 0, 0]] * 3))[0] == 200
    assert plane.request("POST", "/v2/models/own/flush")[0] == 200
    wait_ready(ws, "own", deploy(ws, "own", 2).generation)
    assert "3 1234.5" in trace.read_text().splitlines()
    log = plane.log.read_text()
    assert "version 2 fails where version 1 answered" in log and "too large for me" in log
    assert plane.infer("own", features([[1, 2, 3, 4]]))[0] == 200


def test_one_bad_request_does_not_fail_its_neighbours(ws: hs.Workspace, plane: PlaneProcess) -> None:
    with hs.run("train", ws=ws) as run:
        log_model(ws, "own", noisy_sum, X, run_id=run.id)
    serve(ws, "own")
    import threading

    results: list[object] = []

    def ask(value: float) -> None:
        row = np.full((1, 4), value, "f4")
        results.append((value, plane.infer("own", features(row.tolist()))[0]))

    threads = [threading.Thread(target=ask, args=(float(value),)) for value in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(float(value), 500 if value == 7 else 200) for value in range(12)]


def test_text_columns_reach_the_model_as_text(ws: hs.Workspace, plane: PlaneProcess) -> None:
    def lengths(table: object) -> np.ndarray:
        return np.array([len(word) + n for word, n in zip(table["word"], table["n"], strict=True)], "f4")  # type: ignore[index]

    sample = pl.DataFrame({"word": ["a", "bb"], "n": [1, 2]})
    with hs.run("train", ws=ws) as run:
        log_model(ws, "words", lengths, sample, run_id=run.id)
    serve(ws, "words")
    inputs = [
        {"name": "word", "datatype": "BYTES", "shape": [2], "data": ["späť", ""]},
        {"name": "n", "datatype": "INT64", "shape": [2], "data": [10, 20]},
    ]
    status, answer = plane.infer("words", {"inputs": inputs})
    assert status == 200, answer
    assert answer["outputs"][0]["data"] == [14, 20]


def test_a_pickle_that_no_run_here_has_made_is_not_run(ws: hs.Workspace, plane: PlaneProcess) -> None:
    log_model(ws, "foreign", noisy_sum, X)
    generation = deploy(ws, "foreign").generation
    with pytest.raises(Unavailable, match="a pickle that no run of this workspace has made"):
        wait_ready(ws, "foreign", generation)
    status, answer = plane.infer("foreign", features(X[:1].tolist()))
    assert status == 503
    assert "cannot be served" in answer["error"]


def test_a_version_refused_by_its_gates_is_not_deployed(ws: hs.Workspace) -> None:
    from homeostat.registry import GateResult, record_gates

    version = log_model(ws, "trees", lambda rows: rows[:, 0], X)
    record_gates(ws, "trees", version.version, [GateResult(gate="quality", passed=False, reason="worse")])
    with pytest.raises(Refused, match="refused by its gates: quality"):
        deploy(ws, "trees")


def test_files_that_were_changed_on_disk_are_not_served(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    from tests.serving.models import register_logistic
    from tests.serving.test_plane import WEIGHTS, deployed

    deployed(ws, tmp_path)
    (cached,) = (ws.home / "cache" / "models").iterdir()
    (cached / "model.onnx").write_bytes(b"changed")
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    port = plane.port
    plane.stop()
    plane.start(port)
    assert plane.infer("delay", features([[0, 0, 0]]))[0] == 200
    assert (cached / "model.onnx").read_bytes() != b"changed"


def test_a_large_batch_reaches_the_worker_through_shared_memory(ws: hs.Workspace, plane: PlaneProcess) -> None:
    with hs.run("train", ws=ws) as run:
        log_model(ws, "own", noisy_sum, X, run_id=run.id)
    serve(ws, "own")
    with PredictionClient(plane.url) as client:
        for rows in (4_000, 20_000, 3, 8_000):  # grows, and is used again for less
            many = np.resize(X, (rows, 4))
            np.testing.assert_allclose(client.predict("own", many), many.sum(axis=1), rtol=1e-5, atol=1e-5)


def test_a_request_that_ends_the_worker_fails_alone(ws: hs.Workspace, plane: PlaneProcess) -> None:
    with hs.run("train", ws=ws) as run:
        log_model(ws, "own", noisy_sum, X, run_id=run.id)
    serve(ws, "own")
    values = [1.0, 2.0, 13.0, 4.0]
    packets = []
    for value in values:
        body = msgspec.json.encode(features([[value] * 4]))
        packets.append(
            b"POST /v2/models/own/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
    with socket.create_connection(("127.0.0.1", plane.port), timeout=300) as line:
        line.sendall(b"".join(packets))  # pipelined: they are one batch
        stream = line.makefile("rb")
        statuses: list[int] = []
        for _ in values:
            statuses.append(int(stream.readline().split()[1]))
            length = 0
            while (head := stream.readline()) != b"\r\n":
                if head.lower().startswith(b"content-length:"):
                    length = int(head.split(b":")[1])
            stream.read(length)
    assert statuses == [200, 200, 503, 200]


def labels() -> bytes:
    """An ONNX graph: "features" [n, 3] to "label" [n], "late" where the first is above zero, else "on time"."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "first"], ["distance"], axis=1),
            helper.make_node("Greater", ["distance", "zero"], ["above"]),
            helper.make_node("Cast", ["above"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["words", "place"], ["label"]),
        ],
        "labels",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, [None])],
        [
            helper.make_tensor("first", TensorProto.INT64, [], [0]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
            helper.make_tensor("words", TensorProto.STRING, [2], [b"on time", b"late"]),
        ],
    )
    return serialised(graph)


def test_a_model_of_numbers_that_answers_with_texts(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    signature = Signature(inputs=tabular().inputs, outputs=[Field(name="label", dtype="BYTES")])
    folder = write_package(tmp_path / "labels", "model.onnx", labels(), "onnx", signature)
    register(ws, "labels", put_package(ws, folder))
    serve(ws, "labels")
    for sign in (1.0, 1.0, -1.0, 1.0):
        status, answer = plane.infer("labels", features([[sign, 0.0, 0.0]]))
        assert (status, answer["outputs"][0]["data"]) == (200, ["late" if sign > 0 else "on time"])
