"""The data plane as a client sees it: a real process, real sockets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tritonclient.http as triton
from onnx import TensorProto, helper

import homeostat as hs
from homeostat.registry import Field, Signature, put_package, register
from homeostat.serving import PredictionClient, deploy, wait_ready
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import COLUMNS, expected, register_logistic, serialised, write_package

WEIGHTS = np.array([0.5, -0.25, 1.0])


def deployed(ws: hs.Workspace, scratch: Path, model: str = "delay", weights: np.ndarray = WEIGHTS) -> int:
    version = register_logistic(ws, scratch, model, weights)
    wait_ready(ws, model, deploy(ws, model, version.version).generation)
    return version.version


def test_json_flat_and_nested_and_columns_agree(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    rows = np.array([[1, 2, 3], [0, -1, 0.5]], "f4")
    wanted = expected(WEIGHTS, rows).tolist()
    nested = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [2, 3], "data": rows.tolist()}]}
    columns = {
        "id": "mine",
        "inputs": [
            {"name": name, "datatype": "FP32", "shape": [2], "data": rows[:, at].tolist()}
            for at, name in reversed(list(enumerate(COLUMNS)))
        ],
    }
    for request in (features(rows.tolist()), nested, columns):
        status, answer = plane.infer("delay", request)
        assert status == 200, answer
        np.testing.assert_allclose(answer["outputs"][0]["data"], wanted, rtol=1e-4)
        assert answer["model_version"] == "1"
        assert answer["parameters"] == {"version": "1", "route": "champion"}
        assert answer["id"] == request.get("id", answer["id"]) != ""


def test_tritonclient_in_its_default_binary_mode(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype("f4")
    client = triton.InferenceServerClient(f"127.0.0.1:{plane.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("delay")
        assert client.is_model_ready("delay", "1")
        metadata = client.get_model_metadata("delay")
        assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
        assert metadata["outputs"] == [{"name": "probability", "datatype": "FP32", "shape": [-1]}]
        assert client.get_model_repository_index() == [
            {"name": "delay", "version": "1", "state": "READY", "reason": ""}
        ]
        tensor = triton.InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows)
        plain = client.infer("delay", [tensor]).as_numpy("probability")
        np.testing.assert_allclose(plain, expected(WEIGHTS, rows), rtol=1e-4)
        for binary in (True, False):
            tensor.set_data_from_numpy(rows, binary_data=binary)
            output = triton.InferRequestedOutput("probability", binary_data=binary)
            for coding in (None, "gzip", "deflate"):
                answer = client.infer(
                    "delay", [tensor], outputs=[output], request_id="r", request_compression_algorithm=coding
                )
                np.testing.assert_array_equal(answer.as_numpy("probability"), plain)
        statistics = client.get_inference_statistics("delay")["model_stats"][0]
        assert statistics["inference_stats"]["success"]["count"] == 7
        assert statistics["inference_count"] == 49
        assert 0 <= time.time() * 1000 - statistics["last_inference"] < 600_000
    finally:
        client.close()


def test_our_client_gives_outputs_in_order(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    rng = np.random.default_rng(1)
    batches = [rng.normal(size=(1 + at % 5, 3)).astype("f4") for at in range(3000)]
    with PredictionClient(plane.url) as client:
        outputs = client.predict_many("delay", ((f"r{at}", {}, rows) for at, rows in enumerate(batches)))
        assert len(outputs) == 3000
        np.testing.assert_allclose(np.concatenate(outputs), expected(WEIGHTS, np.concatenate(batches)), rtol=1e-4)
        assert client.flush("delay") == sum(len(rows) for rows in batches)


def words_of(words: list[list[float]]) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [len(words), 2], "data": [n for row in words for n in row]}


def detector() -> bytes:
    """An ONNX graph that tells where in its tensor "x" [n, 2] numbers above zero are, as rows of "y" [found, 2]."""
    graph = helper.make_graph(
        [
            helper.make_node("Greater", ["x", "zero"], ["above"]),
            helper.make_node("NonZero", ["above"], ["columns"]),
            helper.make_node("Transpose", ["columns"], ["y"]),
        ],
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [None, 2])],
        [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])],
    )
    return serialised(graph)


def test_a_model_that_finds_many_things_or_none_in_a_row_answers_all_of_them(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    signature = Signature(
        inputs=[Field(name="x", dtype="FP32", shape=[-1, 2])], outputs=[Field(name="y", dtype="INT64", shape=[-1, 2])],
        tensor=None,
    )  # fmt: skip
    folder = write_package(tmp_path / "detector", "model.onnx", detector(), "onnx", signature)
    register(ws, "detector", put_package(ws, folder))
    wait_ready(ws, "detector", deploy(ws, "detector").generation)
    for words in ([[0, 0]], [[1, 0]], [[1, 1]], [[0, 1], [1, 1], [0, 0]]):
        wanted = np.argwhere(np.array(words) > 0)
        status, answer = plane.infer("detector", {"inputs": [words_of(words)]})
        assert (status, answer["outputs"][0]["shape"]) == (200, list(wanted.shape))
        assert answer["outputs"][0]["data"] == wanted.reshape(-1).tolist()
        body = msgspec.json.encode({"inputs": [words_of(words)], "parameters": {"binary_data_output": True}})
        status, told, data = plane.request("POST", "/v2/models/detector/infer", body)
        assert status == 200
        assert data[int(told["inference-header-content-length"]) :] == wanted.astype("<i8").tobytes()
