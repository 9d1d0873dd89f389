"""The quick challenger has the champion's own strength, and its trees do not depend on how many threads there are."""

from __future__ import annotations

import numpy as np
import pytest

import homeostat as hs
from homeostat.loop.applied import applied
from homeostat.loop.quick_challenger import challenge, examples_of, parameters_of
from homeostat.loop.subject import Subject
from homeostat.loop.windows import changed_at, choose_window
from tests.loop.conftest import CONFIG
from tests.monitoring.world import DAY, FEATURES, START, World


def subject(ws: hs.Workspace, world: World, config: str = CONFIG) -> Subject:
    world.keep(ws)
    ws.serving.deploy("m", world.learn(ws, "m", 0))
    ws.loop.apply(config)
    world.ask(ws, "m", 1, 0, 30)
    world.tell(ws, "m", -40, 80)
    return Subject(ws, applied(ws, "m"), START + 30 * DAY)


def test_it_takes_the_champions_parameters_and_any_number_of_threads(
    ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = subject(ws, World(-40, 80, per_day=60))
    assert parameters_of(s)["num_leaves"] == 15
    assert parameters_of(s)["num_iterations"] == 40
    rows = s.judging.labelled()
    scores = []
    for threads in ("1", "2"):
        monkeypatch.setattr(s.ws.settings, "threads", int(threads))
        scores.append(challenge(s, FEATURES, rows, 0, s.judge_from_ms))
    assert scores[0] is not None
    assert np.array_equal(scores[0], scores[1])


def test_it_learns_from_the_log_where_no_table_is_declared(ws: hs.Workspace) -> None:
    config = "\n".join(line for line in CONFIG.splitlines() if not line.startswith("data:"))
    s = subject(ws, World(-40, 80, per_day=100), config)
    rows = s.judging.labelled()
    assert challenge(s, FEATURES, rows, 0, s.judge_from_ms) is not None
    assert challenge(s, FEATURES, rows, 0, START + 2 * DAY) is None  # two days are too few to learn from


def test_it_learns_from_no_more_rows_than_it_may_and_from_all_of_the_past(ws: hs.Workspace) -> None:
    s = subject(ws, World(-40, 80, per_day=60), CONFIG.replace("learn: {", "learn: {quick_rows: 1000, "))
    rows = examples_of(s, FEATURES, 0, s.judge_from_ms)
    assert rows is not None and rows.height == 1000
    assert rows["time_ms"].min() < START - 39 * DAY  # type: ignore[operator]
    assert rows["time_ms"].max() > s.judge_from_ms - 3 * DAY  # type: ignore[operator]


def test_the_window_is_back_tested_and_the_day_of_the_change_is_found(ws: hs.Workspace) -> None:
    turned = subject(ws, World(-40, 80, per_day=150, turn_day=12))
    assert choose_window(turned)[0] == "last-20d"
    assert abs(changed_at(turned) - (START + 12 * DAY)) <= DAY


def test_a_steady_world_has_no_day_of_change(ws: hs.Workspace) -> None:
    assert changed_at(subject(ws, World(-40, 80, per_day=100))) == 0
