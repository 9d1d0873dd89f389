"""Python classes with several outputs, in every protocol, in the prediction log and in graphs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

import homeostat as hs
from homeostat.registry import log_model
from homeostat.serving import Member, Sequence, deploy, deploy_graph, predictions, wait_ready
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import register_logistic

X = np.array([[0.5, 2.0, 1.0], [-1.0, 0.0, 3.0]], "f4")
SUM, WORDS = X.sum(axis=1), ["up" if row[0] > 0 else "down" for row in X]


class Prepared:
    """Counts how often it was made, by files beside the model."""

    def load(self, folder: Path) -> None:
        self.word = (folder / "word.txt").read_text()
        with Path(os.environ["HOMEOSTAT_HOME"], "made.txt").open("a") as file:
            file.write("made\n")

    def preprocess(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows, "f8")

    def predict(self, rows: np.ndarray) -> dict[str, Any]:
        if (rows[:, 0] == 7).any():
            return {"sum": rows[:, 0], "pair": rows[:1]}
        return {"sum": rows.sum(axis=1), "pair": rows[:, :2], "rank": rows[:, 1].astype("i8")}

    def postprocess(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "word": np.where(answer["pair"][:, 0] > 0, self.word, "down")}


class Columns:
    """A step before a model: gives columns by the names that the model takes."""

    def predict(self, table: Any) -> Any:
        table = table.assign(distance=table["word"].str.len().astype("f4"), hour=table["n"] * np.float32(2))
        return table.assign(wind=np.float32(0))[["wind", "distance", "hour"]]


@pytest.fixture(scope="module")
def served(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    ws, folder = shared.ws, tmp_path_factory.mktemp("files")
    (folder / "word.txt").write_text("up")
    with hs.run("train", ws=ws) as run:
        os.environ.setdefault("HOMEOSTAT_HOME", str(folder))
        log_model(ws, "prepared", Prepared, X, run_id=run.id, artifacts=folder)
        log_model(ws, "columns", Columns, pl.DataFrame({"word": ["a", "bb"], "n": [1, 2]}), run_id=run.id)
    register_logistic(ws, tmp_path_factory.mktemp("models"), "one", np.array([0.5, -1.0, 0.25]))
    for name in ("prepared", "columns", "one"):
        wait_ready(ws, name, deploy(ws, name).generation, timeout_s=600)
    return shared


def by_name(answer: dict[str, Any]) -> dict[str, list[Any]]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def test_rest_gives_every_output_in_json(served: PlaneProcess) -> None:
    _, metadata = served.get("/v2/models/prepared")
    assert [(o["name"], o["datatype"], o["shape"]) for o in metadata["outputs"]] == [
        ("sum", "FP32", [-1]), ("pair", "FP32", [-1, 2]), ("rank", "INT64", [-1]), ("word", "BYTES", [-1]),
    ]  # fmt: skip
    status, answer = served.infer("prepared", features(X.tolist()))
    assert status == 200, answer
    assert by_name(answer) == {
        "sum": SUM.tolist(), "pair": X[:, :2].reshape(-1).tolist(), "rank": [2, 0], "word": WORDS,
    }  # fmt: skip
    status, answer = served.infer("prepared", {**features(X.tolist()), "outputs": [{"name": "word"}]})
    assert (status, by_name(answer)) == (200, {"word": WORDS})


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_triton_clients_read_every_output(served: PlaneProcess, protocol: str) -> None:
    module: Any = triton_http if protocol == "http" else triton_grpc
    client = module.InferenceServerClient(f"127.0.0.1:{served.port}")
    try:
        tensor = module.InferInput("features", list(X.shape), "FP32")
        tensor.set_data_from_numpy(X)
        answer = client.infer("prepared", [tensor])
        np.testing.assert_array_equal(answer.as_numpy("sum"), SUM)
        np.testing.assert_array_equal(answer.as_numpy("pair"), X[:, :2])
        np.testing.assert_array_equal(answer.as_numpy("rank"), [2, 0])
        assert [word.decode() for word in answer.as_numpy("word")] == WORDS
    finally:
        client.close()


def test_scoring_forms_give_a_record_for_each_row(served: PlaneProcess) -> None:
    wanted = [
        {"sum": float(total), "pair": row[:2], "rank": int(row[1]), "word": word}
        for total, row, word in zip(SUM, X.tolist(), WORDS, strict=True)
    ]
    for path, body in (
        ("/v2/models/prepared/invocations", {"inputs": X.tolist()}),
        ("/v1/models/prepared:predict", {"instances": X.tolist()}),
    ):
        status, _, answer = served.request(
            "POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"}
        )
        assert status == 200, answer
        assert msgspec.json.decode(answer)["predictions"] == wanted, path


def test_the_object_is_made_once_and_each_output_is_logged(served: PlaneProcess) -> None:
    for number in range(5):
        assert served.infer("prepared", {**features(X.tolist()), "id": f"logged-{number}"})[0] == 200
    assert (served.ws.home / "made.txt").read_text() == "made\n"
    served.flush("prepared")
    frame = predictions(served.ws, "prepared").filter(pl.col("request_id").str.starts_with("logged-"))
    assert frame.height == 10
    assert frame["word"].to_list() == WORDS * 5
    assert frame["sum"].to_list() == SUM.tolist() * 5
    assert frame["rank"].to_list() == [2, 0] * 5
    assert frame["pair"].to_list() == X[:, :2].tolist() * 5


def test_an_output_that_does_not_fit_fails_its_request_alone(served: PlaneProcess) -> None:
    status, answer = served.infer("prepared", features([[7.0, 1.0, 1.0], [7.0, 1.0, 1.0]]))
    assert status == 500
    assert "did not give its output 'rank'" in answer["error"]
    assert served.infer("prepared", features(X.tolist()))[0] == 200


def test_outputs_feed_the_next_model_by_name(served: PlaneProcess) -> None:
    graph = Sequence(steps=[Member(name="columns"), Member(name="one")])
    wait_ready(served.ws, "both", deploy_graph(served.ws, "both", graph).generation, timeout_s=600)
    request = {"inputs": [
        {"name": "word", "datatype": "BYTES", "shape": [2], "data": ["abc", ""]},
        {"name": "n", "datatype": "INT64", "shape": [2], "data": [1, -1]},
    ]}  # fmt: skip
    status, alone = served.infer("columns", request)
    assert (status, by_name(alone)) == (200, {"wind": [0, 0], "distance": [3, 0], "hour": [2, -2]})
    status, answer = served.infer("both", request)
    assert status == 200, answer
    _, wanted = served.infer("one", features([[3, 2, 0], [0, -2, 0]]))
    np.testing.assert_allclose(by_name(answer)["probability"], by_name(wanted)["probability"], rtol=1e-6)


def test_a_graph_names_the_outputs_it_takes(served: PlaneProcess) -> None:
    rename = {"distance": "sum", "hour": "rank", "wind": "sum"}
    graph = Sequence(steps=[Member(name="prepared"), Member(name="one", inputs=rename)])
    wait_ready(served.ws, "renamed", deploy_graph(served.ws, "renamed", graph).generation, timeout_s=600)
    status, answer = served.infer("renamed", features(X.tolist()))
    assert status == 200, answer
    _, wanted = served.infer("one", features([[SUM[0], 2, SUM[0]], [SUM[1], 0, SUM[1]]]))
    np.testing.assert_allclose(by_name(answer)["probability"], by_name(wanted)["probability"], rtol=1e-6)
