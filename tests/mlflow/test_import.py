"""Moving in from a running server: every page, point and file comes over the wire."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.registry import import_models
from homeostat.tracking import import_runs, open_source
from tests.server.processes import Up
from tests.tracking import stores_of_others as others


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("source")
    with hs.open(str(folder / "home")) as ws:
        source = open_source(str(others.file_store(folder / "mlruns")))
        assert import_runs(ws, source, "files").left == {}
        assert import_models(ws, source).left == {}
    up = Up(folder / "home")
    yield up
    up.stop(signal.SIGTERM)


def test_a_running_server_is_moved_from(server: Up, ws: hs.Workspace) -> None:
    source = open_source(server.url)
    report = import_runs(ws, source, server.url)
    assert (report.copied, report.left) == (len(others.RUNS), {})
    assert report.points == sum(run["points"] + 4 for run in others.RUNS)
    assert report.files == 2 * len(others.RUNS)
    run = ws.tracking.get_run("b" * 32)
    assert (run.experiment, run.status, run.parent_id) == ("/team/first", "failed", "a" * 32)
    assert run.params == others.params(others.RUNS[1])
    assert ws.tracking.read_artifact("a" * 32, "notes/why.txt") == b"because of plain"
    models = import_models(ws, source)
    assert (models.copied, models.left) == (2, {})
    assert ws.registry.get_model("m").aliases == {"champion": 2}
    assert ws.registry.read_file("m", 2, "why.txt") == b"because of plain"


def test_a_server_of_another_kind_is_told(server: Up) -> None:
    with pytest.raises(InvalidInput, match="does not speak MLflow's protocol"):
        open_source(f"http://127.0.0.1:{server.serve_port}")
