"""What the pages of many runs ask: filters as typed, facets, several runs at once, curves of few points."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.tracking.curves import thin
from homeostat.tracking.folding import fold
from homeostat.tracking.model import Metric

AUC = {"r0": 0.70, "r1": 0.75, "r2": 0.80, "r3": float("nan")}


@pytest.fixture
def runs(any_ws: hs.Workspace) -> hs.Workspace:
    tracking = any_ws.tracking
    for number in range(6):
        tracking.create_run(
            "night" if number > 3 else "day", name=f"Amber {number}", id=f"r{number}", start_ms=1000 + number,
            params={"lr": 10.0**-number, "optimiser": "adam" if number % 2 else "sgd"},
            tags={"team": "delay ops" if number < 2 else "50%"}, kind="trial" if number == 5 else "run",
        )  # fmt: skip
    for id, value in AUC.items():
        tracking.log_metrics(id, {"auc": 0.9}, step=1)
        tracking.log_metrics(id, {"auc": value, "loss.val": 1.0}, step=2)
    tracking.finish_run("r0", end_ms=1000 + 90_000)
    tracking.finish_run("r1", "failed", end_ms=1001 + 5_000)
    return any_ws


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "r0 r1 r2 r3 r4 r5"),
        ("run.metrics.auc > 0.74", "r1 r2"),
        ("0.74 < run.metrics.auc < 0.8", "r1"),
        ("run.metrics.auc != 0.8", "r0 r1 r3 r4 r5"),
        ("run.metrics.auc.max >= 0.9", "r0 r1 r2 r3"),
        ("run.metrics.auc.first == 0.9 and run.metrics.auc.at(2) < 0.75", "r0"),
        ("run.metrics.loss.val <= 1", "r0 r1 r2 r3"),
        ("params.lr < 0.01", "r3 r4 r5"),
        ('run.params.optimiser == "adam" and not run.params.lr < 0.01', "r1"),
        ('run.params.optimiser != "adam"', "r0 r2 r4"),
        ('run.status == "running" and run.kind == "trial"', "r5"),
        ("run.duration > minutes(1)", "r0"),
        ("not run.duration > 60", "r1 r2 r3 r4 r5"),
        ('"delay" in run.tags.team', "r0 r1"),
        ('"delay ops" adam', "r1"),
        ('run.tags["team"] == "50%"', "r2 r3 r4 r5"),
        ("AMBER night", "r4 r5"),
        ("5_", ""),
        ("finished or failed", "r0 r1"),
        ("run.params.none is None and run.start < now() - days(7)", "r0 r1 r2 r3 r4 r5"),
        ("run.metrics.none > 1", ""),
    ],
)
def test_queries_find_what_they_say(runs: hs.Workspace, query: str, expected: str):
    page = runs.tracking.search_runs(query=query, order_by="run.start")
    assert " ".join(run.id for run in page.runs) == expected
    assert runs.tracking.run_facets(query=query).runs == len(page.runs)


def test_runs_in_groups(runs: hs.Workspace):
    metrics = ["run.metrics.auc", "run.params.lr"]
    adam, sgd = runs.tracking.group_runs("run.params.lr < 1", by=["run.params.optimiser"], metrics=metrics)
    assert (adam.by, adam.runs, sgd.by, sgd.runs) == (
        {"run.params.optimiser": "adam"}, 3, {"run.params.optimiser": "sgd"}, 2,
    )  # fmt: skip
    assert (adam.metrics["run.metrics.auc"].count, adam.metrics["run.metrics.auc"].mean) == (1, 0.75)
    assert adam.metrics["run.metrics.auc"].std is None and adam.metrics["run.params.lr"].max == 0.1
    (all_of_them,) = runs.tracking.group_runs()
    assert (all_of_them.by, all_of_them.runs, all_of_them.metrics) == ({}, 6, {})
    with pytest.raises(InvalidInput, match="is not a number"):
        runs.tracking.group_runs(metrics=["run.name"])


def test_orders_by_range_and_duration(runs: hs.Workspace):
    def ids(order: str) -> list[str]:
        return [run.id for run in runs.tracking.search_runs(order_by=order, limit=3).runs]

    assert ids("run.metrics.auc.min") == ["r0", "r1", "r2"]
    assert ids("-duration")[:2] == ["r0", "r1"]
    assert ids("duration")[:2] == ["r1", "r0"]


def test_columns_hold_what_was_asked(runs: hs.Workspace):
    (run,) = runs.tracking.search_runs(query='run.id == "r1"', columns=["metrics.loss.val", "params.lr"]).runs
    assert (run.metrics, run.params, run.tags) == ({"loss.val": 1.0}, {"lr": "0.1"}, {})
    (bare,) = runs.tracking.search_runs(query='run.id == "r1"', columns=[]).runs
    assert (bare.metrics, bare.params, bare.tags, bare.name) == ({}, {}, {}, "Amber 1")


def test_facets_count_all_that_fit(runs: hs.Workspace):
    facets = runs.tracking.run_facets()
    assert facets.statuses == {"running": 4, "failed": 1, "finished": 1}
    assert facets.kinds == {"run": 5, "trial": 1}
    assert list(facets.experiments.items()) == [("day", 4), ("night", 2)]
    assert facets.metrics == {"auc": 4, "loss.val": 4} and facets.tags == {"team": 6}
    assert runs.tracking.run_facets(experiment="night", kind="run").runs == 1
    assert runs.tracking.run_facets(query="none").metrics == {}


def test_several_runs_in_the_order_asked(runs: hs.Workspace):
    assert [run.id for run in runs.tracking.get_runs(["r3", "gone", "r1", "r3"])] == ["r3", "r1"]
    with pytest.raises(InvalidInput, match="501 runs"):
        runs.tracking.get_runs(["r"] * 501)


def test_ranges_without_points(runs: hs.Workspace):
    ranges = runs.tracking.metric_ranges(["r0", "r3", "r5"], ["auc", "none"])
    first = ranges["r0"]["auc"]
    assert (first.min, first.max, first.last, first.points, first.last_step) == (0.7, 0.9, 0.7, 2, 2)
    assert ranges["r3"]["auc"].last is None and ranges["r5"] == {}


def test_curves_of_runs_and_keys(runs: hs.Workspace):
    curves = runs.tracking.metric_curves(["r0", "r3", "r5"], ["auc", "loss.val"])
    assert [(curve.run, curve.key) for curve in curves] == [
        ("r0", "auc"), ("r0", "loss.val"), ("r3", "auc"), ("r3", "loss.val"),
    ]  # fmt: skip
    assert (curves[0].steps, curves[0].values, curves[0].low) == ([1, 2], [0.9, 0.7], [])
    assert curves[2].values == [0.9, None]
    with pytest.raises(InvalidInput, match="501 curves"):
        runs.tracking.metric_curves(["r"] * 501, ["auc"])


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.inf)), min_size=1, max_size=300),
    st.integers(2, 120),
)
def test_a_thinned_curve_keeps_ends_and_extremes(values: list[float | None], points: int):
    steps = array("q", range(len(values)))
    curve = thin("r", "m", (steps, steps, array("d", [math.nan if v is None else v for v in values])), points)
    assert len(curve.steps) == len(curve.values) == min(points, len(values))
    assert curve.steps == sorted(set(curve.steps)) and curve.points == len(values)
    assert (curve.steps[0], curve.steps[-1]) == (0, len(values) - 1)
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = curve.low or curve.values, curve.high or curve.values
    assert min((v for v in low if v is not None), default=None) == min(known, default=None)
    assert max((v for v in high if v is not None), default=None) == max(known, default=None)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    points=st.lists(
        st.tuples(st.integers(0, 12), st.integers(1, 4), st.sampled_from([math.nan, -1.0, 0.5, 2.0])), max_size=40
    )
)
def test_of_several_points_of_a_step_the_latest_counts(ws: hs.Workspace, points: list[tuple[int, int, float]]):
    run = ws.tracking.create_run()
    for half in (points[: len(points) // 2], points[len(points) // 2 :]):
        ws.tracking.log_batch(run.id, [Metric(key="m", value=v, step=step, at_ms=at) for step, at, v in half])
        fold(ws, run.id)
    expected: dict[int, tuple[int, float]] = {}
    for step, at, value in points:
        there = expected.get(step, (0, 0.0))
        if (at, 0.0 if math.isnan(value) else value) >= (there[0], 0.0 if math.isnan(there[1]) else there[1]):
            expected[step] = (at, value)
    found = ws.tracking.metric_history(run.id, "m")
    told = [(m.step, m.at_ms, 0.0 if m.value is None or math.isnan(m.value) else m.value) for m in found]
    assert told == [(s, a, 0.0 if math.isnan(v) else v) for s, (a, v) in sorted(expected.items())]


def test_a_stretch_of_a_course_keeps_what_a_whole_one_leaves_out(ws: hs.Workspace):
    run = ws.tracking.create_run()
    ws.tracking.log_batch(run.id, [Metric(key="loss", value=step % 7, step=10 * step) for step in range(5000)])
    (whole,) = ws.tracking.metric_curves([run.id], ["loss"], 100)
    (closer,) = ws.tracking.metric_curves([run.id], ["loss"], 100, from_step=20_005, to_step=20_100)
    assert whole.points == 5000 and whole.low
    assert closer.steps == list(range(20_000, 20_120, 10))
    assert closer.low == []
    (beyond,) = ws.tracking.metric_curves([run.id], ["loss"], 100, from_step=60_000)
    assert beyond.steps == [49_990]
