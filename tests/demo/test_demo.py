"""The main job, short form: it shows what it must, and ends the same however it is interrupted."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.demo import runs


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    home, report = folder / "home", folder / "report.json"
    return home, runs.finish(runs.start(home, report, "--quick"), home, report, 900)


@pytest.mark.timeout(1800)
def test_the_quick_demo_shows_what_it_must(whole: tuple[Path, dict[str, Any]]):
    home, report = whole
    assert [month["month"] for month in report["months"]] == ["2013-03", "2013-04", "2013-05", "2013-06", "2013-07"]
    assert all(month["auc_live"] is not None and month["auc_frozen"] is not None for month in report["months"])
    assert report["totals"]["predictions"] == report["totals"]["flights"]
    assert not [
        d
        for d in report["decisions"]
        if d["kind"] == "retrain" and d["at"].startswith("2013-03-") and d["at"] > "2013-03-01"
    ]
    assert all(decision["headline"] and decision["reason"] for decision in report["decisions"])
    assert report["versions"][0]["status"] == "valid"
    assert (home / "report.html").read_text().startswith("<!doctype html>")
    assert (home / "messages.jsonl").exists()


@pytest.mark.timeout(1800)
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(whole: tuple[Path, dict[str, Any]], tmp_path: Path):
    _, expected = whole
    home, report = tmp_path / "home", tmp_path / "report.json"
    moments = random.Random(20130301)
    kills = 0
    for number in range(int(os.environ.get("HOMEOSTAT_KILLS", "3"))):
        # By turns the demo's own process alone, whose servers and steps must notice by themselves, and all at once.
        kill = runs.kill_group_after if number % 2 else runs.kill_after
        kills += kill(runs.start(home, report, "--quick"), moments.uniform(3, 25))
    assert kills >= 1
    ended = runs.finish(runs.start(home, report, "--quick"), home, report, 900)
    assert runs.lasting(ended) == runs.lasting(expected)
