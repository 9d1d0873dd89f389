from __future__ import annotations

import math
import threading

import pytest

import homeostat as hs
from homeostat.core.context import acting_run
from homeostat.core.errors import Conflict, InvalidInput, NotFound, TooLarge
from homeostat.core.events import events_after
from homeostat.tracking import Metric
from homeostat.tracking.metrics import fold


def history(ws: hs.Workspace, run_id: str, key: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in ws.tracking.metric_history(run_id, key)]


def test_a_run_tells_what_it_was_given_and_what_came_of_it(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run("churn", name="first", params={"lr": 0.1, "depth": 6}, tags={"team": "red"})
    any_ws.tracking.log_metrics(run.id, {"auc": 0.7, "loss": 0.5}, step=1)
    any_ws.tracking.log_metrics(run.id, {"auc": 0.8}, step=2)
    any_ws.tracking.set_tags(run.id, {"team": "blue"})
    done = any_ws.tracking.finish_run(run.id)
    assert (done.status, done.experiment, done.name) == ("finished", "churn", "first")
    assert done.params == {"lr": "0.1", "depth": "6"}
    assert done.tags == {"team": "blue"}
    assert done.metrics == {"auc": 0.8, "loss": 0.5}
    assert done.end_ms is not None and done.end_ms >= done.start_ms
    assert any_ws.tracking.get_run(run.id) == done


def test_creating_the_same_run_again_gives_it_back(any_ws: hs.Workspace):
    first = any_ws.tracking.create_run("e", id="step-1", params={"a": 1})
    any_ws.tracking.log_metrics("step-1", {"m": 1.0})
    any_ws.tracking.finish_run("step-1", status="failed", error="boom")
    again = any_ws.tracking.create_run("e", id="step-1", params={"a": 1, "b": 2})
    assert (again.status, again.error, again.end_ms, again.start_ms) == ("running", None, None, first.start_ms)
    assert again.params == {"a": "1", "b": "2"} and again.metrics == {"m": 1.0}
    assert len(any_ws.tracking.search_runs().runs) == 1
    with pytest.raises(Conflict, match="belongs to experiment 'e'"):
        any_ws.tracking.create_run("other", id="step-1")


def test_eight_threads_creating_one_run_make_one(any_ws: hs.Workspace):
    failures: list[BaseException] = []

    def create() -> None:
        try:
            any_ws.tracking.create_run("e", id="same", params={"a": 1})
        except BaseException as error:  # shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [run.id for run in any_ws.tracking.search_runs().runs] == ["same"]


def test_a_parameter_does_not_change(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run(params={"lr": 0.1})
    any_ws.tracking.log_params(run.id, {"lr": 0.1})
    with pytest.raises(Conflict, match=r"parameter 'lr' .* is '0.1' and does not change"):
        any_ws.tracking.log_batch(run.id, [Metric(key="m", value=1.0)], params={"lr": 0.2})
    # All or none: the metric of the refused request is not there.
    assert any_ws.tracking.get_run(run.id).metrics == {}


def test_logging_a_step_again_replaces_it(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    for _ in range(2):
        for step in (0, 1, 2):
            any_ws.tracking.log_metrics(run.id, {"loss": 1.0 / (step + 1)}, step)
    any_ws.tracking.log_metrics(run.id, {"loss": 9.0}, step=1)
    assert history(any_ws, run.id, "loss") == [(0, 1.0), (1, 9.0), (2, 1 / 3)]
    assert any_ws.tracking.get_run(run.id).metrics == {"loss": 1 / 3}
    fold(any_ws, run.id)
    assert history(any_ws, run.id, "loss") == [(0, 1.0), (1, 9.0), (2, 1 / 3)]


def test_folding_keeps_every_point_and_fills_half_empty_chunks(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    expected: dict[str, list[tuple[int, float]]] = {"a": [], "b": []}
    step = 0
    for size in (3000, 3000, 100):
        points = [Metric(key=key, value=float(s) / 3, step=s) for s in range(step, step + size) for key in ("a", "b")]
        any_ws.tracking.log_batch(run.id, points)
        for key in expected:
            expected[key] += [(s, float(s) / 3) for s in range(step, step + size)]
        step += size
        assert fold(any_ws, run.id) == 2 * size
        assert fold(any_ws, run.id) == 0
    any_ws.tracking.log_metrics(run.id, {"a": 7.0}, step=step)
    assert history(any_ws, run.id, "a") == [*expected["a"], (step, 7.0)]
    assert history(any_ws, run.id, "b") == expected["b"]


def test_two_folders_at_once_lose_and_double_nothing(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    for step in range(40):
        any_ws.tracking.log_metrics(run.id, {"m": float(step)}, step)
    moved: list[int] = []
    threads = [threading.Thread(target=lambda: moved.append(fold(any_ws, run.id))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 40
    assert history(any_ws, run.id, "m") == [(step, float(step)) for step in range(40)]


def test_values_that_are_no_numbers_are_kept(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    for step, value in enumerate((float("inf"), float("-inf"), None, float("nan"))):
        any_ws.tracking.log_metrics(run.id, {"m": value}, step)
    any_ws.tracking.log_metrics(run.id, {"up": float("inf")})
    any_ws.tracking.finish_run(run.id)
    values = [value for _, value in history(any_ws, run.id, "m")]
    assert values[:2] == [float("inf"), float("-inf")] and all(map(math.isnan, values[2:]))
    metrics = any_ws.tracking.get_run(run.id).metrics
    assert math.isnan(metrics["m"]) and metrics["up"] == float("inf")


def test_what_cannot_be_logged_is_refused_with_the_reason(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    with pytest.raises(NotFound, match="no run 'nope'"):
        any_ws.tracking.log_metrics("nope", {"m": 1.0})
    with pytest.raises(InvalidInput, match="does not fit 64 bits"):
        any_ws.tracking.log_metrics(run.id, {"m": 1.0}, step=2**63)
    with pytest.raises(InvalidInput, match="is not a key"):
        any_ws.tracking.log_metrics(run.id, {"": 1.0})
    with pytest.raises(InvalidInput, match="6001 characters"):
        any_ws.tracking.log_params(run.id, {"long": "x" * 6001})
    with pytest.raises(InvalidInput, match="is not a run id"):
        any_ws.tracking.create_run(id="../x")
    with pytest.raises(NotFound, match="no run 'nobody'"):
        any_ws.tracking.create_run(parent_id="nobody")
    with pytest.raises(TooLarge, match="100001 points"):
        any_ws.tracking.log_batch(run.id, [Metric(key="m", value=0.0)] * 100_001)


def test_the_open_run_is_the_parent(any_ws: hs.Workspace):
    outer = any_ws.tracking.create_run()
    with acting_run(outer.id):
        inner = any_ws.tracking.create_run(kind="trial")
    with acting_run("of-another-workspace"):
        stray = any_ws.tracking.create_run()
    assert inner.parent_id == outer.id and stray.parent_id is None
    assert [run.id for run in any_ws.tracking.search_runs(parent_id=outer.id).runs] == [inner.id]


def test_events_tell_of_a_run(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    any_ws.tracking.log_metrics(run.id, {"m": 1.0})
    any_ws.tracking.finish_run(run.id)
    any_ws.tracking.finish_run(run.id)
    told = [(event.name, event.payload["run_id"]) for event in events_after(any_ws, 0)]
    assert told == [("run_started", run.id), ("run_metrics", run.id), ("run_finished", run.id)]


def test_a_silent_run_is_lost_and_may_come_back(any_ws: hs.Workspace):
    silent, quiet = any_ws.tracking.create_run(), any_ws.tracking.create_run()
    any_ws.tracking.heartbeat(silent.id, at_ms=1_000_000)
    assert any_ws.tracking.mark_lost(silent_s=60, at_ms=1_060_000) == []
    assert any_ws.tracking.mark_lost(silent_s=60, at_ms=1_060_001) == [silent.id]
    assert any_ws.tracking.get_run(silent.id).status == "lost"
    assert any_ws.tracking.get_run(quiet.id).status == "running"  # it never promised to send heartbeats
    assert any_ws.tracking.heartbeat(silent.id) == "running"
    assert any_ws.tracking.get_run(silent.id).end_ms is None


def test_artifacts_are_kept_by_path(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    any_ws.tracking.log_artifact(run.id, "plots/roc.svg", b"<svg/>")
    any_ws.tracking.log_artifact(run.id, "notes.txt", b"one")
    any_ws.tracking.log_artifact(run.id, "notes.txt", b"two")
    assert [(a.path, a.size) for a in any_ws.tracking.list_artifacts(run.id)] == [
        ("notes.txt", 3),
        ("plots/roc.svg", 6),
    ]
    assert any_ws.tracking.read_artifact(run.id, "notes.txt") == b"two"
    with pytest.raises(NotFound, match="no artifact 'gone'"):
        any_ws.tracking.read_artifact(run.id, "gone")
    for path in ("../up", "/etc/passwd", "a/../../b", "a\\b", ""):
        with pytest.raises(InvalidInput, match="does not lie inside"):
            any_ws.tracking.log_artifact(run.id, path, b"x")
