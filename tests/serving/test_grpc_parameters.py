"""Parameters of gRPC requests, tensors and answers, in every type that the protocol has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2, service_pb2_grpc

from homeostat.serving import Case, Member, Switch, When, deploy, deploy_graph, wait_ready
from homeostat.serving.rpc_infer import InferCall
from tests.serving.conftest import PlaneProcess
from tests.serving.models import expected, register_logistic

WEIGHTS = {"gold": 1.0, "whole": 2.0, "huge": 3.0, "ratio": 4.0, "on": 5.0, "off": 6.0, "none": 7.0}
TYPED: dict[str, Any] = {
    "bool_param": st.booleans(),
    "int64_param": st.integers(-(2**63), 2**63 - 1),
    "string_param": st.text(max_size=300),
    "double_param": st.floats(allow_nan=False),
    "uint64_param": st.integers(0, 2**64 - 1),
}
parameters = st.dictionaries(
    st.text(max_size=20).filter(lambda name: name != "binary_data_size"),
    st.sampled_from(sorted(TYPED)).flatmap(lambda kind: TYPED[kind].map(lambda value: (kind, value))),
    max_size=5,
)


def put(into: Any, given_: dict[str, tuple[str, Any]]) -> None:
    for name, (kind, value) in given_.items():
        setattr(into[name], kind, value)


@settings(deadline=None)
@given(parameters, parameters)
def test_every_type_is_read_as_it_was_written(
    of_request: dict[str, tuple[str, Any]], of_tensor: dict[str, tuple[str, Any]]
) -> None:
    request = service_pb2.ModelInferRequest(model_name="m", id="r")
    put(request.parameters, of_request)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1])
    put(tensor.parameters, of_tensor)
    tensor.parameters["binary_data_size"].int64_param = 1 << 40  # a client's word for sizes is not taken
    request.raw_input_contents.append(b"\0\0\x80?")
    read = InferCall(request.SerializeToString()).request
    wanted = {name: value for name, (_, value) in of_request.items()}
    assert (read.parameters or {}) == wanted
    assert all(type((read.parameters or {})[name]) is type(value) for name, value in wanted.items())
    (wire,) = read.inputs
    assert wire.parameters == {**{name: value for name, (_, value) in of_tensor.items()}, "binary_data_size": 4}


@pytest.fixture(scope="module")
def stub(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A switch that asks another model for each parameter that it is told."""
    ws, scratch = shared.ws, tmp_path_factory.mktemp("models")
    for name, weight in WEIGHTS.items():
        register_logistic(ws, scratch, f"of-{name}", np.array([weight]), ["x"])
        deploy(ws, f"of-{name}")
    conditions = {
        "gold": When(parameter="tier", op="==", value="gold"), "whole": When(parameter="whole", op="<", value=0),
        "huge": When(parameter="huge", op=">", value=2**63), "ratio": When(parameter="ratio", op=">=", value=0.25),
        "on": When(parameter="on", op="==", value=1), "off": When(parameter="on", op="!=", value=1),
    }  # fmt: skip
    cases = [Case(when=when, then=Member(name=f"of-{name}")) for name, when in conditions.items() if name != "off"]
    known = When(parameter="on", op="missing")
    switch = Switch(cases=[*cases, Case(when=known, then=Member(name="of-none"))], otherwise=Member(name="of-off"))
    wait_ready(ws, "told", deploy_graph(ws, "told", switch).generation)
    with grpc.insecure_channel(f"127.0.0.1:{shared.port}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.mark.parametrize(
    ("told", "who"),
    [
        ({}, "none"),
        ({"tier": ("string_param", "gold")}, "gold"),
        ({"tier": ("string_param", "")}, "none"),
        ({"whole": ("int64_param", -1)}, "whole"),
        ({"whole": ("int64_param", 0)}, "none"),
        ({"huge": ("uint64_param", 2**64 - 1)}, "huge"),
        ({"ratio": ("double_param", 0.25)}, "ratio"),
        ({"on": ("bool_param", True)}, "on"),
        ({"on": ("bool_param", False)}, "off"),
        ({"on": ("bool_param", True), "tier": ("string_param", "gold")}, "gold"),
    ],
)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_what_a_request_is_told_decides_and_the_answer_tells_who(
    stub: Any, told: dict[str, tuple[str, Any]], who: str, raw: bool
) -> None:
    request = service_pb2.ModelInferRequest(model_name="told", id="mine")
    put(request.parameters, told)
    tensor = request.inputs.add(name="features", datatype="FP32", shape=[1, 1])
    if raw:
        request.raw_input_contents.append(np.ones(1, "<f4").tobytes())
    else:
        tensor.contents.fp32_contents.append(1.0)
    answer = stub.ModelInfer(request, timeout=300)
    got = np.frombuffer(answer.raw_output_contents[0], "<f4") if raw else answer.outputs[0].contents.fp32_contents
    np.testing.assert_allclose(got, expected(np.array([WEIGHTS[who]]), np.ones((1, 1))), rtol=1e-6)
    assert answer.id == "mine"
    assert {name: one.string_param for name, one in answer.parameters.items()} == {"version": "1", "route": "champion"}


def test_a_tensors_parameters_say_how_it_is_read(stub: Any, tmp_path: Path) -> None:
    """With content_type "pd", on the request or on one input, columns may have other number types."""

    def asked(on_request: bool, on_tensor: bool) -> Any:
        request = service_pb2.ModelInferRequest(model_name="of-gold")
        tensor = request.inputs.add(name="x", datatype="FP64", shape=[1])
        tensor.contents.fp64_contents.append(1.0)
        for into, wanted in ((request.parameters, on_request), (tensor.parameters, on_tensor)):
            if wanted:
                into["content_type"].string_param = "pd"
        return stub.ModelInfer(request, timeout=300).outputs[0].contents.fp32_contents

    for way in ((True, False), (False, True), (True, True)):
        np.testing.assert_allclose(asked(*way), expected(np.ones(1), np.ones((1, 1))), rtol=1e-6)
    with pytest.raises(grpc.RpcError, match="expected datatype FP32, got FP64"):
        asked(False, False)
