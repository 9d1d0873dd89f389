"""Every datatype by every way of asking: tritonclient's binary and JSON requests, gRPC with raw and typed contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as by_grpc
import tritonclient.http as by_http
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.serving.conftest import PlaneProcess
from tests.serving.datatypes import KINDS, deploy_echoes, same
from tests.serving.models import register_logistic


@pytest.fixture(scope="module")
def plane(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    deploy_echoes(shared.ws, tmp_path_factory.mktemp("models"))
    return shared


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_over_http(plane: PlaneProcess, kind: str, binary: bool) -> None:
    array = KINDS[kind][1]
    client = by_http.InferenceServerClient(f"127.0.0.1:{plane.port}")
    try:
        tensor = by_http.InferInput("x", list(array.shape), kind)
        if kind in ("FP16", "BF16") and not binary:
            status, answer = plane.infer(kind.lower(), {
                "inputs": [{"name": "x", "shape": [1, 1], "datatype": kind, "data": [1]}]
            })  # fmt: skip
            assert (status, answer["error"]) == (
                400, f"input 'x': {kind} has no JSON form (send it as binary data, or as FP32)"
            )  # fmt: skip
            return
        tensor.set_data_from_numpy(array, binary_data=binary)
        output = by_http.InferRequestedOutput("y", binary_data=binary)
        same(kind, client.infer(kind.lower(), [tensor], outputs=[output]).as_numpy("y"), array)
        if binary:  # the client's default: it names no outputs and asks for all of them in bytes
            same(kind, client.infer(kind.lower(), [tensor]).as_numpy("y"), array)
    finally:
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_over_grpc_with_raw_contents(plane: PlaneProcess, kind: str) -> None:
    array = KINDS[kind][1]
    with by_grpc.InferenceServerClient(f"127.0.0.1:{plane.port}") as client:
        tensor = by_grpc.InferInput("x", list(array.shape), kind)
        tensor.set_data_from_numpy(array)
        answer = client.infer(kind.lower(), [tensor], request_id="mine")
        assert answer.get_response().id == "mine"
        same(kind, answer.as_numpy("y"), array)


CONTENTS = {
    "BOOL": "bool", "INT8": "int", "INT16": "int", "INT32": "int", "INT64": "int64", "UINT8": "uint", "UINT16": "uint",
    "UINT32": "uint", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64", "BYTES": "bytes",
}  # fmt: skip


@pytest.mark.parametrize("kind", CONTENTS)
def test_over_grpc_with_typed_contents(plane: PlaneProcess, kind: str) -> None:
    array = KINDS[kind][1]
    request = service_pb2.ModelInferRequest(model_name=kind.lower())
    tensor = request.inputs.add(name="x", datatype=kind, shape=array.shape)
    getattr(tensor.contents, f"{CONTENTS[kind]}_contents").extend(array.reshape(-1).tolist())
    with grpc.insecure_channel(f"127.0.0.1:{plane.port}") as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=300)
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", kind, list(array.shape))
    assert not answer.raw_output_contents
    back = list(getattr(output.contents, f"{CONTENTS[kind]}_contents"))
    assert back == array.reshape(-1).tolist()


def wrong(**change: Any) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=change.pop("model", "int8"))
    fields = {"name": "x", "datatype": "INT8", "shape": [1, 1], **change}
    contents = fields.pop("contents", {"int_contents": [1]})
    raws = fields.pop("raws", [])
    tensor = request.inputs.add(**fields)
    for name, values in contents.items():
        getattr(tensor.contents, name).extend(values)
    request.raw_input_contents.extend(raws)
    return request


WRONG = {
    "range": (wrong(contents={"int_contents": [200]}), "INVALID_ARGUMENT", "a value lies outside of INT8"),
    "contents": (wrong(contents={"fp32_contents": [1]}), "INVALID_ARGUMENT", "are not those of INT8"),
    "datatype": (wrong(datatype="FP32", contents={"fp32_contents": [1]}), "INVALID_ARGUMENT", "expected datatype INT8"),
    "no datatype": (wrong(datatype="float"), "INVALID_ARGUMENT", "'float' is not a datatype"),
    "half": (wrong(model="fp16", datatype="FP16"), "INVALID_ARGUMENT", "FP16 has no typed contents"),
    "shape": (wrong(shape=[3, 1]), "INVALID_ARGUMENT", "takes 3 bytes, 1 were sent"),
    "rank": (wrong(shape=[1]), "INVALID_ARGUMENT", "expected shape [-1, -1], got [1]"),
    "both": (wrong(raws=[b"\1"]), "INVALID_ARGUMENT", "raw contents are given for every input, or for none"),
    "name": (wrong(name="z"), "INVALID_ARGUMENT", "has no input 'z'"),
    "model": (wrong(model="nobody"), "NOT_FOUND", "no model 'nobody'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_grpc_calls_that_do_not_fit_are_told_why(plane: PlaneProcess, name: str) -> None:
    request, code, message = WRONG[name]
    with grpc.insecure_channel(f"127.0.0.1:{plane.port}") as channel:
        with pytest.raises(grpc.RpcError) as failure:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=300)
        assert failure.value.code().name == code
        assert message in failure.value.details()
        assert "\n" not in failure.value.details()


def test_the_other_calls_of_the_service(plane: PlaneProcess, tmp_path: Path) -> None:
    register_logistic(plane.ws, tmp_path, "late", np.array([1.0, 2.0, 3.0]))
    with by_grpc.InferenceServerClient(f"127.0.0.1:{plane.port}") as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("int8") and client.is_model_ready("int8", "1")
        assert not client.is_model_ready("int8", "2") and not client.is_model_ready("nobody")
        assert client.get_server_metadata().name == "homeostat"
        metadata = client.get_model_metadata("fp64", as_json=True)
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP64", "shape": ["-1", "-1"]}]
        config = client.get_model_config("int64").config
        assert (config.name, config.input[0].data_type, config.output[0].name) == ("int64", 9, "y")
        assert list(config.version_policy.specific.versions) == [1]
        statistics = client.get_inference_statistics("fp32").model_stats[0]
        assert (statistics.name, statistics.version) == ("fp32", "1")
        assert bool(statistics.last_inference) == bool(statistics.inference_count)
        assert not client.is_model_ready("late")
        client.load_model("late")
        assert client.is_model_ready("late")
        index = {model.name: model.state for model in client.get_model_repository_index().models}
        assert index["late"] == index["int8"] == "READY"
        client.unload_model("late")
        assert not client.is_model_ready("late")
        with pytest.raises(by_grpc.InferenceServerException, match="NOT_FOUND"):
            client.load_model("nobody")
    with grpc.insecure_channel(f"127.0.0.1:{plane.port}") as channel:
        unknown = channel.unary_unary("/inference.GRPCInferenceService/Guess")
        with pytest.raises(grpc.RpcError, match="there is no call"):
            unknown(b"", timeout=300)


def test_large_compressed_and_many_calls_on_one_connection(plane: PlaneProcess) -> None:
    array = np.arange(150_000, dtype="f4").reshape(-1, 3)
    with by_grpc.InferenceServerClient(f"127.0.0.1:{plane.port}") as client:
        tensor = by_grpc.InferInput("x", list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        for coding in (None, "gzip", "deflate"):
            same("FP32", client.infer("fp32", [tensor], compression_algorithm=coding).as_numpy("y"), array)
    request = service_pb2.ModelInferRequest(model_name="int64", raw_input_contents=[np.int64(5).tobytes()])
    request.inputs.add(name="x", datatype="INT64", shape=[1, 1])
    with grpc.insecure_channel(f"127.0.0.1:{plane.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        waiting = [stub.ModelInfer.future(request, timeout=300) for _ in range(300)]
        assert {answer.result().raw_output_contents[0] for answer in waiting} == {np.int64(5).tobytes()}
        ids = {answer.result().id for answer in waiting}
        assert len(ids) == 300 and "" not in ids
