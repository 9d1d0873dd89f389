"""Bandits: versions share the requests by what their answers earn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.serving import (
    BanditPolicy,
    CanaryPolicy,
    Feedback,
    PredictionClient,
    Route,
    deploy,
    deployment_history,
    get_deployment,
    predictions,
    record_feedback,
    review_bandits,
    rollback,
    set_routes,
    start_bandit,
    start_canary,
    wait_ready,
)
from homeostat.serving.bandit import Earned, shares
from tests.serving.conftest import PlaneProcess
from tests.serving.models import register_logistic

ROW = np.ones((1, 3), "f4")


def earned(rewards: np.ndarray) -> Earned:
    bounded = bool(((rewards >= 0) & (rewards <= 1)).all())
    return Earned(n=len(rewards), total=float(rewards.sum()), squares=float((rewards**2).sum()), bounded=bounded)


@given(
    st.lists(st.lists(st.floats(-100, 100) | st.sampled_from([0.0, 1.0]), max_size=80), min_size=2, max_size=5),
    st.floats(0, 1), st.integers(1, 60),
)  # fmt: skip
def test_shares_always_add_up_and_nobody_is_given_up(
    rewards: list[list[float]], explore: float, min_rewards: int
) -> None:
    policy = BanditPolicy(explore=explore, min_rewards=min_rewards)
    found, best = shares([earned(np.array(own)) for own in rewards], policy)
    assert sum(found) == pytest.approx(1) and sum(best) == pytest.approx(1)
    assert min(found) >= explore / len(rewards) - 1e-9
    if min(map(len, rewards)) < min_rewards:
        assert found == [1 / len(rewards)] * len(rewards)
    assert shares([earned(np.array(own)) for own in rewards], policy) == (found, best)


@pytest.mark.parametrize("scale", [1.0, 250.0], ids=["shares", "amounts"])
def test_the_best_gets_most_and_earns_more_than_equal_shares(scale: float) -> None:
    rng = np.random.default_rng(3)
    chances = [0.10, 0.12, 0.16]
    seen: list[list[float]] = [[], [], []]
    weights, total = [1 / 3] * 3, 0.0
    for _ in range(40):
        for version in rng.choice(3, size=500, p=weights):
            reward = scale * float(rng.random() < chances[version])
            seen[version].append(reward)
            total += reward
        weights, _ = shares([earned(np.array(own)) for own in seen], BanditPolicy())
    assert weights[2] > 0.9
    assert total / scale / 20_000 > 0.148  # equal shares would have earned 0.127


def test_a_bandit_follows_the_rewards(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    for _ in range(3):
        register_logistic(ws, tmp_path, "delay", np.zeros(3))
    before = deploy(ws, "delay", 1)
    policy = BanditPolicy(explore=0.3, min_rewards=20, hold_s=3600)
    started = start_bandit(ws, "delay", [3, 1, 2, 3], policy)
    assert [(r.version, r.role) for r in started.routes] == [(1, "champion"), (3, "canary"), (2, "canary")]
    assert [r.weight for r in started.routes] == pytest.approx([1 / 3] * 3, abs=1e-4)
    wait_ready(ws, "delay", started.generation)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", [(f"r{at}", {}, ROW) for at in range(300)])
        client.flush("delay")
    (review,) = review_bandits(ws)
    assert not review.changed
    answered = predictions(ws, "delay")
    record_feedback(ws, "delay", [
        Feedback(request_id=id, reward=float(version == 2))
        for id, version in answered.select("request_id", "version").rows()
    ])  # fmt: skip
    assert not review_bandits(ws)[0].changed  # the shares are held for an hour
    (review,) = review_bandits(ws, at_ms=now_ms() + 3_601_000)
    assert review.changed
    by_version = {arm.version: arm for arm in review.versions}
    assert by_version[2].best > 0.99 and by_version[2].mean == 1
    assert by_version[1].rewards == answered.filter(answered["version"] == 1).height
    assert by_version[2].weight == pytest.approx(0.8, abs=0.01)
    deployment = get_deployment(ws, "delay")
    assert [r.weight for r in deployment.routes] == pytest.approx([0.1, 0.1, 0.8], abs=0.01)
    assert sum(r.weight for r in deployment.routes) == pytest.approx(1)
    assert not review_bandits(ws, at_ms=now_ms() + 7_300_000)[0].changed
    assert [change.reason for change in deployment_history(ws, "delay")] == ["bandit shares", "bandit", "deploy"]
    back = rollback(ws, "delay")
    assert (back.routes, back.bandit) == (before.routes, None)
    assert review_bandits(ws) == []
    with pytest.raises(Refused, match="no earlier deployment"):
        rollback(ws, "delay")


def test_whatever_else_changes_the_routes_ends_it(ws: hs.Workspace, tmp_path: Path) -> None:
    for _ in range(3):
        register_logistic(ws, tmp_path, "delay", np.zeros(3))
    with pytest.raises(NotFound, match="not deployed"):
        start_bandit(ws, "delay", [2])
    deploy(ws, "delay", 1)
    with pytest.raises(InvalidInput, match="beside the champion"):
        start_bandit(ws, "delay", [1])
    with pytest.raises(InvalidInput, match="explore"):
        start_bandit(ws, "delay", [2], BanditPolicy(explore=2))
    with pytest.raises(NotFound):
        start_bandit(ws, "delay", [9])
    for end in (
        lambda: deploy(ws, "delay", 2),
        lambda: set_routes(ws, "delay", [Route(version=1)]),
        lambda: start_canary(ws, "delay", 3 - get_deployment(ws, "delay").champion, CanaryPolicy()),
    ):
        assert start_bandit(ws, "delay", [1, 2, 3]).bandit is not None
        assert end().bandit is None
    assert start_bandit(ws, "delay", [3]).canary is None
