"""Routes change under load: no request fails, and who gets which version can be told beforehand."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import Unavailable
from homeostat.serving import (
    PredictionClient,
    Route,
    deploy,
    get_deployment,
    predictions,
    rollback,
    set_routes,
    undeploy,
    wait_ready,
)
from homeostat.serving.routes import RouteTable
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import COLUMNS, expected, register_logistic
from tests.serving.test_plane import WEIGHTS, deployed

ROW = np.ones((1, 3), "f4")


def two_versions(ws: hs.Workspace, scratch: Path) -> None:
    """Version 1 answers 0.5 to everything, version 2 answers nearly 1 to `ROW`."""
    deployed(ws, scratch, weights=np.zeros(3))
    register_logistic(ws, scratch, "delay", np.full(3, 5.0))


def test_hundreds_of_swaps_under_load_fail_no_request(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    two_versions(ws, tmp_path)
    answered: list[float] = []
    stop = threading.Event()

    def load() -> None:
        with PredictionClient(plane.url, connections=4, depth=4, retry_s=0) as client:
            turn = 0
            while not stop.is_set():
                turn += 1
                answered.extend(
                    float(out[0])
                    for out in client.predict_many("delay", [(f"{turn}-{at}", {}, ROW) for at in range(100)])
                )

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for turn in range(30):
            wait_ready(ws, "delay", deploy(ws, "delay", 1 + (turn + 1) % 2).generation)
        routes = [Route(version=2, weight=0.5), Route(version=1, weight=0.5, role="canary")]
        wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
        wait_ready(ws, "delay", rollback(ws, "delay").generation)
    finally:
        stop.set()
        thread.join()
    assert answered
    assert len(answered) % 100 == 0  # every batch was answered whole
    assert {round(value, 2) for value in answered} == {0.5, 1.0}


def test_requests_are_read_as_the_champion_takes_them_in_whatever_order_the_routes_are(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    deployed(ws, tmp_path)
    register_logistic(ws, tmp_path, "delay", WEIGHTS[::-1], COLUMNS[::-1])
    routes = [Route(version=2, weight=1, role="shadow"), Route(version=1)]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    frame = {"columns": COLUMNS, "data": [[1.0, 0.0, 0.0]]}
    body = msgspec.json.encode({"dataframe_split": frame})
    _, told, answer = plane.request("POST", "/v2/models/delay/invocations", body)
    wanted = expected(WEIGHTS, np.array([[1, 0, 0]], "f4"))
    np.testing.assert_allclose(msgspec.json.decode(answer)["predictions"], wanted, rtol=1e-5)
    assert told["x-model-version"] == "1"


def test_the_canarys_share_is_the_one_that_the_hash_says(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    two_versions(ws, tmp_path)
    routes = [Route(version=1, weight=0.8), Route(version=2, weight=0.2, role="canary")]
    deployment = set_routes(ws, "delay", routes)
    wait_ready(ws, "delay", deployment.generation)
    ids = [f"request-{at}" for at in range(1000)]
    with PredictionClient(plane.url) as client:
        outputs = client.predict_many("delay", [(id, {}, ROW) for id in ids])
        again = client.predict_many("delay", [(id, {}, ROW) for id in ids])
        client.flush("delay")
    table = RouteTable(routes, {1: 1, 2: 2}, deployment.salt, deployment.generation)
    told = [table.choose(id) for id in ids]
    assert [2 if out[0] > 0.9 else 1 for out in outputs] == [version for version, _ in told]
    np.testing.assert_array_equal(outputs, again)
    assert 120 < sum(version == 2 for version, _ in told) < 280
    frame = predictions(ws, "delay").sort("request_id")
    assert dict(zip(frame["request_id"], zip(frame["version"], frame["route"], strict=True), strict=True)) == dict(
        zip(ids, told, strict=True)
    )


def test_a_sticky_key_keeps_its_version_whatever_the_request(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    two_versions(ws, tmp_path)
    deploy(ws, "delay", 1, sticky="key")
    routes = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    with PredictionClient(plane.url) as client:
        asked = [(f"{turn}-{user}", {"key": [f"user-{user}"]}, ROW) for turn in range(5) for user in range(40)]
        outputs = np.array(client.predict_many("delay", asked)).reshape(5, 40)
    assert (outputs == outputs[0]).all()
    assert 0 < (outputs[0] > 0.9).sum() < 40


def test_a_named_version_is_answered_and_logged_apart(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    two_versions(ws, tmp_path)
    routes = [Route(version=1), Route(version=2, role="shadow")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    status, answer = plane.infer("delay", features(ROW.tolist()), version=2)
    assert status == 200
    assert answer["model_version"] == "2"
    assert answer["outputs"][0]["data"][0] > 0.9
    plane.flush("delay")
    assert predictions(ws, "delay").is_empty()
    assert predictions(ws, "delay", routes=["direct"])["version"].to_list() == [2]


def test_a_version_that_cannot_be_loaded_leaves_what_is_served(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    from homeostat.registry import put_package, register
    from tests.serving.models import tabular, write_package

    two_versions(ws, tmp_path)
    broken = write_package(tmp_path / "broken", "model.onnx", b"not a graph", "onnx", tabular())
    register(ws, "delay", put_package(ws, broken))
    generation = deploy(ws, "delay", 3).generation
    with pytest.raises(Unavailable, match=r"cannot be served by .+/127.0.0.1:0#0: 'model.onnx' cannot be loaded"):
        wait_ready(ws, "delay", generation)
    assert plane.infer("delay", features(ROW.tolist()))[1]["outputs"][0]["data"] == [0.5]
    assert rollback(ws, "delay").champion == 1
    wait_ready(ws, "delay")


def test_undeployed_models_are_gone_and_may_come_back(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    two_versions(ws, tmp_path)
    first = get_deployment(ws, "delay").generation
    undeploy(ws, "delay")
    while plane.get("/v2/models/delay")[0] == 200:
        pass
    assert plane.infer("delay", features(ROW.tolist()))[0] == 404
    again = deploy(ws, "delay", 2)
    assert again.generation == first + 2
    wait_ready(ws, "delay", again.generation)
    assert plane.infer("delay", features(ROW.tolist()))[0] == 200


def test_nobody_waits_for_a_plane_that_does_not_run(ws: hs.Workspace, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "delay", np.zeros(3))
    deploy(ws, "delay")
    with pytest.raises(Unavailable, match="no data plane is alive"):
        wait_ready(ws, "delay", timeout_s=0.1)
