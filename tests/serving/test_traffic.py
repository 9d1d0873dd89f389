"""What the pages ask of serving: traffic over time, one request as it was logged, judgements without acting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, InvalidInput, NotFound
from homeostat.serving import (
    CanaryPolicy,
    Feedback,
    PredictionClient,
    Route,
    Traffic,
    bandit_arms,
    deploy,
    deployment_history,
    fold,
    get_deployment,
    judge_canary,
    logged_request,
    record_feedback,
    rollback,
    set_routes,
    start_bandit,
    start_canary,
    store,
    traffic,
    undeploy,
    wait_ready,
)
from homeostat.serving.spool import (
    Batch,
    Block,
    SpoolWriter,
    frame,
    joined,
    read_spool,
    read_timings,
    spool_files,
    spool_folder,
)
from tests.serving.conftest import PlaneProcess
from tests.serving.models import register_logistic

T = 1_700_000_000_000 // 60_000 * 60_000


def batch(at_ms: list[int], latency_us: list[int], version: int = 1, role: int = 0, status: int = 200) -> Batch:
    many = len(at_ms)
    ids = [f"{version}.{role}.{status}.{at}" for at in at_ms]
    block = Block(["x"], "FP32", [1], np.zeros(many, "<f4").tobytes())
    return Batch(
        "delay", version, status, ids, np.ones(many, "<u4").tobytes(), np.full(many, role, "u1").tobytes(),
        np.array(latency_us, "<u4").tobytes(), np.array(at_ms, "<i8").tobytes(), None, None, [block], [],
    )  # fmt: skip


def write(ws: hs.Workspace, *batches: Batch) -> None:
    writer = SpoolWriter(spool_folder(ws.home), "test")
    for one in batches:
        writer.write(frame(one))
    writer.rotate()


def of(ws: hs.Workspace) -> Traffic:
    (found,) = traffic(ws, "delay", window_ms=120_000, points=2, to_ms=T + 120_000)
    return found


def test_traffic_is_told_by_version_route_and_step_wherever_it_lies(ws: hs.Workspace, tmp_path: Path) -> None:
    for weight in (1.0, 2.0):
        register_logistic(ws, tmp_path, "delay", np.array([weight, 0, 0]))
    deploy(ws, "delay", 1)
    assert (of(ws).requests, of(ws).latency_ms, of(ws).points) == (0, None, [])
    early = [T + at * 100 for at in range(100)]
    late = [T + 60_000 + at for at in range(50)]
    write(
        ws,
        batch(early, [1000 * (at + 1) for at in range(100)]),
        batch(late, [5000] * 50),
        batch(late[:10], [7000] * 10, version=2, role=1),
        batch(late[:2], [9000] * 2, version=2, role=1, status=500),
        batch(late[:30], [100] * 30, version=2, role=2),
        batch([T - 1, T + 120_000], [1, 1]),
    )
    found = of(ws)
    assert (found.from_ms, found.to_ms, found.step_ms, found.log_share) == (T, T + 120_000, 60_000, 1.0)
    assert [(v.version, v.route, v.requests, v.failed) for v in found.versions] == [
        (1, "champion", 150, 0), (2, "canary", 12, 2), (2, "shadow", 30, 0),
    ]  # fmt: skip
    assert (found.requests, found.failed) == (162, 2)  # a shadow answers nobody
    points = {(p.at_ms, p.version, p.route): p for p in found.points}
    assert sorted(points) == [(T, 1, "champion"), (T + 60_000, 1, "champion"), (T + 60_000, 2, "canary"),
                              (T + 60_000, 2, "shadow")]  # fmt: skip
    first = points[T, 1, "champion"]
    assert first.requests == 100 and first.latency_ms == pytest.approx(50, abs=1)
    assert first.latency_p95_ms == pytest.approx(95, abs=1)
    # What the model failed on took some time too, which is no latency of an answer.
    assert points[T + 60_000, 2, "canary"].latency_ms == 7
    assert fold(ws).files == 1 and not spool_files(ws.home)
    assert of(ws) == found
    assert traffic(ws, window_ms=120_000, points=2, to_ms=T + 120_000) == [found]
    undeploy(ws, "delay")
    assert traffic(ws) == []


def test_traffic_of_now_reads_only_what_was_added(ws: hs.Workspace, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "delay", np.array([1, 0, 0]))
    deploy(ws, "delay")
    rng = np.random.default_rng(3)
    took = [rng.lognormal(7, 1, 500).astype("<u4").tolist() for _ in range(3)]
    began = now_ms() - 10_000
    times = [list(range(began + 500 * at, began + 500 * (at + 1))) for at in range(3)]  # a batch's ids come from them
    writer = SpoolWriter(spool_folder(ws.home), "test")

    def told() -> tuple[int, float | None, float | None]:
        (found,) = traffic(ws, "delay", window_ms=3_600_000, points=3)
        assert sum(point.requests for point in found.points) == found.requests
        return found.requests, found.latency_ms, found.latency_p95_ms

    for many in (1, 2):
        writer.write(frame(batch(times[many - 1], took[many - 1])))
        requests, median, p95 = told()
        assert requests == many * 500
        assert median == pytest.approx(np.median(took[:many]) / 1000, rel=0.02)
        assert p95 == pytest.approx(np.quantile(took[:many], 0.95) / 1000, rel=0.02)
    before = told()
    (path,) = spool_files(ws.home)
    with path.open("r+b") as file:  # were the beginning read again, all after it would be lost
        file.write(b"XXXX")
    writer.write(frame(batch(times[2], took[2])))
    whole = told()
    assert whole[0] == 1500 and before[0] == 1000
    with path.open("r+b") as file:
        file.write(b"HPL1")
    writer.rotate()
    assert fold(ws).files == 1
    assert told() == pytest.approx(whole, rel=1e-9)
    segments = ws.db.read(lambda c: c.execute(sa.select(store.segment.c.digest)).scalars().all())
    ws.blobs.local_path(segments[0]).unlink()
    assert told() == pytest.approx(whole, rel=1e-9)


def test_traffic_refuses_what_would_cost_too_much(ws: hs.Workspace) -> None:
    with pytest.raises(NotFound):
        traffic(ws, "nobody")
    for window_ms, points in ((10, 60), (90_000_000, 60), (900_000, 0), (900_000, 501)):
        with pytest.raises(InvalidInput):
            traffic(ws, window_ms=window_ms, points=points)


def test_timings_are_the_beginning_of_what_is_spooled(ws: hs.Workspace) -> None:
    write(ws, batch([T, T + 1], [10, 20]), batch([T + 2], [30], version=2))
    (path,) = spool_files(ws.home)
    names = ("model", "version", "status", "counts", "roles", "latency_us", "logged_ms")
    whole = [tuple(getattr(one, name) for name in names) for one in read_spool(path)]
    assert [tuple(getattr(one, name) for name in names) for one in read_timings(path)[0]] == whole


def test_small_batches_read_as_one_give_the_same_rows(ws: hs.Workspace) -> None:
    from polars.testing import assert_frame_equal

    from homeostat.serving.log_frame import newest, to_frame

    many = [batch([T + at, T + at + 1], [at, 2 * at], version=1 + at % 2, role=at % 2) for at in range(0, 20, 2)]
    many += [batch([T + 50], [9], status=500)]
    for at, one in enumerate(many):
        one.keys = [f"k{at}" for _ in one.ids] if at % 3 == 0 else None
        one.inputs[0].data = np.full(len(one.ids), at, "<f4").tobytes()
    few = joined(many)
    assert len(few) < len(many) and sum(len(one.ids) for one in few) == sum(len(one.ids) for one in many)
    apart, together = (newest([to_frame(one, None, None, None) for one in of], None) for of in (many, few))
    assert_frame_equal(apart, together)


def test_a_request_is_found_with_what_every_version_answered(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    for weight in (1.0, -1.0):
        register_logistic(ws, tmp_path, "delay", np.array([weight, 0, 0]))
    deploy(ws, "delay", 1)
    routes = [Route(version=1), Route(version=2, role="shadow")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", [(f"r{at}", {}, np.full((2, 3), at, "f4")) for at in range(3)])
        client.flush("delay")
    found = logged_request(ws, "delay", "r2")
    assert [(a.row, a.route, a.version, a.status) for a in found] == [
        (0, "champion", 1, 200), (0, "shadow", 2, 200), (1, "champion", 1, 200), (1, "shadow", 2, 200),
    ]  # fmt: skip
    assert found[0].inputs == {"distance": 2.0, "hour": 2.0, "wind": 2.0}
    assert found[0].outputs["probability"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert found[1].outputs["probability"] == pytest.approx(1 / (1 + np.exp(2)))
    plane.stop()
    fold(ws)
    assert logged_request(ws, "delay", "r2") == found
    with pytest.raises(NotFound, match="no request 'r9'"):
        logged_request(ws, "delay", "r9")


def test_looking_at_a_canary_or_a_bandit_changes_nothing(ws: hs.Workspace, tmp_path: Path) -> None:
    for weight in (1.0, 2.0):
        register_logistic(ws, tmp_path, "delay", np.array([weight, 0, 0]))
    deploy(ws, "delay", 1)
    assert (judge_canary(ws, "delay"), bandit_arms(ws, "delay")) == (None, None)
    started = start_canary(ws, "delay", 2, CanaryPolicy(weights=[0.1, 1], min_requests=1, hold_s=0, error_margin=1))
    review = judge_canary(ws, "delay")
    assert review is not None and (review.version, review.weight, review.judgement.action) == (2, 0.1, "wait")
    assert get_deployment(ws, "delay") == started
    bandit = start_bandit(ws, "delay", [2])
    record_feedback(ws, "delay", [Feedback(request_id="r", reward=1.0)])
    arms = bandit_arms(ws, "delay")
    assert arms is not None and [(arm.version, arm.weight, arm.rewards) for arm in arms.versions] == [
        (1, 0.5, 0), (2, 0.5, 0),
    ]  # fmt: skip
    assert not arms.changed and get_deployment(ws, "delay") == bandit


def test_every_change_can_be_bound_to_what_was_seen(ws: hs.Workspace, tmp_path: Path) -> None:
    for weight in (1.0, 2.0):
        register_logistic(ws, tmp_path, "delay", np.array([weight, 0, 0]))
    seen = deploy(ws, "delay", 1).generation
    now = set_routes(ws, "delay", [Route(version=1, weight=0.9), Route(version=2, weight=0.1, role="canary")])
    for change in (
        lambda: rollback(ws, "delay", expect_generation=seen),
        lambda: undeploy(ws, "delay", expect_generation=seen),
        lambda: start_canary(ws, "delay", 2, expect_generation=seen),
        lambda: start_bandit(ws, "delay", [2], expect_generation=seen),
    ):
        with pytest.raises(Conflict, match="at generation 2, not 1"):
            change()
    assert get_deployment(ws, "delay") == now
    assert [change.back_to for change in deployment_history(ws, "delay")] == [1, None]
    assert rollback(ws, "delay", expect_generation=now.generation).routes == [Route(version=1)]
    undeploy(ws, "delay", expect_generation=3)
