"""The same model in the same process, asked in every protocol's own words: MLflow, CSV, KServe v1, frames by OIP."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.http as triton

from homeostat.serving import deploy, get_deployment, wait_ready
from tests.serving.conftest import PlaneProcess
from tests.serving.models import COLUMNS, expected, register_logistic, register_tensor
from tests.serving.test_plane import WEIGHTS, deployed

ROWS = np.array([[1, 2, 3], [0, -1, 0.5]], "f4")
ANSWERS = expected(WEIGHTS, ROWS).tolist()
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS.tolist()]


@pytest.fixture(scope="module")
def plane(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    deployed(shared.ws, tmp_path_factory.mktemp("models"))
    return shared


def post(plane: PlaneProcess, path: str, body: Any, media: str = "application/json") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    status, _, answer = plane.request("POST", path, data, {"Content-Type": media})
    return status, msgspec.json.decode(answer)


FORMS: dict[str, Any] = {
    "split": {"dataframe_split": {"columns": COLUMNS, "data": ROWS.tolist(), "index": [0, 1]}},
    "split in another order": {"dataframe_split": {"columns": COLUMNS[::-1], "data": ROWS[:, ::-1].tolist()}},
    "split with a key": {
        "dataframe_split": {"columns": [*COLUMNS, "key"], "data": [[*ROWS[0].tolist(), "a"], [*ROWS[1].tolist(), "b"]]}
    },
    "records": {"dataframe_records": RECORDS},
    "instances by position": {"instances": ROWS.tolist()},
    "instances by name": {"instances": RECORDS},
    "inputs by position": {"inputs": ROWS.tolist()},
    "inputs by name": {"inputs": {name: ROWS[:, at].tolist() for at, name in enumerate(COLUMNS)}},
    "the tensor by name": {"inputs": {"features": ROWS.tolist()}, "params": {"temperature": 1}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "path", ["/invocations", "/v2/models/delay/versions/1/invocations", "/v1/models/delay:predict"]
)
def test_every_scoring_form_gives_the_same_predictions(plane: PlaneProcess, form: str, path: str) -> None:
    if path == "/invocations" and len(plane.get("/v2/models")[1]["models"]) > 1:
        path = "/v2/models/delay/invocations"
    status, answer = post(plane, path, FORMS[form])
    assert status == 200, answer
    np.testing.assert_allclose(answer["predictions"], ANSWERS, rtol=1e-4)


def test_csv_and_the_small_pages_of_a_scoring_server(plane: PlaneProcess) -> None:
    text = b"distance,hour,wind\r\n1,2,3\r\n0,-1,0.5\r\n"
    status, answer = post(plane, "/v2/models/delay/invocations", text, "text/csv; charset=utf-8")
    assert status == 200, answer
    np.testing.assert_allclose(answer["predictions"], ANSWERS, rtol=1e-4)
    assert plane.request("GET", "/ping")[0] == 200
    assert plane.request("GET", "/health")[0] == 200
    assert plane.request("GET", "/version")[2]
    assert plane.get("/v1/models")[1]["models"][0] == "delay"
    assert plane.get("/v1/models/delay") == (200, {"name": "delay", "ready": True})
    headers = {"X-Request-Id": "mine", "Content-Type": "application/json"}
    _, given, _ = plane.request("POST", "/v2/models/delay/invocations", msgspec.json.encode(FORMS["records"]), headers)
    assert given["x-request-id"] == "mine"
    assert given["x-model-version"] == "1"


def test_a_requests_id_may_come_in_its_head_and_is_told_where_it_fails(plane: PlaneProcess) -> None:
    path, head = "/v2/models/delay/infer", {"X-Request-Id": "mine"}
    wires = [{"name": "features", "datatype": "FP32", "shape": [2, 3], "data": ROWS.tolist()}]
    for body, wanted in (({"inputs": wires}, "mine"), ({"inputs": wires, "id": "its own"}, "its own")):
        status, _, answer = plane.request("POST", path, msgspec.json.encode(body), head)
        assert (status, msgspec.json.decode(answer)["id"]) == (200, wanted)
    plane.flush("delay")
    assert {"mine", "its own"} <= set(plane.ws.serving.predictions("delay")["request_id"])
    for wrong in (
        b"{",
        b'{"inputs": []}',
        b'{"inputs": [{"name": "moon", "datatype": "FP32", "shape": [1], "data": [1]}]}',
    ):
        status, headers, _ = plane.request("POST", path, wrong, head)
        assert (status, headers["x-request-id"]) == (400, "mine")
    assert plane.request("POST", "/v2/models/nobody/infer", b"{}", head)[1]["x-request-id"] == "mine"
    assert "x-request-id" not in plane.request("POST", "/v2/models/nobody/infer", b"{}")[1]


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "the body holds none of the forms"),
    "two forms": ({"inputs": [1], "instances": [1]}, "the body holds instances and inputs"),
    "not JSON": (b"{", "the body is not valid JSON"),
    "missing column": ({"dataframe_split": {"columns": COLUMNS[:2], "data": [[1, 2]]}}, "misses the input 'wind'"),
    "extra column": ({"dataframe_records": [{**RECORDS[0], "moon": 1}]}, "model 'delay' has no input 'moon'"),
    "text": ({"inputs": {"distance": ["far"], "hour": [1], "wind": [2]}},
             "input 'distance': the data is not a list of FP32 values"),
    "ragged split": ({"dataframe_split": {"columns": COLUMNS, "data": [[1, 2]]}}, "row 0 has 2 values for 3 columns"),
    "ragged records": ({"dataframe_records": [RECORDS[0], {"hour": 1}]}, "row 1 lacks"),
    "too large in a split": (
        {"dataframe_split": {"columns": COLUMNS[::-1], "data": [[1, -1e39, 2]]}},
        "input 'hour': a value lies outside of FP32 (at most 3.4028235e+38",
    ),
    "too large by position": ({"instances": [[1, 1e39, 2]]}, "input 'features': a value lies outside of FP32"),
    "column twice": ({"dataframe_split": {"columns": ["hour", "hour"], "data": [[1, 2]]}}, "'hour' is given twice"),
    "wrong width": ({"instances": [[1, 2]]}, "expected shape [rows, 3], got [1, 2]"),
    "no rows": ({"instances": []}, "expected shape [rows, 3], got [0]"),
    "a number": ({"inputs": 5}, "'inputs' is neither a list nor an object"),
    "deep": ({"inputs": [[[[[[[[[[1]]]]]]]]]]}, "nested deeper than 8 lists"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_scoring_requests_that_do_not_fit_are_told_why(plane: PlaneProcess, name: str) -> None:
    body, message = WRONG[name]
    status, answer = post(plane, "/v2/models/delay/invocations", body)
    assert status == 400
    assert message in answer["error"] and "\n" not in answer["error"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the CSV has no header line"),
        (b"distance,hour,wind\n1,2\n", "row 1 has 2 fields, the header names 3"),
        (b"distance,hour,wind\n1,late,3\n", "column 'hour', row 1: 'late' is not FP32"),
        (b"distance,hour,wind\n1,2,1_0\n", "column 'wind', row 1: '1_0' is not FP32"),
        (b"distance,hour,wind\n1,1e39,3\n", "input 'hour': a value lies outside of FP32"),
        (b"distance,hour,wind\n1,2,3\n1,-1e400,3\n", "column 'hour', row 2: a value lies outside of FP32"),
        (b"distance,hour,wind\n", "the request has no rows"),
        (b"\xff\xfe", "the body is not CSV"),
        (b'distance,"hour', "the body is not CSV"),
    ],
)
def test_csv_that_does_not_fit_is_told_why(plane: PlaneProcess, text: bytes, message: str) -> None:
    status, answer = post(plane, "/v2/models/delay/invocations", text, "text/csv")
    assert status == 400
    assert message in answer["error"]


def test_other_media_explanations_and_unknown_calls(plane: PlaneProcess) -> None:
    assert post(plane, "/v2/models/delay/invocations", b"<a/>", "text/xml")[0] == 415
    status, answer = post(plane, "/v1/models/delay:explain", {"instances": ROWS.tolist()})
    assert status == 200, "it is asked as it is served, whatever its package was made from"
    np.testing.assert_allclose([one["prediction"] for one in answer["explanations"]], ANSWERS, rtol=1e-4)
    assert post(plane, "/v1/models/delay:explain", {"instances": [[1]]})[0] == 400
    assert post(plane, "/v1/models/delay:guess", {})[0] == 404
    assert post(plane, "/v1/models/nobody:predict", {"instances": []})[0] == 404


def test_rows_are_explained_for_trees(plane: PlaneProcess) -> None:
    import lightgbm as lgb

    import homeostat as hs

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype("f4")
    hs.log_model(plane.ws, "trees", lgb.LGBMClassifier(n_estimators=3, verbose=-1).fit(x, x[:, 0] > 0), x)
    wait_ready(plane.ws, "trees", deploy(plane.ws, "trees").generation)
    status, answer = post(plane, "/v1/models/trees:explain", {"instances": [[2, 0], {"f0": -2, "f1": None}]})
    assert status == 200, answer
    high, low = answer["explanations"]
    assert high["contributions"]["f0"] > 0 > low["contributions"]["f0"]
    status, answer = post(plane, "/v1/models/trees:predict", {"instances": [[2, 0], [-2, None]]})
    np.testing.assert_allclose(answer["predictions"], [high["prediction"], low["prediction"]], rtol=1e-4)


def test_rows_are_explained_for_what_is_asked_beside_its_sample(plane: PlaneProcess) -> None:
    from sklearn.linear_model import LinearRegression

    import homeostat as hs

    x = np.random.default_rng(0).normal(size=(200, 2)).astype("f4")
    hs.log_model(plane.ws, "line", LinearRegression().fit(x, 3 * x[:, 0]), x)
    wait_ready(plane.ws, "line", deploy(plane.ws, "line").generation)
    status, answer = post(plane, "/v1/models/line:explain", {"instances": [[2, 0], [-2, 1]]})
    assert status == 200, answer
    for told, wanted in zip(answer["explanations"], (6, -6), strict=True):
        assert told["prediction"] == pytest.approx(wanted, rel=1e-4) and told["output"] == 0
        assert told["base"] + sum(told["contributions"].values()) == pytest.approx(wanted, rel=1e-4)
        assert told["contributions"]["f1"] == pytest.approx(0, abs=1e-4)


def test_a_frames_numbers_are_taken_for_the_signatures(plane: PlaneProcess, tmp_path: Path) -> None:
    columns = [
        {"name": "distance", "datatype": "INT64", "shape": [2], "data": ROWS[:, 0].astype(int).tolist()},
        {"name": "hour", "datatype": "INT8", "shape": [2, 1], "data": ROWS[:, 1].astype(int).tolist()},
        {"name": "wind", "datatype": "FP64", "shape": [2], "data": ROWS[:, 2].tolist()},
    ]
    assert plane.infer("delay", {"inputs": columns})[0] == 400
    status, answer = plane.infer("delay", {"parameters": {"content_type": "pd"}, "inputs": columns})
    assert status == 200, answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], ANSWERS, rtol=1e-4)
    large = [*columns[:2], {**columns[2], "data": [1e39, 0.5]}]
    status, answer = plane.infer("delay", {"parameters": {"content_type": "pd"}, "inputs": large})
    assert status == 400 and "input 'wind': a value lies outside of FP32" in answer["error"]
    register_tensor(plane.ws, tmp_path, "bytes", 2, "UINT8")
    wait_ready(plane.ws, "bytes", deploy(plane.ws, "bytes").generation)
    wide = {"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [255], "parameters": {"content_type": "pd"}}
    assert plane.infer("bytes", {"inputs": [wide]})[1]["outputs"][0]["data"] == [255]
    status, answer = plane.infer("bytes", {"inputs": [{**wide, "data": [256]}]})
    assert (status, answer["error"]) == (400, "input 'x': a value lies outside of UINT8")


def test_base64_texts_are_bytes(plane: PlaneProcess) -> None:
    key = {"name": "key", "datatype": "BYTES", "shape": [2], "parameters": {"content_type": "base64"}}
    rows = {"name": "features", "datatype": "FP32", "shape": [2, 3], "data": ROWS.tolist()}
    texts = [base64.b64encode(text).decode() for text in (b"a", b"b")]
    assert plane.infer("delay", {"inputs": [rows, {**key, "data": texts}]})[0] == 200
    status, answer = plane.infer("delay", {"inputs": [rows, {**key, "data": ["a", "b"]}]})
    assert status == 400 and "is not base64" in answer["error"]


def test_the_openapi_document_shows_requests_that_are_answered(plane: PlaneProcess) -> None:
    for base in ("/v2/models/delay", "/v2/models/delay/versions/1"):
        status, document = plane.get(f"{base}/openapi.json")
        assert (status, document["openapi"], document["info"]["title"]) == (200, "3.1.0", "delay")
        unversioned = {"/v1/models/delay:predict", "/v1/models/delay:explain", "/v2/models/delay/feedback"}
        assert (unversioned <= document["paths"].keys()) == (base == "/v2/models/delay")
        answered = 0
        for path, calls in document["paths"].items():
            for method, call in calls.items():
                if method == "get":
                    assert plane.get(path)[0] == 200
                for example in (
                    call.get("requestBody", {})
                    .get("content", {})
                    .get("application/json", {})
                    .get("examples", {})
                    .values()
                ):
                    status, answer = post(plane, path, example["value"])
                    assert status == 200, answer
                    answered += 1
        assert answered == (6 if base == "/v2/models/delay" else 3)


def test_configuration_and_statistics_through_tritonclient(plane: PlaneProcess) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{plane.port}")
    try:
        config = client.get_model_config("delay")
        assert config["input"] == [{"name": "features", "data_type": "TYPE_FP32", "dims": [3]}]
        assert config["output"] == [{"name": "probability", "data_type": "TYPE_FP32", "dims": []}]
        assert config["max_batch_size"] > 1
        stats = client.get_inference_statistics("delay", "1")["model_stats"][0]
        assert (stats["name"], stats["version"]) == ("delay", "1")
        assert "model_configuration" in client.get_server_metadata()["extensions"]
    finally:
        client.close()


def test_models_are_loaded_and_unloaded_through_tritonclient(plane: PlaneProcess, tmp_path: Path) -> None:
    register_logistic(plane.ws, tmp_path, "late", WEIGHTS)
    client = triton.InferenceServerClient(f"127.0.0.1:{plane.port}")
    try:
        assert not client.is_model_ready("late")
        client.load_model("late")
        assert client.is_model_ready("late")
        client.load_model("late")
        assert get_deployment(plane.ws, "late").generation == 1
        with pytest.raises(triton.InferenceServerException, match="is not registered|no model"):
            client.load_model("nobody")
        with pytest.raises(triton.InferenceServerException, match="as it was registered"):
            client.load_model("late", config="{}")
        client.unload_model("late")
        assert not client.is_model_ready("late")
        with pytest.raises(triton.InferenceServerException, match="not deployed"):
            client.unload_model("late")
    finally:
        client.close()


def test_rows_of_a_model_that_is_code_are_explained_by_its_worker(plane: PlaneProcess, tmp_path: Path) -> None:
    import os

    import polars as pl

    import homeostat as hs

    trace = tmp_path / "trace"

    def own(rows: Any) -> Any:
        with trace.open("a") as file:
            file.write(f"{os.getpid()} {len(rows)}\n")
        return np.where(rows["city"] == "Bern", 10.0, 0.0) + rows["amount"].to_numpy()

    table = pl.DataFrame(
        {"city": ["Bern", "Rome"] * 60, "amount": [float(n) for n in range(120)], "n": list(range(120))}
    )
    with hs.run("own code", ws=plane.ws):
        hs.log_model(plane.ws, "code", own, table)
    wait_ready(plane.ws, "code", deploy(plane.ws, "code").generation)
    trace.unlink()
    body = {"instances": [["Bern", 49.5, 3], {"city": "Rome", "amount": None, "n": 0}]}
    status, answer = post(plane, "/v1/models/code:explain", body)
    assert status == 200, answer
    first = answer["explanations"][0]
    assert first["contributions"] == pytest.approx({"city": 5, "amount": 0, "n": 0}) and first["prediction"] == 59.5
    asked = [line.split() for line in trace.read_text().splitlines()]
    assert len({process for process, _ in asked}) == 1 and max(int(rows) for _, rows in asked) <= 1024
    status, answer = post(plane, "/v1/models/code:explain", {"instances": [["Bern", 1.0, None]]})
    assert status == 400 and "feature 'n' cannot be missing: it is INT64" in answer["error"]
    trace.unlink()
    assert post(plane, "/v1/models/code:predict", {"instances": [["Bern", 1.0, 2]]})[0] == 200
    assert trace.read_text().split()[0] == asked[0][0], "the worker that predicts is the one that was asked"


def test_rows_of_a_model_that_an_mlflow_client_logged_are_explained(plane: PlaneProcess, tmp_path: Path) -> None:
    import lightgbm as lgb
    import polars as pl

    import homeostat as hs

    x = np.random.default_rng(0).normal(size=(200, 2)).astype("f4")
    model = lgb.LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1).fit(x, 3 * x[:, 0])
    hs.package_model(model, pl.DataFrame(x, schema=["a", "b"]), tmp_path / "package", onnx=False)
    hs.registry.import_folder(plane.ws, tmp_path / "package", "plain")
    folder = hs.registry.fetch(plane.ws, "plain", dest=tmp_path / "mlflow", form="mlflow")
    with hs.run("as a client does", ws=plane.ws) as run:
        for path in folder.rglob("*"):
            if path.is_file():
                plane.ws.tracking.log_artifact(run.id, f"model/{path.relative_to(folder)}", path.read_bytes())
        logged = plane.ws.registry.register_source("logged", f"runs:/{run.id}/model")
    assert logged.flavor == "mlflow"
    wait_ready(plane.ws, "logged", deploy(plane.ws, "logged").generation)
    status, answer = post(plane, "/v1/models/logged:explain", {"instances": [[2, 0]]})
    assert status == 200, answer
    (told,) = answer["explanations"]
    assert sum(told["contributions"].values()) + told["base"] == pytest.approx(told["prediction"])
    assert told["prediction"] == pytest.approx(model.predict([[2, 0]])[0], rel=1e-5) and told["prediction"] > 3
