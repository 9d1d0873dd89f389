"""Models registered with our own SDK, loaded by the real client as models of its own."""

from __future__ import annotations

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import homeostat as hs
from tests.mlflow.client import Client

NAMES = ["distance", "hour", "rain"]


def _rows() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=NAMES)


def _halved(rows: np.ndarray) -> np.ndarray:
    return rows[:, 0] / 2


def test_packages_are_loaded_by_alias(mlflow_client: Client, tmp_path: Path) -> None:
    rows = _rows()
    labels = (rows["distance"] > 0).astype(int)
    fitted = LogisticRegression().fit(rows, labels)
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 4},
                             lightgbm.Dataset(rows, labels), 5)  # fmt: skip
    boosted = xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(rows, labels)
    forest = RandomForestClassifier(3, random_state=0).fit(rows, labels)
    with hs.open(mlflow_client.url) as ws:
        models = {
            "packed-linear": fitted, "packed-trees": booster, "packed-own": _halved, "packed-boosted": boosted,
            "packed-safe": fitted, "packed-forest": forest,
        }  # fmt: skip
        for name, model in models.items():
            made = hs.log_model(
                ws, name, model, rows, onnx=name == "packed-trees",
                pickled=name not in ("packed-safe", "packed-forest"),
            )  # fmt: skip
            ws.registry.set_alias(name, "champion", made.version)
        folder = hs.registry.fetch(ws, "packed-trees", dest=tmp_path / "fetched", form="mlflow")
    expected = {
        "packed-linear": fitted.predict(rows), "packed-trees": booster.predict(rows),
        "packed-own": rows["distance"].to_numpy() / 2, "packed-boosted": boosted.predict_proba(rows)[:, 1],
        "packed-safe": fitted.predict(rows), "packed-forest": forest.predict(rows),
    }  # fmt: skip
    said = {"rows": rows.to_dict("list"), "expected": {name: list(map(float, one)) for name, one in expected.items()}}
    (tmp_path / "expected.json").write_text(json.dumps(said))
    mlflow_client.check(
        f"""
import json, os, urllib.request
import mlflow, numpy as np, pandas as pd
from mlflow import MlflowClient
client = MlflowClient()
said = json.load(open({str(tmp_path / "expected.json")!r}))
rows, expected = pd.DataFrame(said["rows"]), {{name: np.array(one) for name, one in said["expected"].items()}}
for name, wanted in expected.items():
    function = mlflow.pyfunc.load_model(f"models:/{{name}}@champion")
    assert np.allclose(function.predict(rows), wanted), name
    assert function.metadata.get_input_schema().input_names() == list(rows.columns), name
    info = mlflow.models.get_model_info(f"models:/{{name}}/1")
    assert info.flavors["python_function"]["env"]["conda"] == "conda.yaml"
linear = mlflow.sklearn.load_model("models:/packed-linear@champion")
assert (linear.predict(rows) == expected["packed-linear"]).all() and linear.predict_proba(rows).shape == (60, 2)
import mlflow.xgboost
assert mlflow.xgboost.load_model("models:/packed-boosted/1").num_boosted_rounds() == 4
assert mlflow.sklearn.load_model("models:/packed-forest/1").n_estimators == 3
trees = mlflow.lightgbm.load_model("models:/packed-trees/latest")
assert np.array_equal(trees.predict(rows), expected["packed-trees"])
assert np.allclose(mlflow.lightgbm.load_model({str(folder)!r}).predict(rows), expected["packed-trees"])
local = mlflow.artifacts.download_artifacts("models:/packed-trees@champion")
named = {{"MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml", "input_example.json", "model.txt"}}
assert named <= set(os.listdir(local)), os.listdir(local)
example = json.load(open(os.path.join(local, "input_example.json")))
assert example["columns"] == list(rows.columns) and np.allclose(example["data"], rows[:5])
assert "lightgbm==" in open(os.path.join(local, "requirements.txt")).read()
version = client.get_model_version_by_alias("packed-trees", "champion")
assert version.source == client.get_model_version_download_uri("packed-trees", 1)
assert version.source.startswith("mlflow-artifacts:/")
url = os.environ["MLFLOW_TRACKING_URI"] + "/model-versions/get-artifact?name=packed-trees&version=1&path=model.txt"
data = urllib.request.urlopen(url).read()
assert data == open(os.path.join(local, "model.txt"), "rb").read()
"""
    )
