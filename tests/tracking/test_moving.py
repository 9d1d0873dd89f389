"""Moving in from an MLflow store: everything comes, each point once, and an interrupted move goes on."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core.errors import Corrupt, InvalidInput, Unavailable
from homeostat.tracking import import_runs, open_source
from homeostat.tracking.moving import adopt
from homeostat.tracking.moving.from_files import FileSource
from tests.ports import free_port
from tests.tracking import stores_of_others as others


@pytest.fixture(params=["files", "database"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return others.address_of(request.param, tmp_path)


def test_everything_of_a_run_comes(any_ws: hs.Workspace, address: str) -> None:
    report = import_runs(any_ws, open_source(address), address)
    assert (report.experiments, report.copied, report.already, report.left) == (1, 4, 0, {})
    assert report.points == sum(run["points"] + 4 for run in others.RUNS)
    assert report.files == 2 * len(others.RUNS)
    for told in others.RUNS[:2]:
        run = any_ws.tracking.get_run(told["id"])
        assert (run.name, run.experiment, run.parent_id) == (told["name"], "/team/first", told["parent"])
        assert run.status == {3: "finished", 4: "failed"}[told["status"]]
        assert (run.start_ms, run.end_ms) == (others.START, others.START + 5000)
        assert run.params == others.params(told)
        assert others.tags(told).items() <= run.tags.items()
        points = any_ws.tracking.metric_history(told["id"], "loss")
        assert [(p.at_ms, p.value, p.step) for p in points] == others.history(told)["loss"]
        odd = any_ws.tracking.metric_history(told["id"], "deep/key")
        assert (odd[0].value, odd[0].step) == (7.0, -5)  # of several points of a step our history tells the newest
        assert math.isnan(odd[1].value or 0.0)
        assert any_ws.tracking.read_artifact(told["id"], "notes/why.txt").decode() == f"because of {told['name']}"
    assert any_ws.tracking.get_run("d" * 32).status == "running"
    experiment = next(e for e in any_ws.tracking.list_experiments() if e.name == "/team/first")
    assert experiment.tags == {"owner": "ann"}
    found = any_ws.tracking.search_runs("/team/first").runs
    assert {run.id[0] for run in found} == {"a", "b", "d"}  # what was thrown away is here, and hidden as it was


def test_a_second_import_copies_nothing_but_what_still_runs(ws: hs.Workspace, address: str) -> None:
    import_runs(ws, open_source(address), address)
    again = import_runs(ws, open_source(address), address)
    assert (again.copied, again.already) == (1, 3)
    assert len(ws.tracking.metric_history("d" * 32, "loss")) == 2


def test_an_interrupted_import_goes_on_and_no_point_comes_twice(
    ws: hs.Workspace, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(address)
    wrote = adopt.copy_artifact
    monkeypatch.setattr(adopt, "copy_artifact", _cut)
    with pytest.raises(KeyboardInterrupt):
        import_runs(ws, source, address)
    assert len(ws.tracking.metric_history("a" * 32, "loss")) == 1500
    monkeypatch.setattr(adopt, "copy_artifact", wrote)
    report = import_runs(ws, source, address)
    assert (report.copied, report.left) == (4, {})
    assert len(ws.tracking.metric_history("a" * 32, "loss")) == 1500


def _cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_files_out_of_reach_are_named_and_the_other_runs_come(ws: hs.Workspace, tmp_path: Path) -> None:
    root = others.file_store(tmp_path / "mlruns")
    shutil.rmtree(root / "7" / ("b" * 32) / "artifacts")
    report = import_runs(ws, open_source(str(root)), "here")
    assert report.copied == 3
    assert "mlflow-artifacts:/7" in report.left["b" * 32]


def test_a_torn_file_is_told_with_its_line(ws: hs.Workspace, tmp_path: Path) -> None:
    root = others.file_store(tmp_path / "mlruns")
    with open(root / "7" / ("b" * 32) / "metrics" / "loss", "a") as file:
        file.write("17000000")
    report = import_runs(ws, open_source(str(root)), "here")
    assert "loss, line 4 is no point: '17000000'" in report.left["b" * 32]


class Changing(FileSource):
    """A store in which somebody replaces a file while it is read."""

    def list_files(self, where: str) -> Iterator[str]:
        paths = list(super().list_files(where))
        yield from paths
        (Path(where) / paths[0]).write_text("something else")
        yield paths[0]


def test_what_changes_while_it_is_read_is_not_called_whole(ws: hs.Workspace, tmp_path: Path) -> None:
    source = Changing(others.file_store(tmp_path / "mlruns"))
    run = next(source.runs("7"))
    with pytest.raises(Corrupt, match="not here as it was sent"):
        adopt.adopt_run(ws, source, "here", "e", run)
    assert "homeostat.imported" not in ws.tracking.get_run(run.id).tags


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nowhere", "no MLflow file store"),
        ("sqlite:///nowhere.db", "there is no file"),
        ("s3://bucket/mlruns", "nothing can be imported from s3"),
        ("sqlite:///{here}", "lacks"),
        ("sqlite:///{text}", "no database"),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, address: str, says: str) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("create table t (a)")
    (tmp_path / "text").write_text("not a database, however long it is " * 100)
    with pytest.raises(InvalidInput, match=says):
        open_source(address.format(here=tmp_path / "other.db", text=tmp_path / "text"))


def test_a_server_that_is_not_there_is_told(unused_port: int) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_source(f"http://127.0.0.1:{unused_port}")


@pytest.fixture
def unused_port() -> int:
    return free_port()
