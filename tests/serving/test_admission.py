"""Who may ask a deployed model, and how often."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import grpc
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2, service_pb2_grpc

import homeostat as hs
from homeostat.core.errors import InvalidInput, PermissionDenied, TooManyRequests
from homeostat.serving import Supervisor, deploy, get_deployment, wait_ready
from homeostat.serving.admission import Admission
from tests.ports import free_port
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import register_logistic


def refusal(admission: Admission) -> TooManyRequests | None:
    try:
        return admission.check("app")
    except TooManyRequests as refused:
        return refused


@given(st.floats(0.2, 50), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_more_than_the_rate_and_a_second_of_it(rate: float, pauses: list[float]) -> None:
    now = 0.0
    admission = Admission([], rate, clock=lambda: now)
    let_in: list[float] = []
    for pause in pauses:
        now += pause
        refused = refusal(admission)
        if refused is None:
            let_in.append(now)
            continue
        assert let_in  # the first is always let in
        later = now + refused.facts["retry_after_s"]
        now, before = later, now
        assert refusal(admission) is None  # as promised; and it counts
        let_in.append(now)
        assert later >= before + 1
    for first, begun in enumerate(let_in):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= max(1.0, rate) + rate * (let_in[last] - begun) + 1e-6
    admission.check("somebody else")


def test_only_those_named_are_let_in() -> None:
    admission = Admission(["app"], 0.0)
    admission.check("app")
    admission.check("local")
    with pytest.raises(PermissionDenied, match="'other' is not among those"):
        admission.check("other")


def by_grpc(port: int, token: str) -> str:
    request = service_pb2.ModelInferRequest(model_name="delay")
    tensor = request.inputs.add(name="features", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([1, 1, 1])
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            stub.ModelInfer(request, timeout=300, metadata=[("authorization", f"Bearer {token}")])
        except grpc.RpcError as error:
            code: Any = error
            return code.code().name
    return "OK"


def test_each_model_has_its_own_callers(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    tokens = {}
    for user in ("app", "other"):
        tokens[user] = ws.team.create_token(user).secret
    for model in ("delay", "open"):
        register_logistic(ws, tmp_path, model, np.ones(3))
        deploy(ws, model)
    deploy(ws, "delay", callers=["app"])
    port = free_port()
    supervisor = Supervisor(ws.url, host="0.0.0.0", port=port)
    supervisor.start()
    try:
        supervisor.wait_listening()
        for model in ("delay", "open"):
            wait_ready(ws, model, get_deployment(ws, model).generation)
        plane = PlaneProcess.__new__(PlaneProcess)
        plane.url = f"http://127.0.0.1:{port}"
        found = {}
        for user, token in tokens.items():
            for path in ("v2/models/delay/infer", "v2/models/delay/invocations", "v1/models/delay:predict",
                         "v2/models/open/infer"):  # fmt: skip
                body = features([[1, 1, 1]]) if "infer" in path else {"instances": [[1, 1, 1]]}
                status, _, said = plane.request(
                    "POST", f"/{path}", msgspec.json.encode(body), {"Authorization": f"Bearer {token}"}
                )
                found[user, path.split("/", 2)[2]] = status
                assert status == 200 or b"'other' is not among those who may ask" in said
        assert {key for key, status in found.items() if status != 200} == {
            ("other", "delay/infer"), ("other", "delay/invocations"), ("other", "delay:predict")
        }  # fmt: skip
        assert set(found.values()) == {200, 403}
        assert (by_grpc(port, tokens["app"]), by_grpc(port, tokens["other"])) == ("OK", "PERMISSION_DENIED")
    finally:
        supervisor.stop()


def test_who_asks_too_often_is_told_when_again(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "delay", np.ones(3))
    # So seldom that no machine is slow enough to be allowed a second one.
    wait_ready(ws, "delay", deploy(ws, "delay", rate_limit=0.0005).generation)
    assert plane.infer("delay", features([[1, 1, 1]]))[0] == 200
    status, headers, body = plane.request("POST", "/v2/models/delay/infer", b"{}")
    assert status == 429
    assert 1000 < int(headers["retry-after"]) <= 2000
    assert b"may ask this model 0.0005 times a second" in body
    assert plane.get("/v2/models/delay/ready")[0] == 200
    # What is counted outlives a change of the routes, and ends with the limit.
    wait_ready(ws, "delay", deploy(ws, "delay", timeout_ms=1000).generation)
    assert plane.infer("delay", features([[1, 1, 1]]))[0] == 429
    wait_ready(ws, "delay", deploy(ws, "delay", rate_limit=0).generation)
    assert plane.infer("delay", features([[1, 1, 1]]))[0] == 200
    for wrong in (-1.0, float("nan"), 1e12):
        with pytest.raises(InvalidInput, match="rate_limit"):
            deploy(ws, "delay", rate_limit=wrong)
