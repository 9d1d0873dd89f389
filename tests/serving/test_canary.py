"""Canaries that rise and fall by themselves, and versions compared at any time."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, Refused
from homeostat.registry import log_model
from homeostat.serving import (
    CanaryPolicy,
    Feedback,
    PredictionClient,
    Route,
    compare,
    deploy,
    get_deployment,
    record_feedback,
    review_canaries,
    rollback,
    set_routes,
    start_bandit,
    start_canary,
    wait_ready,
)
from homeostat.serving.canary import Seen, judge
from homeostat.serving.feedback import read_feedback
from homeostat.serving.sequential import Arm, difference, race
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import register_logistic

ROW = np.ones((1, 3), "f4")
WEIGHT = 0.25


def ends(rng: np.random.Generator, requests: int, drop: float) -> bool:
    """Whether a canary with a quarter of the traffic is rolled back at any of forty looks."""
    own = rng.random(requests) < WEIGHT
    outcomes = [rng.random(requests) < p for p in (0.01, 0.05)] + [
        rng.random(requests) < np.where(own, 0.8 - drop, 0.8)
    ]
    for stop in range(requests // 40, requests + 1, requests // 40):
        here = own[:stop]
        n = int(here.sum())
        (failed, failures), (slow, slows), (paid, pays) = (
            (int(x[:stop][here].sum()), int(x[:stop].sum())) for x in outcomes
        )
        seen = Seen(
            answered=Arm.of_share(n, failed), answered_by_champion=Arm.of_share(stop - n, failures - failed),
            errors=[(failed, failures, WEIGHT)], slow=[(slow, slows, WEIGHT)],
            rewards=Arm.of_share(n, paid), rewards_of_champion=Arm.of_share(stop - n, pays - paid),
            step_requests=n, step_s=0,
        )  # fmt: skip
        if judge(seen, CanaryPolicy()).action == "roll_back":
            return True
    return False


def test_equal_versions_are_seldom_told_apart_and_a_drop_of_two_points_always() -> None:
    rng = np.random.default_rng(5)
    assert sum(ends(rng, 4_000, 0.0) for _ in range(150)) <= 7  # at most 5 % may
    assert all(ends(rng, 120_000, 0.02) for _ in range(5))


def test_the_race_is_exact_whatever_the_number_of_events() -> None:
    """At fair odds the expected evidence is exactly 1: summed over all outcomes of three events."""
    for allowed in (1.0, 2.0):
        fair = WEIGHT * allowed / (WEIGHT * allowed + 1 - WEIGHT)
        expected = sum(
            math.comb(3, own) * fair**own * (1 - fair) ** (3 - own) * race([(own, 3, WEIGHT)], allowed)
            for own in range(4)
        )
        assert expected == pytest.approx(1)
    assert race([(2, 5, 0.1), (1, 4, 0.3)]) != race([(3, 9, 0.2)])
    assert race([(3, 3, 1.0)]) == 1


def test_an_interval_is_wider_for_more_certainty_and_narrower_for_more_rows() -> None:
    few, many = Arm(n=500, mean=1, variance=1), Arm(n=50_000, mean=1, variance=1)
    assert difference(few, few, 0.01)[1] > difference(few, few, 0.1)[1] > difference(many, many, 0.1)[1] > 0


def ask(plane: PlaneProcess, count: int, name: str = "r") -> None:
    for at in range(count):
        plane.infer("delay", {**features(ROW.tolist()), "id": f"{name}{at}"})
    plane.flush("delay")


def test_a_canary_that_fails_goes_back_by_itself(
    ws: hs.Workspace, plane: PlaneProcess, at_once: None, tmp_path: Path
) -> None:
    def broken(rows: np.ndarray) -> np.ndarray:
        if (rows[:, 0] == 1).any():
            raise ValueError("not today")
        return rows.sum(axis=1).astype("f4")

    def whole(rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1).astype("f4")

    for model in (whole, broken):
        with hs.run("train", ws=ws) as run:
            log_model(ws, "delay", model, np.zeros((4, 3), "f4"), run_id=run.id)
    first = deploy(ws, "delay", 1)
    started = start_canary(ws, "delay", 2, CanaryPolicy(weights=[0.5, 1.0]))
    assert [(r.version, r.weight, r.role) for r in started.routes] == [(1, 0.5, "champion"), (2, 0.5, "canary")]
    wait_ready(ws, "delay", started.generation)
    ask(plane, 60)
    (review,) = review_canaries(ws, at_ms=now_ms())
    assert review.judgement.action == "roll_back"
    assert "fails more often" in review.judgement.reason
    deployment = get_deployment(ws, "delay")
    assert (deployment.routes, deployment.canary) == (first.routes, None)
    assert review_canaries(ws) == []
    with pytest.raises(Refused, match="no earlier deployment"):  # and not to the canary
        rollback(ws, "delay")


def test_a_canary_rises_to_champion_and_can_be_taken_back(
    ws: hs.Workspace, plane: PlaneProcess, at_once: None, tmp_path: Path
) -> None:
    for _ in range(2):
        register_logistic(ws, tmp_path, "delay", np.zeros(3))
    deploy(ws, "delay", 1)
    policy = CanaryPolicy(weights=[0.4, 0.5, 1.0], min_requests=10, hold_s=60, error_margin=0.5, min_rewards=100)
    wait_ready(ws, "delay", start_canary(ws, "delay", 2, policy).generation)
    now = now_ms()
    assert "of 10 requests of this step" in review_canaries(ws, at_ms=now)[0].judgement.reason
    ask(plane, 400)
    assert "of 60 seconds" in review_canaries(ws, at_ms=now + 1000)[0].judgement.reason
    assert "rewards of each version" in review_canaries(ws, at_ms=now + 61_000)[0].judgement.reason
    body = msgspec.json.encode({"feedback": [{"request_id": f"r{at}", "reward": 1.0} for at in range(400)]})
    status, _, answer = plane.request("POST", "/v2/models/delay/feedback", body)
    assert (status, msgspec.json.decode(answer)) == (200, {"recorded": 400})
    assert review_canaries(ws, at_ms=now + 61_000)[0].judgement.action == "step"
    deployment = get_deployment(ws, "delay")
    assert deployment.canary is not None
    assert [step.weight for step in deployment.canary.steps] == [0.4, 0.5]
    assert [r.weight for r in deployment.routes] == [0.5, 0.5]
    # The step's own answers count for the next one: those of its beginning lie in the future of this test's clock.
    assert review_canaries(ws, at_ms=now + 200_000)[0].judgement.action == "wait"
    assert rollback(ws, "delay").routes == [Route(version=1)]  # in the midst of it: to before it began
    assert review_canaries(ws) == []


def test_versions_are_compared_by_errors_latency_and_rewards(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    for weights in (np.zeros(3), np.full(3, 5.0)):
        register_logistic(ws, tmp_path, "delay", weights)
    deploy(ws, "delay", 1)
    routes = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    assert compare(ws, "delay")[0].lo is None  # nothing has been asked yet
    rewards: list[Feedback] = []
    with PredictionClient(plane.url) as client:
        answers = client.predict_many("delay", [(f"r{at}", {}, ROW) for at in range(1200)])
        client.flush("delay")
    for at, answer in enumerate(answers):
        rewards.append(Feedback(request_id=f"r{at}", reward=float(answer[0] > 0.9 or at % 2)))
    assert record_feedback(ws, "delay", rewards) == 1200
    assert record_feedback(ws, "delay", rewards[:3]) == 3  # told again, counted once
    (reward,) = compare(ws, "delay", "reward")
    assert (reward.version, reward.baseline, reward.verdict) == (2, 1, "better")
    assert reward.n + reward.n_baseline == 1200
    assert reward.lo is not None and 0 < reward.lo < reward.difference
    (errors,) = compare(ws, "delay")
    assert (errors.mean, errors.mean_baseline, errors.verdict) == (0, 0, "undecided")
    assert compare(ws, "delay", "latency_ms")[0].mean > 0


def test_what_makes_no_sense_is_refused(ws: hs.Workspace, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "delay", np.zeros(3))
    deploy(ws, "delay", 1)
    with pytest.raises(InvalidInput, match="is the champion"):
        start_canary(ws, "delay", 1)
    with pytest.raises(InvalidInput, match="do not rise"):
        start_canary(ws, "delay", 2, CanaryPolicy(weights=[0.5, 0.2]))
    with pytest.raises(InvalidInput, match="not a finite number"):
        record_feedback(ws, "delay", [Feedback(request_id="a", reward=math.inf)])
    with pytest.raises(InvalidInput, match="alpha=2"):
        compare(ws, "delay", alpha=2)


def test_columns_in_another_order_are_no_canary(ws: hs.Workspace, tmp_path: Path) -> None:
    """Whoever sends one matrix would be answered with its columns exchanged, and nobody would notice."""
    register_logistic(ws, tmp_path, "delay", np.zeros(2), ["distance", "hour"])
    register_logistic(ws, tmp_path, "delay", np.zeros(2), ["hour", "distance"])
    deploy(ws, "delay", 1)
    for start in (lambda: start_canary(ws, "delay", 2), lambda: start_bandit(ws, "delay", [2])):
        with pytest.raises(Refused, match="version 2 of 'delay' takes the columns of 'features' in another order"):
            start()


def test_feedback_is_read_by_its_form_and_refused_in_one_line(any_ws: hs.Workspace) -> None:
    named = b'{"request_id": "feedback", "reward": 0.5}'
    assert read_feedback(named) == [Feedback(request_id="feedback", reward=0.5)]
    assert read_feedback(b'{"feedback": [' + named + b"]}") == read_feedback(named)
    for body in (b'{"feedback": null}', b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}", b"[]", b""):
        with pytest.raises(InvalidInput, match="not feedback"):
            read_feedback(body)
    assert record_feedback(any_ws, "m", read_feedback(named)) == 1
    with pytest.raises(InvalidInput, match="none of them NUL"):
        record_feedback(any_ws, "m", [Feedback(request_id="a\0b", reward=1.0)])
