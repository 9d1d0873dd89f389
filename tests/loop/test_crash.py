"""Killed at every point of a look and started again: the same decisions, versions and routes as without the crash."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeostat as hs
from homeostat.registry import list_versions
from homeostat.serving import deployment_history, get_deployment
from tests import warm
from tests.loop.conftest import CONFIG, CRASH_WORLD, PIPELINE, Life

# The days from the first review on: retrain, promote, canary at a tenth, canary in.
FIRST, DAYS = 6, 4
# In the order in which a life passes them; each restart goes on to the next. ":n" is the nth time in that process.
FAULTS = [
    "loop.opened", "loop.watched", "loop.gathered", "loop.decided", "pipeline.created", "loop.trained", "loop.judged",
    "loop.decided:2", "loop.routed", "loop.decided:3", "loop.routed",
]  # fmt: skip


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which a hasty model has lived six days."""
    folder = tmp_path_factory.mktemp("crash")
    project = folder / "project"
    project.mkdir()
    (project / "project.py").write_text(PIPELINE)
    with hs.open(folder / "home") as ws:
        config = CONFIG.replace("windows: [all, last-20d]", "windows: [all]")
        Life(ws, CRASH_WORLD(), project, config, since_day=-3).days(0, FIRST)
    return folder


def live_on(home: Path, fault: str = "") -> int:
    environment = {
        **os.environ, "HOMEOSTAT_FAULT": fault, "PYTHONPATH": os.pathsep.join(sys.path), "HOMEOSTAT_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    code = f"from tests.loop.crash_child import main; main({str(home)!r}, {FIRST}, {DAYS})"
    done = warm.run(code, environment=environment, timeout=600)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return done.returncode


def records(home: Path) -> dict[str, Any]:
    """Everything that must not depend on when the process died."""
    with hs.open(home) as ws:
        made = ws.loop.decisions("m")
        assert all(ws.loop.why(d.id).same for d in made)
        return {
            "decisions": [
                (d.id, d.kind, d.at_ms, d.headline, d.champion, d.challenger, d.next_review_ms) for d in made
            ],
            "expected": [d.expected for d in made],
            "versions": [v.version for v in list_versions(ws, "m")],
            "routes": get_deployment(ws, "m").routes,
            "history": [change.routes for change in deployment_history(ws, "m")],
            "weeks": ws.loop.quality_history("m"),
            "told": ws.db.read(
                lambda c: c.exec_driver_sql("select count(*) from core_event where name = 'decision_made'").scalar()
            ),
        }


@pytest.fixture(scope="module")
def whole(before: Path) -> dict[str, Any]:
    """What a life without a crash leaves."""
    home = before / "whole"
    shutil.copytree(before / "home", home)
    assert live_on(home) == 0
    found = records(home)
    assert [kind for _, kind, *_ in reversed(found["decisions"])] == ["retrain", "promote", "canary"]
    return found


def test_killed_at_every_point_and_started_again_the_records_are_the_same(before: Path, whole: dict[str, Any]) -> None:
    home = before / "killed"
    shutil.copytree(before / "home", home)
    for fault in FAULTS:
        assert live_on(home, fault) == -signal.SIGKILL, f"{fault} was never passed"
    assert live_on(home) == 0
    assert records(home) == whole
