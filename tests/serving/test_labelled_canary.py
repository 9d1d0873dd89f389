"""Labels that arrive while versions share the requests judge them, as feedback would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.monitoring import reward_due
from homeostat.serving import (
    CanaryPolicy,
    Feedback,
    PredictionClient,
    Route,
    compare,
    deploy,
    get_deployment,
    predictions,
    record_feedback,
    review_bandits,
    review_canaries,
    set_routes,
    start_bandit,
    start_canary,
    wait_ready,
)
from homeostat.serving.feedback import rewards_since
from tests.serving.conftest import PlaneProcess
from tests.serving.models import register_logistic, register_tensor

ROW = np.ones((1, 3), "f4")
GOOD, BAD = np.full(3, 1.0), np.full(3, -1.0)  # the truth is 1 throughout


pytestmark = pytest.mark.usefixtures("at_once")


def ask(plane: PlaneProcess, model: str, count: int, rows: int = 1) -> None:
    with PredictionClient(plane.url) as client:
        client.predict_many(model, [(f"r{at}", {}, np.repeat(ROW, rows, axis=0)) for at in range(count)])
        client.flush(model)


def record(ws: hs.Workspace, model: str, answers: range, label: float = 1.0, row: int = 0) -> None:
    truth = {"request_id": [f"r{at}" for at in answers], "row": row, "label": label, "label_ms": now_ms()}
    assert ws.monitoring.record_labels(model, pl.DataFrame(truth)) == len(answers)


def tell(ws: hs.Workspace, model: str, count: int, label: float = 1.0, row: int = 0) -> None:
    record(ws, model, range(count), label, row)
    ws.monitoring.reward_answers(model)


def test_a_canary_whose_answers_turn_out_worse_goes_back(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    for weights in (GOOD, BAD):
        register_logistic(ws, tmp_path, "delay", weights)
    first = deploy(ws, "delay", 1)
    wait_ready(ws, "delay", start_canary(ws, "delay", 2, CanaryPolicy(weights=[0.5, 1.0])).generation)
    ask(plane, "delay", 600)
    assert review_canaries(ws, at_ms=now_ms())[0].judgement.action == "wait"
    record(ws, "delay", range(590))
    reward_due(ws)
    record(ws, "delay", range(590, 600))
    reward_due(ws)  # not at once again, whoever asks
    assert len(rewards_since(ws, "delay", 0)) == 590
    (review,) = review_canaries(ws, at_ms=now_ms())
    assert (review.judgement.action, get_deployment(ws, "delay").routes) == ("roll_back", first.routes)
    assert "it earns less" in review.judgement.reason


def test_a_canary_rises_once_labels_have_excluded_a_loss(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    for weights in (BAD, GOOD):
        register_logistic(ws, tmp_path, "delay", weights)
    deploy(ws, "delay", 1)
    policy = CanaryPolicy(weights=[0.5, 1.0], min_requests=10, hold_s=0, error_margin=0.5, min_rewards=100)
    wait_ready(ws, "delay", start_canary(ws, "delay", 2, policy).generation)
    ask(plane, "delay", 600)
    assert "0 of 100 rewards" in review_canaries(ws, at_ms=now_ms())[0].judgement.reason
    tell(ws, "delay", 600)
    assert review_canaries(ws, at_ms=now_ms())[0].judgement.action == "promote"


def test_what_labels_are_worth(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    for weights in (GOOD, BAD):
        register_logistic(ws, tmp_path, "delay", weights)
    since = now_ms()
    wait_ready(ws, "delay", deploy(ws, "delay", 1).generation)
    ask(plane, "delay", 1)
    tell(ws, "delay", 1)
    assert rewards_since(ws, "delay", since) == []  # nothing is to be compared
    routes = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    ask(plane, "delay", 600, rows=2)
    tell(ws, "delay", 600)
    own = dict(predictions(ws, "delay").filter(row=0).select("request_id", "probability").iter_rows())  # pyright: ignore
    told = dict(rewards_since(ws, "delay", since))
    assert told == pytest.approx({name: 1 - (1 - p) ** 2 for name, p in own.items()}, rel=1e-6)
    assert compare(ws, "delay", "reward")[0].verdict == "worse"
    assert ws.monitoring.reward_answers("delay") == 0  # told already
    tell(ws, "delay", 3, label=0.0, row=1)  # the mean of its rows is what a request is worth
    p = own["r0"]
    assert dict(rewards_since(ws, "delay", since))["r0"] == pytest.approx((1 - (1 - p) ** 2 + 1 - p**2) / 2, rel=1e-6)
    tell(ws, "delay", 3, label=0.0)  # corrected
    assert dict(rewards_since(ws, "delay", since))["r0"] == pytest.approx(1 - p**2, rel=1e-6)
    # Who tells what answers earned, in whichever unit, is not mixed up with it.
    record_feedback(ws, "delay", [Feedback(request_id="r0", reward=250.0)])
    assert rewards_since(ws, "delay", since) == [("r0", 250.0)]


def test_a_bandit_moves_to_what_labels_favour(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    for weights in (BAD, GOOD):
        register_logistic(ws, tmp_path, "delay", weights)
    deploy(ws, "delay", 1)
    wait_ready(ws, "delay", start_bandit(ws, "delay", [2]).generation)
    ask(plane, "delay", 600)
    tell(ws, "delay", 600)
    (review,) = review_bandits(ws, at_ms=now_ms() + 3_600_000)
    assert review.changed
    assert review.versions[1].weight > 0.9


def test_answers_without_a_score_are_nobodys_reward(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    from onnx import TensorProto

    for at in ("a", "b"):
        register_tensor(ws, tmp_path / at, "echo", TensorProto.FLOAT, "FP32")
    deploy(ws, "echo", 1)
    routes = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    wait_ready(ws, "echo", set_routes(ws, "echo", routes).generation)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
    plane.infer("echo", {"id": "r0", "inputs": [tensor]})
    plane.flush("echo")
    tell(ws, "echo", 1)
    assert rewards_since(ws, "echo", 0) == []
