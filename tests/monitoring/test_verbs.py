"""The verbs on a real log, real labels and a real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import Conflict, InvalidInput, NotFound
from homeostat.monitoring import TrainingTable, joined
from tests.monitoring.world import DAY, FEATURES, START, World, log_rows

TRAINING = TrainingTable(table="examples", time="time_ms", target="late", key="id", known="known_ms")


@pytest.fixture(scope="module")
def world() -> World:
    return World(-40, 90, turn_day=30)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[hs.Workspace]:
    """A model learnt before day 0, asked for fifty days, its truth told; from day 30 on the world is turned."""
    home: Path = tmp_path_factory.mktemp("lived")
    with hs.open(home) as ws:
        world.keep(ws)
        version = world.learn(ws, "m", 0)
        ws.serving.deploy("m", version)
        world.ask(ws, "m", version, 0, 50)
        world.tell(ws, "m", -40, 90)
        yield ws


def span(first: int, days: int) -> dict[str, int]:
    return {"from_ms": START + first * DAY, "to_ms": START + (first + days) * DAY}


def test_quality_falls_when_the_world_turns_and_its_interval_says_how_sure(lived: hs.Workspace) -> None:
    before = lived.monitoring.quality("m", **span(0, 28)).overall
    after = lived.monitoring.quality("m", **span(30, 14)).overall
    assert before.n == 5600
    assert before.value is not None and after.value is not None and before.lo is not None and after.hi is not None
    assert before.value > 0.75 > 0.65 > after.value
    assert before.lo > after.hi


@pytest.mark.parametrize("measure", ["auc", "logloss", "brier", "accuracy", "error_rate", "calibration_error"])
def test_every_measure_has_a_value_inside_its_interval(lived: hs.Workspace, measure: str) -> None:
    found = lived.monitoring.quality("m", **span(0, 14), measure=measure).overall
    assert found.state == "measured"
    assert found.value is not None and found.lo is not None and found.hi is not None
    assert found.lo <= found.value <= found.hi


def test_quality_by_slice_and_only_what_was_known_at_the_time(lived: hs.Workspace) -> None:
    found = lived.monitoring.quality("m", **span(0, 14), by="hour")
    assert found.slices == []  # no hour of a fortnight has two hundred rows
    as_of = lived.monitoring.quality("m", **span(0, 14), at_ms=START + 3 * DAY).overall
    assert as_of.n < 14 * 200 * 3 / 14 + 1
    assert as_of.mature < 0.5
    assert lived.monitoring.quality("m", **span(0, 14)).overall.mature == 1.0


def test_an_unknown_measure_and_an_unknown_column_are_refused(lived: hs.Workspace) -> None:
    with pytest.raises(InvalidInput, match="no measure 'acu'"):
        lived.monitoring.quality("m", **span(0, 14), measure="acu")
    with pytest.raises(InvalidInput, match="no column 'carrier'"):
        lived.monitoring.quality("m", **span(0, 14), by="carrier")


@pytest.mark.parametrize("level", [0.0, 1.0, -2.0, 5.4e16, float("nan")])
def test_a_level_that_is_none_is_refused(lived: hs.Workspace, level: float) -> None:
    with pytest.raises(InvalidInput, match="no confidence level"):
        lived.monitoring.quality("m", **span(0, 14), level=level)


def test_a_turned_meaning_is_no_drift_and_moved_inputs_are(lived: hs.Workspace, world: World, ws: hs.Workspace) -> None:
    report = lived.monitoring.drift("m", **span(30, 14), training=TRAINING)
    assert [c.name for c in report.columns if c.drifted] == []
    assert {c.name for c in report.columns} == set(FEATURES)
    assert abs(sum(c.importance or 0.0 for c in report.columns) - 1.0) < 1e-6
    assert "learnt from" in report.reference

    world.keep(ws)
    version = world.learn(ws, "m", 0)
    ws.serving.deploy("m", version)
    moved = world.between(0, 14).with_columns(pl.col("load") + 1.0, wind=pl.lit(None, pl.Float64))
    log_rows(ws, "m", version, moved, np.zeros(moved.height))
    report = ws.monitoring.drift("m", **span(0, 14), training=TRAINING)
    assert [c.name for c in report.columns if c.drifted] == ["load", "wind"]
    faults = {c.name: c.fault for c in ws.monitoring.data_quality("m", **span(0, 14), training=TRAINING)}
    assert faults == {"wind": "every value is missing", "load": "", "rain": "", "hour": ""}

    ws.serving.deploy("m", version, redacted=["wind"])  # what is kept out of the log is not missing
    report = ws.monitoring.drift("m", **span(0, 14), training=TRAINING)
    assert [c.name for c in report.columns if c.drifted] == ["load"]
    assert "wind" not in {c.name for c in report.columns}


def test_without_training_rows_the_first_weeks_are_the_reference(lived: hs.Workspace) -> None:
    forget = "delete from monitoring_profile"
    lived.db.write(lambda c: c.exec_driver_sql(forget))
    with pytest.raises(NotFound, match="nothing to compare"):
        lived.monitoring.drift("m", **span(5, 5), version=1)
    report = lived.monitoring.drift("m", **span(30, 14))
    assert "first 28 days" in report.reference
    assert report.prediction is not None
    lived.db.write(lambda c: c.exec_driver_sql(forget))


def test_estimated_quality_is_close_while_the_world_stands_still_and_blind_when_it_turns(lived: hs.Workspace) -> None:
    still = lived.monitoring.estimate("m", **span(14, 14))
    truth = lived.monitoring.quality("m", **span(14, 14)).overall.value
    assert still.auc is not None and truth is not None
    assert abs(still.auc - truth) < 0.03
    turned = lived.monitoring.estimate("m", **span(30, 14))
    assert turned.auc is not None and turned.auc > 0.75
    early = lived.monitoring.estimate("m", **span(0, 7))
    assert early.auc is None


def test_latency_and_errors_count_requests(ws: hs.Workspace, world: World) -> None:
    rows = world.between(0, 5)
    log_rows(ws, "m", 1, rows.head(900), np.zeros(900), took_ms=4.0, failed=9)
    log_rows(ws, "m", 1, rows.tail(100), np.zeros(100), took_ms=90.0, plane="other")
    found = ws.monitoring.latency("m", **span(0, 5))
    assert (found.n, found.failed) == (1000, 9)
    assert found.p50 == 4.0
    assert found.p99 == 90.0
    assert found.errors == pytest.approx(0.009)
    nothing = ws.monitoring.latency("m", **span(20, 1))
    assert (nothing.n, nothing.p99, nothing.errors) == (0, None, None)


def test_freshness_looks_at_no_row_of_the_future(lived: hs.Workspace, world: World) -> None:
    at = START + 10 * DAY
    found = lived.monitoring.freshness("examples", "known_ms", at_ms=at)
    newest = world.rows.filter(pl.col("known_ms") <= at)["known_ms"].max()
    assert found.newest_ms == newest
    assert found.age_ms is not None and 0 <= found.age_ms < 3_600_000
    with pytest.raises(InvalidInput, match="not a time"):
        lived.monitoring.freshness("examples", "firm")
    with pytest.raises(NotFound):
        lived.monitoring.freshness("weather")


def test_labels_are_kept_once_corrected_later_and_never_contradicted(any_ws: hs.Workspace) -> None:
    first = pl.DataFrame({"key": ["a", "b"], "label": [True, False], "label_ms": [10, 20]})
    assert any_ws.monitoring.record_labels("m", first) == 2
    assert any_ws.monitoring.record_labels("m", first) == 0
    with pytest.raises(Conflict, match="'b' was labelled 0 at 20, and now 1"):
        any_ws.monitoring.record_labels("m", pl.DataFrame({"key": ["b"], "label": [1], "label_ms": [20]}))
    correction = pl.DataFrame({"key": ["b", "c"], "label": [1, 0], "label_ms": [30, 30]})
    assert any_ws.monitoring.record_labels("m", correction) == 2
    from homeostat.monitoring import read_labels

    assert read_labels(any_ws, "m", to_ms=30).rows() == [("a", 1.0, 10), ("b", 0.0, 20)]
    assert sorted(read_labels(any_ws, "m").rows()) == [("a", 1.0, 10), ("b", 1.0, 30), ("c", 0.0, 30)]


def test_labels_find_their_prediction_by_request_or_by_key_and_time(any_ws: hs.Workspace) -> None:
    """One customer is asked about three times, the last time twice; somebody else has no key."""
    rows = pl.DataFrame({
        "id": ["r1", "r2", "r3", "r4", "r5"], "key": ["ann", "ann", "ann", "ann", None],
        "time_ms": [START, START + 10, START + 20, START + 20, START + 30], **{name: [0.0] * 5 for name in FEATURES},
    })  # fmt: skip
    log_rows(any_ws, "m", 1, rows, np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    at = START + 100
    by_time = {"key": ["ann", "ann"], "time_ms": [START, START + 20], "label": [1, 0], "label_ms": [at, at]}
    assert any_ws.monitoring.record_labels("m", pl.DataFrame(by_time)) == 2
    assert any_ws.monitoring.record_labels("m", pl.DataFrame(by_time)) == 0
    by_request = {"request_id": "m-champion-r5", "label": 1, "label_ms": at}
    elsewhere = {"request_id": "m-champion-r2", "row": 1, "label": 0, "label_ms": at}
    assert [any_ws.monitoring.record_labels("m", [one]) for one in (by_request, elsewhere)] == [1, 1]

    def told() -> list[tuple[str, float | None]]:
        frame = joined(any_ws, "m", START, START + DAY).frame
        ids = frame["request_id"].str.strip_prefix("m-champion-").to_list()
        return list(zip(ids, frame["label"].to_list(), strict=True))

    assert [one for one in told() if one[1] is not None] == [("r1", 1.0), ("r4", 0.0), ("r5", 1.0)]
    later = pl.DataFrame({"key": ["ann"], "label": [1], "label_ms": [at + 1]})
    assert any_ws.monitoring.record_labels("m", later) == 1
    assert ("r1", 1.0) in told(), "what names one prediction goes before what is told of the key"
    with pytest.raises(Conflict, match=f"'ann' at {START} was labelled 1 at {at}, and now 0"):
        any_ws.monitoring.record_labels("m", pl.DataFrame({**by_time, "label": [0, 0]}))
    with pytest.raises(Conflict, match="request 'm-champion-r5', row 0, was labelled 1"):
        any_ws.monitoring.record_labels("m", [{**by_request, "label": 0}])


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"request_id": [None], "label": [1], "label_ms": [1]}, "1 of 1 rows have no request_id"),
        ({"request_id": ["x" * 250], "label": [1], "label_ms": [1]}, "longer than 230 characters"),
        ({"key": ["\x1frequest"], "label": [1], "label_ms": [1]}, "control character"),
        ({"key": ["a"], "time_ms": ["noon"], "label": [1], "label_ms": [1]}, "do not fit"),
        ({"key": ["a"], "label": [1]}, "no column 'label_ms'"),
        ({"key": ["a"], "label": [None], "label_ms": [1]}, "1 of 1 rows have no label"),
        ({"key": ["a"], "label": ["late"], "label_ms": [1]}, "do not fit"),
        ({"key": ["a"], "label": [float("nan")], "label_ms": [1]}, "finite"),
        ({"key": ["a"], "label": [1], "label_ms": [-1]}, "label_ms -1 is no time"),
        ({"key": ["a", "b"], "label": [1, 0], "label_ms": [1, 1_385_000_000_000_000_000]}, "is no time"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(ws: hs.Workspace, frame: dict[str, list[object]], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        ws.monitoring.record_labels("m", pl.DataFrame(frame))
