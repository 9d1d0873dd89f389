"""The same calls against a server: what is logged and registered there comes back the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import Conflict, NotFound
from homeostat.registry import fetch, load_model


@pytest.fixture
def far(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hs.Workspace]:
    import uvicorn

    from homeostat.server.app import make_app

    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(ws, "127.0.0.1"), log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "elsewhere"))
    with hs.open(f"http://127.0.0.1:{sock.getsockname()[1]}") as workspace:
        yield workspace
    server.should_exit = True
    thread.join(300)


def test_a_run_and_its_model_across_the_wire(ws: hs.Workspace, far: hs.Workspace, tmp_path: Path):
    rows = np.random.default_rng(0).normal(size=(300, 2))
    given = {"objective": "binary", "verbose": -1, "num_threads": 1}
    booster = lgb.train(given, lgb.Dataset(rows, rows[:, 0] > 0), 5)
    with hs.run("train", ws=far, params={"lr": 0.1}) as run:
        run.log(loss=0.5, step=3)
        run.log_artifact(b"\x00raw", "a/b.bin")
        made = hs.log_model(
            far, "m", booster, pl.DataFrame(rows, schema=["a", "b"]), run_id=run.id, metrics={"auc": 0.9}
        )
    near = ws.tracking.get_run(run.id)
    assert far.tracking.get_run(run.id) == near and near.status == "finished" and near.metrics == {"loss": 0.5}
    assert far.tracking.metric_history(run.id, "loss") == ws.tracking.metric_history(run.id, "loss")
    assert far.tracking.read_artifact(run.id, "a/b.bin") == b"\x00raw"
    assert far.registry.get_version("m") == ws.registry.get_version("m") == made
    assert [node.label for node in far.lineage.of("model", "m", 1).nodes] == ["train", "m"]
    expected = booster.predict(rows.astype(np.float32).astype(float))
    np.testing.assert_allclose(load_model(far, "m").predict(rows), expected, atol=1e-6)
    copied = fetch(far, "m", dest=tmp_path / "copy")
    assert (copied / "model.txt").read_bytes() == ws.registry.read_file("m", 1, "model.txt")
    assert [f.feature for f in far.explain.importance("m")] == ["a", "b"]


def test_errors_across_the_wire_are_the_same(far: hs.Workspace):
    with pytest.raises(NotFound, match="model 'x' is not registered"):
        far.registry.get_version("x")
    run = far.tracking.create_run(params={"a": 1})
    with pytest.raises(Conflict, match="does not change"):
        far.tracking.log_params(run.id, {"a": 2})
    far.tracking.log_metrics(run.id, {"m": float("nan")})
    assert far.tracking.get_run(run.id).metrics == {"m": None}  # JSON has no NaN
