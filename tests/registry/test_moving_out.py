"""Moving out: what is here goes into a server that speaks MLflow's protocol, and is the same there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.registry import export_models, register_source
from homeostat.tracking import Metric, Target, export_runs
from homeostat.tracking.moving.calls import Calls
from tests.server.running import Running

POINTS = [Metric(key="loss", value=1.0 / (step + 1), step=step, at_ms=step + 1) for step in range(2500)]
ODD = [Metric(key="odd", value=value, step=-3, at_ms=7) for value in (math.nan, math.inf, -0.5)]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[hs.Workspace]:
    with hs.open(tmp_path / "full") as ws:
        ws.tracking.create_experiment("team/first", tags={"owner": "ann"})
        parent = ws.tracking.create_run(
            "team/first", "parent", params={"lr": "0.1"}, tags={"t": "x", "team@site": "y"}, id="a" * 32, start_ms=5
        )
        ws.tracking.log_batch(parent.id, metrics=POINTS + ODD)
        ws.tracking.log_artifact(parent.id, "notes/why ü.txt", b"because")
        child = ws.tracking.create_run("team/first", "child", parent_id=parent.id, id="b" * 32, start_ms=6)
        ws.tracking.finish_run(child.id, "failed", end_ms=60)
        ws.tracking.finish_run(parent.id, end_ms=50)
        ws.tracking.create_run("team/first", "going on", id="c" * 32, start_ms=7)
        rows = np.random.default_rng(0).normal(size=(50, 2))
        model = LinearRegression().fit(rows, rows[:, 0])
        hs.log_model(ws, "price", model, rows, run_id=parent.id, tags={"good": "yes"}, onnx=False)
        hs.log_model(ws, "price", model, rows, description="second", onnx=False)
        hs.log_model(ws, "price", model, rows, onnx=False)
        ws.registry.delete_version("price", 2)
        ws.registry.set_alias("price", "champion", 3)
        register_source(ws, "far", "s3://bucket/model")
        yield ws


@pytest.fixture
def there(ws: hs.Workspace) -> Iterator[Running]:
    server = Running(ws)
    yield server
    server.stop()


def test_everything_goes_and_again_nothing(full: hs.Workspace, there: Running, ws: hs.Workspace) -> None:
    target = Target(there.url)
    runs, models = export_runs(full, target), export_models(full, target)
    assert (runs.copied, runs.already, runs.points, runs.files, runs.left) == (3, 0, 2503, 1, {})
    assert (models.models, models.copied, models.already, models.left) == (2, 3, 0, {})
    found = {run.name: run for run in ws.tracking.search_runs("team/first").runs}
    parent, child = found["parent"], found["child"]
    assert (parent.params, parent.status, parent.start_ms, parent.end_ms) == ({"lr": "0.1"}, "finished", 5, 50)
    assert (child.parent_id, child.status, found["going on"].status) == (parent.id, "failed", "running")
    assert (parent.tags["t"], parent.tags["team@site"]) == ("x", "y") and parent.tags["homeostat.run"] == "a" * 32
    assert [point.value for point in ws.tracking.metric_history(parent.id, "loss")] == [p.value for p in POINTS]
    assert ws.tracking.read_artifact(parent.id, "notes/why ü.txt") == b"because"
    first, third = (ws.registry.get_version("price", number) for number in (1, 3))
    assert (first.run_id, first.tags["good"], ws.registry.get_model("price").aliases) == (
        parent.id, "yes", {"champion": 3},
    )  # fmt: skip
    package = full.registry.get_version("price", 3).files["model.pkl"]
    assert first.flavors == third.flavors == ["python_function", "sklearn"] and third.files["model.pkl"] == package
    assert ws.registry.get_version("far").source == "s3://bucket/model"
    assert [version.version for version in ws.registry.list_versions("price")] == [3, 1]

    again = Target(there.url)
    runs, models = export_runs(full, again), export_models(full, again)
    assert (runs.copied, runs.already, models.copied, models.already) == (1, 2, 0, 4)
    assert len(ws.tracking.metric_history(parent.id, "loss")) == len(POINTS)
    assert len(ws.tracking.search_runs("team/first").runs) == 3


def test_an_interrupted_export_goes_on(
    full: hs.Workspace, there: Running, ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Calls.put
    monkeypatch.setattr(Calls, "put", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export_runs(full, Target(there.url))
    monkeypatch.setattr(Calls, "put", put)
    done = export_runs(full, Target(there.url))
    assert (done.copied, done.left) == (3, {})
    assert len(ws.tracking.search_runs("team/first").runs) == 3


def test_a_file_that_comes_back_changed_is_told(
    full: hs.Workspace, there: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Calls.put
    monkeypatch.setattr(Calls, "put", lambda calls, target, _, size: put(calls, target, BytesIO(b"becauSe"), size))
    done = export_runs(full, Target(there.url))
    assert list(done.left) == ["a" * 32] and "did not arrive" in done.left["a" * 32]


def test_a_model_that_was_made_there_is_left_alone(full: hs.Workspace, there: Running, ws: hs.Workspace) -> None:
    ws.registry.create_model("price")
    target = Target(there.url)
    export_runs(full, target)
    assert "did not come from here" in export_models(full, target).left["model price"]
    assert ws.registry.list_versions("price") == []


def test_only_servers_are_moved_to() -> None:
    with pytest.raises(InvalidInput, match="running server") as refused:
        Target("sqlite:///mlflow.db")
    assert "mlflow server" in refused.value.hint
