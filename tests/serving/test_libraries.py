"""A version whose library no data plane has is refused before, not found out by each of them."""

from __future__ import annotations

import logging
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import Refused, Unavailable
from homeostat.serving import Route, deploy, get_deployment, rollback, set_routes, states, store, wait_ready
from homeostat.serving.libraries import needed
from homeostat.serving.planes import SILENT_MS
from tests.serving.conftest import PlaneProcess

ROWS = np.random.default_rng(0).normal(size=(200, 2)).astype("f4")


def log(ws: hs.Workspace, name: str, **more: Any) -> hs.ModelVersion:
    import lightgbm as lgb

    fitted = lgb.LGBMClassifier(n_estimators=3, verbose=-1).fit(ROWS, ROWS[:, 0] > 0)
    return hs.log_model(ws, name, fitted, ROWS, **more)


def beat(ws: hs.Workspace, plane: str, lacks: str | None, age_ms: int = 0) -> None:
    """A data plane tells that it is alive, and what it lacks (None: an earlier release, which tells nothing)."""
    row = {"plane": plane, "url": "http://127.0.0.1:8080", "beat_ms": now_ms() - age_ms}
    told = {"plane": plane, "model": store.ITSELF, "generation": 0, "state": "lacks", "reason": lacks}

    def write(connection: sa.Connection) -> None:
        for table in (store.plane, store.state):
            connection.execute(sa.delete(table).where(table.c.plane == plane))
        connection.execute(sa.insert(store.plane).values(row))
        if lacks is not None:
            connection.execute(sa.insert(store.state).values(told))

    ws.db.write(write)


def test_each_version_needs_what_runs_it(ws: hs.Workspace) -> None:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(ROWS, ROWS[:, 0])
    assert needed(log(ws, "trees")) == ["onnxruntime"]
    assert needed(log(ws, "trees", onnx=False)) == ["lightgbm"]
    assert needed(hs.log_model(ws, "line", fitted, ROWS, onnx=False)) == ["sklearn"]
    assert needed(hs.log_model(ws, "line", fitted, ROWS, onnx=False, pickled=False)) == ["sklearn", "skops"]
    own = hs.log_model(ws, "line", fitted, ROWS, onnx=False, environment=["numpy"])
    assert needed(own) == [], "its own environment says"
    assert needed(hs.log_model(ws, "rule", lambda rows: rows[:, 0], ROWS)) == []


def test_what_live_planes_have_told_counts(any_ws: hs.Workspace, caplog: pytest.LogCaptureFixture) -> None:
    log(any_ws, "trees", onnx=False)
    log(any_ws, "trees")

    assert deploy(any_ws, "trees", 1).champion == 1, "nobody serves yet"
    beat(any_ws, "web-1/127.0.0.1:8080#0", "lightgbm torch")
    beat(any_ws, "web-1/127.0.0.1:8080#1", "lightgbm torch")
    beat(any_ws, "web-2/127.0.0.1:8080#0", "lightgbm")
    with pytest.raises(Refused, match="version 1 of 'trees': 'lightgbm' is not installed on web-1, web-2") as refused:
        deploy(any_ws, "trees", 1)
    assert refused.value.hint.startswith("pip install 'homeostat[ml]' there")
    assert deploy(any_ws, "trees", 2).champion == 2
    with pytest.raises(Refused, match="'lightgbm' is not installed"):
        set_routes(any_ws, "trees", [Route(version=2), Route(version=1, role="shadow")])
    assert states(any_ws) == [], "what planes tell of themselves is no state of a model"
    beat(any_ws, "web-2/127.0.0.1:8080#0", None)  # it may be able
    with caplog.at_level(logging.WARNING, "homeostat.serving"):
        deploy(any_ws, "trees", 1)
    assert "version 1 of 'trees' is not answered on web-1: 'lightgbm' is not installed there" in caplog.text
    beat(any_ws, "web-2/127.0.0.1:8080#0", "", age_ms=SILENT_MS + 1000)
    with pytest.raises(Refused, match=r"on web-1\n"):
        deploy(any_ws, "trees", 1)
    deploy(any_ws, "trees", 2)
    with pytest.raises(Refused, match=r"version 1 of 'trees': 'lightgbm' is not installed on web-1"):
        rollback(any_ws, "trees")
    assert get_deployment(any_ws, "trees").champion == 2
    beat(any_ws, "web-1/127.0.0.1:8080#0", "torch")
    assert rollback(any_ws, "trees").champion == 1


def test_a_real_plane_tells_what_it_lacks(ws: hs.Workspace, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['lightgbm'] = None  # as if it were not there\n"
    )
    log(ws, "trees", onnx=False)
    running = PlaneProcess(ws, tmp_path / "plane.log", tmp_path)
    try:
        with pytest.raises(Refused, match=f"'lightgbm' is not installed on {platform.node()}"):
            deploy(ws, "trees")
        beat(ws, "web-2/127.0.0.1:8080#0", "")
        made = deploy(ws, "trees")
        with pytest.raises(Unavailable, match="'lightgbm' is not installed"):
            wait_ready(ws, "trees", made.generation)
        assert {state.model for state in states(ws)} == {"trees"}
    finally:
        running.stop()
