"""What is asked wrongly is refused in one readable line, with a 4xx, and nothing else suffers."""

from __future__ import annotations

import gzip
import socket
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from homeostat.serving import deploy, wait_ready
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import register_logistic, register_tensor
from tests.serving.test_plane import WEIGHTS, deployed

Tensor = dict[str, Any]
ROW = {"name": "features", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}


@pytest.fixture(scope="module")
def plane(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    deployed(shared.ws, tmp_path_factory.mktemp("models"))
    return shared


def column(name: str, data: list[float], datatype: str = "FP32", shape: list[int] | None = None) -> Tensor:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


WRONG: dict[str, tuple[list[Tensor], str]] = {
    "no inputs": ([], "misses the 3 inputs 'distance', 'hour', 'wind'"),
    "missing column": ([column("distance", [1]), column("wind", [1])], "model 'delay' misses the input 'hour'"),
    "extra column": ([ROW, column("moon", [1])], "model 'delay' has no input 'moon'"),
    "misspelt column": ([column("distanse", [1])], "did you mean 'distance'?"),
    "misspelt tensor": ([{**ROW, "name": "feature"}], "did you mean 'features'?"),
    "wrong datatype": ([{**ROW, "datatype": "FP64"}], "input 'features': expected datatype FP32, got FP64"),
    "unknown datatype": ([{**ROW, "datatype": "float"}], "'float' is not a datatype"),
    "column of wrong datatype": (
        [column("distance", [1], "INT64"), column("hour", [1]), column("wind", [1])],
        "input 'distance': expected datatype FP32, got INT64",
    ),
    "wrong width": ([{**ROW, "shape": [1, 2], "data": [1, 2]}], "expected shape [rows, 3], got [1, 2]"),
    "wrong rank": ([{**ROW, "shape": [3]}], "expected shape [rows, 3], got [3]"),
    "column of wrong rank": ([column("distance", [1, 2], shape=[1, 2])], "a column has the shape [rows], got [1, 2]"),
    "shape against data": ([{**ROW, "shape": [2, 3]}], "the shape [2, 3] holds 6 values, 3 were sent"),
    "negative shape": ([{**ROW, "shape": [-1, 3]}], "negative dimension"),
    "no rows": ([{**ROW, "shape": [0, 3], "data": []}], "the request has no rows"),
    "no data": ([{"name": "features", "datatype": "FP32", "shape": [1, 3]}], "input 'features' has no data"),
    "text for numbers": ([{**ROW, "data": ["a", "b", "c"]}], "the data is not a list of FP32 values"),
    "twice": ([ROW, ROW], "input 'features' is given twice"),
    "tensor and columns": ([ROW, column("hour", [1])], "send either the tensor 'features' or the named columns"),
    "columns of two lengths": (
        [column("distance", [1, 2]), column("hour", [1])], "has 1 rows, the inputs before it have 2",
    ),
    "too few keys": (
        [ROW, {"name": "key", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}],
        "input 'key' must have one value for each of the 1 rows",
    ),
    "key of wrong datatype": ([ROW, column("key", [1.5])], "a key is BYTES or INT64"),
    "time of wrong datatype": ([ROW, column("time", [1.5])], "expected datatype INT64, got FP32"),
    "binary without a header": ([{**ROW, "parameters": {"binary_data_size": 12}}], "announces 12 bytes, 0 are left"),
    "binary size that is none": ([{**ROW, "parameters": {"binary_data_size": "12"}}], "is not a number of bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_request_that_does_not_fit_is_told_why(plane: PlaneProcess, name: str) -> None:
    inputs, message = WRONG[name]
    status, answer = plane.infer("delay", {"inputs": inputs})
    assert status == 400
    assert message in answer["error"]
    assert "\n" not in answer["error"]


def test_a_version_that_is_a_digit_and_no_number_is_not_there(plane: PlaneProcess) -> None:
    status, answer = plane.get("/v2/models/delay/versions/%C2%B2")
    assert (status, answer["error"].partition(" here")[0]) == (404, "model 'delay' has no version '²'")


def binary(inputs: list[Tensor], tail: bytes, length: str | None = None) -> tuple[bytes, dict[str, str]]:
    head = msgspec.json.encode({"inputs": inputs})
    return head + tail, {"Inference-Header-Content-Length": length or str(len(head))}


IN_BYTES = {"name": "features", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
BODIES: dict[str, tuple[bytes, dict[str, str], str]] = {
    "empty": (b"", {}, "the body is not valid JSON"),
    "cut off": (b'{"inputs": [', {}, "the body is not valid JSON"),
    "not an object": (b"[]", {}, "not an inference request"),
    "no inputs": (b"{}", {}, "missing required field `inputs`"),
    "wrong kind of id": (b'{"id": 5, "inputs": []}', {}, "$.id"),
    "deeply nested": (b'{"inputs": [], "parameters": {"a": ' + b"[" * 100_000, {}, "the body is not valid JSON"),
    "unknown output": (b'{"inputs": [' + msgspec.json.encode(ROW) + b'], "outputs": [{"name": "label"}]}', {},
                       "there is no output 'label' (the outputs are probability)"),
    "length beyond the body": (*binary([IN_BYTES], bytes(12), "999"), "the body has"),
    "length that is no number": (*binary([IN_BYTES], bytes(12), "x"), "Inference-Header-Content-Length is x"),
    "negative length": (*binary([IN_BYTES], bytes(12), "-1"), "Inference-Header-Content-Length is -1"),
    "bytes cut off": (*binary([IN_BYTES], bytes(11)), "announces 12 bytes, 11 are left"),
    "bytes left over": (*binary([IN_BYTES], bytes(13)), "1 bytes after the last binary tensor"),
    "bytes against shape": (*binary([{**IN_BYTES, "shape": [2, 3]}], bytes(12)), "takes 24 bytes, 12 were sent"),
    "raw of odd length": (bytes(13), {"Inference-Header-Content-Length": "0"}, "13 raw bytes do not fill FP32"),
    "not gzip": (b"{}", {"Content-Encoding": "gzip"}, "the body is not gzip"),
    "gzip cut off": (gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}, "cut off"),
    "unknown coding": (b"{}", {"Content-Encoding": "br"}, "the content coding 'br' is not known"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be_read_is_told_why(plane: PlaneProcess, name: str) -> None:
    body, headers, message = BODIES[name]
    status, _, answer = plane.request("POST", "/v2/models/delay/infer", body, headers)
    assert status == 400
    assert message in msgspec.json.decode(answer)["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v2/models/dellay/infer", 404, "no model 'dellay' is deployed here (deployed are delay)"),
        ("POST", "/v2/models/delay/versions/9/infer", 404, "no version '9' here (deployed are 1)"),
        ("POST", "/v2/models/delay/versions/x/infer", 404, "no version 'x' here"),
        ("GET", "/v2/models/nobody", 404, "no model 'nobody'"),
        ("GET", "/v2/models/nobody/ready", 404, "no model 'nobody'"),
        ("GET", "/v2/models/delay/infer", 405, "GET is not possible here; use POST"),
        ("DELETE", "/v2", 405, "DELETE is not possible here"),
        ("GET", "/", 404, "there is nothing at /"),
        ("GET", "/v2/models/delay/../../secret", 404, "there is nothing at"),
        ("POST", "/v2/models/%00/infer", 404, "no model"),
    ],
)
def test_a_wrong_address_is_told(plane: PlaneProcess, method: str, path: str, status: int, message: str) -> None:
    got, _, body = plane.request(method, path, b"{}" if method == "POST" else None)
    assert got == status
    assert message in msgspec.json.decode(body)["error"]


def test_a_gzip_bomb_is_refused(plane: PlaneProcess) -> None:
    limit = plane.ws.settings.max_body_mb << 20
    body = gzip.compress(bytes(limit + 1), 1)
    status, _, answer = plane.request("POST", "/v2/models/delay/infer", body, {"Content-Encoding": "gzip"})
    assert status == 413
    assert "when decompressed" in msgspec.json.decode(answer)["error"]


def test_a_raw_body_is_the_only_input_and_the_answer_is_binary(plane: PlaneProcess) -> None:
    rows = np.array([[1, 2, 3], [4, 5, 6]], "<f4")
    status, headers, body = plane.request(
        "POST", "/v2/models/delay/infer", rows.tobytes(), {"Inference-Header-Content-Length": "0"}
    )
    assert status == 200
    length = int(headers["inference-header-content-length"])
    assert msgspec.json.decode(body[:length])["outputs"][0]["shape"] == [2]
    assert len(body) == length + 8


def test_expect_continue_is_answered_before_the_body_is_sent(plane: PlaneProcess) -> None:
    body = msgspec.json.encode(features([[1, 2, 3]]))
    with socket.create_connection(("127.0.0.1", plane.port), timeout=300) as connection:
        connection.sendall(
            b"POST /v2/models/delay/infer HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_offers_http2_is_answered_as_it_asked_and_a_target_may_be_a_whole_address(plane: PlaneProcess) -> None:
    body = msgspec.json.encode(features([[1, 2, 3]]))
    with socket.create_connection(("127.0.0.1", plane.port), timeout=300) as connection:
        for target, cut in (
            (b"/v2/models/delay/infer", 0),
            (b"http://localhost/v2/models/delay/infer", len(body) // 2),
        ):
            head = (
                b"POST %b HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: %d\r\nHost: localhost\r\n"
                b"HTTP2-Settings: AAEAAEAAAAIAAAAA\r\nUpgrade: h2c\r\n\r\n" % (target, len(body))
            )
            connection.sendall(head + body[:cut])
            connection.sendall(body[cut:])
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
def test_foreign_pages_and_rebound_names_are_refused(plane: PlaneProcess, headers: dict[str, str], status: int) -> None:
    assert plane.request("GET", "/v2/models/delay", None, headers)[0] == status
    assert plane.request("GET", "/v2/health/live", None, headers)[0] == 200


def test_columns_that_another_version_knows_are_passed_over(plane: PlaneProcess, tmp_path: Path) -> None:
    from homeostat.serving import Route, set_routes

    ws = plane.ws
    register_logistic(ws, tmp_path, "wide", np.array([1.0, 1.0]), ["a", "b"])
    register_logistic(ws, tmp_path, "wide", np.array([1.0, 1.0, 1.0]), ["a", "b", "c"])
    deploy(ws, "wide", 1)
    inputs = [column(name, [0.5]) for name in "abc"]
    wait_ready(ws, "wide")
    assert plane.infer("wide", {"inputs": inputs})[0] == 400
    routes = [Route(version=1), Route(version=2, role="shadow")]
    wait_ready(ws, "wide", set_routes(ws, "wide", routes).generation)
    status, answer = plane.infer("wide", {"inputs": inputs})
    assert status == 200, answer
    assert plane.infer("wide", {"inputs": [*inputs, column("d", [1])]})[0] == 400


@pytest.mark.parametrize(
    ("dtype", "onnx_type", "array"),
    [
        ("FP32", 1, np.array([[1, 2], [3, np.nan]], "f4")),
        ("INT64", 7, np.array([[1, -(2**62)]])),
        ("BOOL", 9, np.array([[True], [False]])),
        ("UINT8", 2, np.array([[0, 255]], "u1")),
        ("FP16", 10, np.array([[0.5, 2]], "f2")),
        ("BYTES", 8, np.array([["späť", ""]], dtype=object)),
    ],
)
def test_tensors_of_every_kind_come_back_through_tritonclient(
    plane: PlaneProcess, tmp_path: Path, dtype: str, onnx_type: int, array: np.ndarray
) -> None:
    model = f"echo-{dtype.lower()}"
    register_tensor(plane.ws, tmp_path, model, onnx_type, dtype)
    wait_ready(plane.ws, model, deploy(plane.ws, model).generation)
    client = triton.InferenceServerClient(f"127.0.0.1:{plane.port}")
    try:
        metadata = client.get_model_metadata(model)
        assert metadata["inputs"] == [{"name": "x", "datatype": dtype, "shape": [-1, -1]}]
        assert "columns" not in metadata
        tensor = triton.InferInput("x", list(array.shape), dtype)
        for in_bytes in (True, False):
            if dtype == "FP16" and not in_bytes:
                continue
            if dtype == "FP32" and not in_bytes:
                array = np.nan_to_num(array)  # the client writes NaN into its JSON, which JSON has no word for
            tensor.set_data_from_numpy(array, binary_data=in_bytes)
            output = triton.InferRequestedOutput("y", binary_data=in_bytes)
            back = client.infer(model, [tensor], outputs=[output]).as_numpy("y")
            wanted = np.char.encode(array.astype(str), "utf-8") if dtype == "BYTES" else array
            if dtype == "BYTES" and not in_bytes:
                wanted = array
            np.testing.assert_array_equal(back, wanted)
        flat = triton.InferInput("x", [array.size], dtype)
        flat.set_data_from_numpy(array.reshape(-1))
        with pytest.raises(InferenceServerException, match="expected shape"):
            client.infer(model, [flat])
    finally:
        client.close()


def test_bad_requests_are_counted_and_leave_the_good_ones_alone(plane: PlaneProcess) -> None:
    before = plane.request("GET", "/metrics")[2].decode()
    assert plane.infer("delay", {"inputs": [column("moon", [1])]})[0] == 400
    status, answer = plane.infer("delay", features([[0, 0, 0]]))
    assert (status, answer["outputs"][0]["data"]) == (200, [0.5])
    after = plane.request("GET", "/metrics")[2].decode()

    def value(page: str, start: str) -> float:
        return float(next(line for line in page.splitlines() if line.startswith(start)).rsplit(" ", 1)[1])

    for name in ('homeostat_rejected_total{model="delay"}', 'homeostat_requests_total{model="delay",version="1"}',
                 'homeostat_latency_seconds_bucket{model="delay",version="1",le="+Inf"}'):  # fmt: skip
        assert value(after, name) == value(before, name) + 1
    assert len(WEIGHTS) == 3
