"""The models of an MLflow store keep their numbers, files, tags and aliases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.registry import import_models
from homeostat.tracking import import_runs, open_source
from tests.tracking import stores_of_others as others


@pytest.fixture(params=["files", "database"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return others.address_of(request.param, tmp_path)


def test_versions_come_with_their_files_and_aliases(any_ws: hs.Workspace, address: str) -> None:
    source = open_source(address)
    import_runs(any_ws, source, address)
    report = import_models(any_ws, source)
    assert (report.models, report.copied, report.already, report.left) == (1, 2, 0, {})
    model = any_ws.registry.get_model("m")
    assert (model.description, model.versions, model.aliases) == ("what it does", 2, {"champion": 2})
    assert model.tags["kind"] == "demo"
    version = any_ws.registry.get_version("m", 1)
    assert version.run_id == "a" * 32
    assert list(version.files) == ["why.txt"]
    assert any_ws.registry.read_file("m", 1, "why.txt") == b"because of plain"
    again = import_models(any_ws, source)
    assert (again.copied, again.already) == (0, 2)
    assert len(any_ws.registry.alias_history("m")) == 1


def test_deleted_numbers_stay_deleted(ws: hs.Workspace, tmp_path: Path) -> None:
    root = others.file_store(tmp_path / "mlruns")
    shutil.rmtree(root / "models" / "m" / "version-1")
    source = open_source(str(root))
    import_runs(ws, source, "here")
    assert import_models(ws, source).copied == 1
    assert [version.version for version in ws.registry.list_versions("m")] == [2]


def test_files_of_a_version_whose_run_was_not_imported_come_too(ws: hs.Workspace, tmp_path: Path) -> None:
    source = open_source(str(others.file_store(tmp_path / "mlruns")))
    assert import_models(ws, source).left == {}
    assert ws.registry.read_file("m", 2, "why.txt") == b"because of plain"


def test_a_model_of_the_same_name_is_left_alone(ws: hs.Workspace, address: str) -> None:
    ws.registry.create_model("m", description="mine")
    report = import_models(ws, open_source(address))
    assert "did not come from there" in report.left["model m"]
    assert ws.registry.get_model("m").description == "mine"
