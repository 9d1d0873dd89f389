"""A real data plane with less memory than its models would take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton_grpc

import homeostat as hs
from homeostat.registry import put_package, register
from homeostat.serving import PredictionClient, deploy, states, wait_ready
from tests.serving.conftest import PlaneProcess, features
from tests.serving.crowd import samples
from tests.serving.models import COLUMNS, serialised, tabular, write_package

MODELS = 8
WIDTH = 2_000_000  # floats: each model takes some 8 MB
BUDGET_MB = 36


def wide(factor: float) -> bytes:
    """An ONNX graph that multiplies the sum of its three columns by `factor`, which it finds in a long table."""
    from onnx import TensorProto, helper

    table = np.full(WIDTH, factor, "f4")
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["features", "axis"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["sum", "zero"], ["place"]),
            helper.make_node("Cast", ["place"], ["at"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "at"], ["factor"]),
            helper.make_node("Mul", ["sum", "factor"], ["probability"]),
        ],
        "wide",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])],
        [
            helper.make_tensor("table", TensorProto.FLOAT, [WIDTH], table.tobytes(), raw=True),
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        ],
    )
    return serialised(graph)


@pytest.fixture
def crowded(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlaneProcess]:
    """A plane with eight models, one of them pinned, and room for some."""
    monkeypatch.setenv("HOMEOSTAT_MEMORY_BUDGET_MB", str(BUDGET_MB))
    sample = pl.DataFrame({name: np.ones(1, "f4") for name in COLUMNS})
    for at in range(MODELS):
        folder = write_package(tmp_path / f"w{at}", "model.onnx", wide(at + 1), "onnx", tabular(), sample=sample)
        register(ws, f"w{at}", put_package(ws, folder))
        deploy(ws, f"w{at}", min_replicas=int(at == 0))
    running = PlaneProcess(ws, tmp_path / "plane.log")
    yield running
    assert running.stop() == 0, running.log.read_text()


def value(plane: PlaneProcess, name: str) -> float:
    return sum(number for _, number in samples(plane.port, name))


def test_every_model_answers_within_the_budget(ws: hs.Workspace, crowded: PlaneProcess) -> None:
    assert value(crowded, "homeostat_models_loaded") == 1  # the pinned one
    assert {state.state for state in wait_ready(ws, "w5")} == {"unloaded"}
    assert crowded.get("/v2/models/w5/ready") == (200, {"name": "w5", "ready": True})
    wrong: list[object] = []

    def ask(seed: int) -> None:
        random = np.random.default_rng(seed)
        with PredictionClient(crowded.url, retry_s=0, connections=1) as client:
            for number in random.permutation(MODELS):
                rows = random.normal(size=(2, 3)).astype("f4")
                try:
                    answer = client.predict(f"w{number}", rows)
                    np.testing.assert_allclose(answer, (number + 1) * rows.sum(axis=1), rtol=1e-3, atol=1e-3)
                except Exception as error:
                    wrong.append(error)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 0 < value(crowded, "homeostat_model_memory_bytes") <= BUDGET_MB << 20
    assert 1 < value(crowded, "homeostat_models_loaded") < MODELS
    loads = dict(samples(crowded.port, "homeostat_loads_total"))
    assert len(loads) == MODELS
    assert loads['model="w0"'] == 1  # it never went
    assert value(crowded, "homeostat_unloads_total") == sum(loads.values()) - value(crowded, "homeostat_models_loaded")
    assert value(crowded, "homeostat_held_total") > 0
    assert value(crowded, "homeostat_requests_total") == 4 * MODELS  # the counts of what was unloaded stay


def test_metadata_grpc_and_index_of_what_is_away(ws: hs.Workspace, crowded: PlaneProcess) -> None:
    status, index = crowded.get("/v2/repository/index")
    assert status == 200
    assert {(one["state"], one["reason"]) for one in index if one["name"] != "w0"} == {
        ("READY", "not in memory; the next request loads it")
    }
    assert crowded.get("/v2/models/w3")[1]["inputs"][0]["shape"] == [-1, 3]
    client = triton_grpc.InferenceServerClient(f"127.0.0.1:{crowded.port}")
    assert client.is_model_ready("w4")
    assert not client.is_model_ready("w4", "9")
    rows = np.ones((1, 3), "f4")
    tensor = triton_grpc.InferInput("features", [1, 3], "FP32")
    tensor.set_data_from_numpy(rows)
    np.testing.assert_allclose(client.infer("w4", [tensor]).as_numpy("probability"), [15.0], rtol=1e-4)
    client.close()
    status, answer = crowded.infer("w6", features([[1, 1]]))
    assert (status, "error" in answer) == (400, True)  # told when the model is there to tell it
    while {state.state for state in states(ws, "w6")} != {"ready"}:  # the test's own time limit is the limit
        time.sleep(0.02)
