"""Packages of ours as folders of MLflow models, through the artifact service and by `fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import homeostat as hs
from homeostat.core.errors import NotFound, Refused
from homeostat.registry import fetch, register_source
from homeostat.registry.mlmodel import read_mlmodel
from tests.registry.own_code import first_column
from tests.server.running import Running

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def logged(ws: hs.Workspace) -> hs.Workspace:
    rows = np.random.default_rng(0).normal(size=(50, 2))
    rows[3, 1] = np.nan
    hs.log_model(ws, "price", LinearRegression().fit(rows[:, :1], rows[:, 0]), rows[:, :1])
    hs.log_model(ws, "own", first_column, rows)
    return ws


def test_a_package_is_fetched_as_an_mlflow_model(logged: hs.Workspace, tmp_path: Path):
    folder = fetch(logged, "price", dest=tmp_path / "a", form="mlflow")
    said = read_mlmodel((folder / "MLmodel").read_bytes())
    assert said.flavors == ["onnx", "python_function", "sklearn"]
    assert [(field.name, field.dtype) for field in said.signature.inputs] == [("f0", "FP64")]
    assert "scikit-learn==" in (folder / "requirements.txt").read_text()
    assert yaml.safe_load((folder / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]
    package = logged.registry.get_version("price").files
    assert logged.registry.list_files("price", 1, "mlflow")["model.pkl"] == package["model.pkl"]
    again = fetch(logged, "price", dest=tmp_path / "b", form="mlflow")
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())
    own = fetch(logged, "own", dest=tmp_path / "own", form="mlflow")
    assert read_mlmodel((own / "MLmodel").read_bytes()).flavors == ["python_function"]
    assert "AS_ARRAY = True" in (own / "code" / "homeostat_pickled.py").read_text()
    assert yaml.safe_load((own / "input_example.json").read_text())["data"][3][1] is None


def test_it_lies_in_the_artifact_service(logged: hs.Workspace):
    server = Running(logged)

    def get(target: str, **asked: str) -> Any:
        return server.request("GET", f"{target}?{urlencode(asked)}")

    address = {"name": "own", "version": "1"}
    uri = get("/api/2.0/mlflow/model-versions/get-download-uri", **address).json["artifact_uri"]
    root = uri.removeprefix("mlflow-artifacts:/")
    try:
        assert {file["path"]: file["is_dir"] for file in get(ARTIFACTS, path=root).json["files"]} == {
            "MLmodel": False, "code": True, "conda.yaml": False, "input_example.json": False, "model.pkl": False,
            "python_env.yaml": False, "requirements.txt": False,
        }  # fmt: skip
        assert [file["path"] for file in get(ARTIFACTS, path=f"{root}/code").json["files"]] == ["homeostat_pickled.py"]
        data = get(f"{ARTIFACTS}/{root}/MLmodel").body
        assert data == logged.registry.read_file("own", 1, "MLmodel", "mlflow")
        assert get("/model-versions/get-artifact", **address, path="MLmodel").body == data
        for path in (f"{root}/none", f"homeostat-packages/{'0' * 64}/MLmodel", "homeostat-packages/x/MLmodel",
                     "homeostat-packages"):  # fmt: skip
            assert get(f"{ARTIFACTS}/{path}").status == 404, path
            assert get(ARTIFACTS, path=path).json == {}
        assert server.request("PUT", f"{ARTIFACTS}/{root}/MLmodel", b"x").status == 400
        for more, status in (({"path": "../x"}, 400), ({"version": "9", "path": "MLmodel"}, 404), ({}, 400)):
            assert get("/model-versions/get-artifact", **{**address, **more}).status == status
    finally:
        server.stop()


def test_what_lies_elsewhere_is_not_fetched(ws: hs.Workspace, tmp_path: Path):
    register_source(ws, "far", "s3://bucket/model")
    with pytest.raises(Refused, match="lies at s3://bucket/model"):
        fetch(ws, "far", dest=tmp_path, form="mlflow")
    with pytest.raises(NotFound):
        fetch(ws, "none", dest=tmp_path, form="mlflow")
