"""A model that is declared, deployed and asked about day after day, in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.loop.model import Decision
from homeostat.serving import get_deployment
from tests.monitoring.world import DAY, START, World

PIPELINE = '''
"""Learns from the table of examples; what the loop calls."""
import polars as pl
import homeostat as hs
from tests.monitoring.world import learn


@hs.step(cache=False)
def fit(ws: hs.Workspace, model: str, since_ms: int, until_ms: int, purpose: str) -> int:
    rows = ws.data.read_table("examples")
    rows = rows.filter((pl.col("known_ms") < until_ms) & (pl.col("time_ms") >= since_ms))
    return learn(ws, model, rows, until_ms, since_ms, f"{purpose} {since_ms} {until_ms}")


@hs.pipeline
def train(ws: hs.Workspace, model: str, since_ms: int, until_ms: int, purpose: str) -> dict[str, int]:
    return {"version": fit(ws, model, since_ms, until_ms, purpose)}
'''

CONFIG = """
model: m
predict: late
pipeline: project:train
data: {table: examples, time: time_ms, key: id}
labels: {within: 12h, known: known_ms}
hold:
  - auc >= 0.70 over 14d
  - auc[firm] >= 0.60 over 14d
  - calibration_error <= 0.10 over 14d
  - latency_p99 <= 20ms over 1d
  - errors <= 1% over 1d
learn: {review: 7d, judge: 7d, min_gain: 0.01, at_most: 1 per 30d, min_rows: 500, windows: [all, last-20d]}
promote: {when: [better, no_slice_worse_by 0.05, explained], by: canary 10% 100%, step_rows: 150}
clock: replay
"""


class Life:
    """Lives through simulated days: what is served answers, truth arrives, the loop looks at midnight."""

    def __init__(
        self, ws: hs.Workspace, world: World, project: Path, config: str = CONFIG, since_day: int = -1000
    ) -> None:
        self.ws = ws
        self.world = world
        world.keep(ws)
        self.first = world.learn(ws, "m", 0, since_day)
        ws.serving.deploy("m", self.first)
        ws.loop.apply(config, str(project))

    def day(self, day: int) -> list[Decision]:
        self.answer(day)
        return self.look(day)

    def answer(self, day: int) -> None:
        deployment = get_deployment(self.ws, "m")
        self.world.ask(self.ws, "m", deployment.champion, day, 1, plane=f"day{day:04d}")
        self.world.tell(self.ws, "m", day, 1)
        self.ws.serving.fold()

    def look(self, day: int) -> list[Decision]:
        return self.ws.loop.review("m", at_ms=START + (day + 1) * DAY)

    def days(self, first: int, count: int) -> list[Decision]:
        return [decision for day in range(first, first + count) for decision in self.day(day)]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small trainings on a busy machine: threads would wait for each other longer than they compute."""
    monkeypatch.setenv("HOMEOSTAT_THREADS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "project.py").write_text(PIPELINE)
    return folder


@pytest.fixture
def live(ws: hs.Workspace, project: Path) -> Callable[..., Life]:
    def begin(world: World, config: str = CONFIG, since_day: int = -1000) -> Life:
        return Life(ws, world, project, config, since_day)

    return begin


def CRASH_WORLD() -> World:
    """A steady world in which a hasty first model is soon replaced: retrain, promote, canary, in."""
    return World(-40, 60, per_day=130)
