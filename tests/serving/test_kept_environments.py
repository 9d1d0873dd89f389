"""Environments are listed with what they take and who declares them, and erased when nobody does."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.serving import create_environment, deploy, erase_environment, list_environments, store, undeploy
from homeostat.serving.environments import Needs, make_environment
from homeostat.serving.planes import SILENT_MS, plane_name, served_here
from homeostat.tracking import erase
from tests.serving.test_environments import MINOR, log, wheels

__all__ = ["wheels"]


def test_what_is_kept_is_listed_and_erased(
    ws: hs.Workspace, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(ws.home)]
    assert list_environments(ws) == []
    log(ws, tmp_path, monkeypatch)
    made = create_environment(ws, "own")
    (one,) = list_environments(ws)
    assert (one.python, one.made, one.python_version) == (made.python, True, MINOR)
    assert (one.versions, one.deployed, "greeting==1.0" in one.requirements) == (["own/1"], [], True)
    assert one.bytes > 1000
    assert main(["environment", *home]) == 0
    assert "own/1" in capfd.readouterr().out
    deploy(ws, "own")
    with pytest.raises(Refused, match="own/1 is served with environment"):
        erase_environment(ws, one.digest)
    undeploy(ws, "own")
    assert main(["environment", "own", "--erase", *home]) == 0
    assert f"{one.digest[:12]} is erased" in capfd.readouterr().out
    assert list((ws.home / "environments").iterdir()) == []
    with pytest.raises(Refused, match="needs an environment of its own"):
        deploy(ws, "own")
    assert main(["environment", "own", "--erase", *home]) == NotFound.exit_code
    assert main(["environment", "--use", sys.executable, *home]) == InvalidInput.exit_code


def test_garbage_is_what_no_version_declares(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(ws, tmp_path, monkeypatch, needs=["numpy>=1"])
    make_environment(ws, Needs(requirements=["numpy"], python=MINOR), sys.executable)
    assert create_environment(ws, "own", use=sys.executable).made is False
    (ws.home / "environments" / "half-made").mkdir()
    os.utime(ws.home / "environments" / "half-made", (0, 0))
    assert erase(ws, dry_run=True).erased["environments"] == 2
    assert len(list_environments(ws)) == 2
    assert erase(ws).erased["environments"] == 2
    assert [one.versions for one in list_environments(ws)] == [["own/1"]]
    assert not (ws.home / "environments" / "half-made").exists()
    ws.registry.delete_model("own")
    assert "environments" not in erase(ws).erased, "a model that may be restored keeps its environment"
    assert "environments" in erase(ws, deleted_days=0).erased
    assert list_environments(ws) == []
    assert Path(sys.executable).is_file()
    with pytest.raises(NotFound, match="there is no environment 'abc'"):
        erase_environment(ws, "abc")


def test_a_shared_database_is_told_what_is_missing_where_models_are_served(
    any_ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a database that others use too, this machine is looked at if it serves; others tell when they load it."""
    log(any_ws, tmp_path, monkeypatch)
    shutil.rmtree(any_ws.home / "environments", ignore_errors=True)

    def beat(plane: str, age_ms: int = 0) -> None:
        values = {"plane": plane, "url": "http://127.0.0.1:8080", "beat_ms": now_ms() - age_ms}
        any_ws.db.write(lambda c: (c.execute(sa.delete(store.plane)), c.execute(sa.insert(store.plane).values(values))))

    here = plane_name("127.0.0.1", 8080, 0)
    beat(here)
    assert served_here(any_ws)
    with pytest.raises(Refused, match="greeting==1.0 is missing"):
        deploy(any_ws, "own")
    for plane, age in (("elsewhere/127.0.0.1:8080#0", 0), (here, SILENT_MS + 1000)):
        beat(plane, age)
        assert not served_here(any_ws)
        if "://" in any_ws.url:
            assert deploy(any_ws, "own").champion == 1
