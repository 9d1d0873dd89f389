"""Models that the real client logged here, read as packages of ours: the same answers, nothing of MLflow's needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import homeostat as hs
from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import Refused
from homeostat.registry import fetch, import_folder, load_package
from tests.mlflow.client import Client

X = np.random.default_rng(9).normal(size=(40, 3)).round(3)

LOG = """
import json, sys
import lightgbm, mlflow, numpy as np, pandas as pd, xgboost
import mlflow.xgboost
from sklearn.linear_model import LogisticRegression
X = pd.DataFrame(json.loads(open("rows.json").read()), columns=["a", "b", "c"])
y = (X["a"] > 0).astype(int)
mlflow.set_experiment("their-models")
linear = LogisticRegression().fit(X, y)
trees = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2},
                       lightgbm.Dataset(X, y), 4)
boosted = xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(X, y)
with mlflow.start_run():
    mlflow.sklearn.log_model(linear, name="m", registered_model_name="their-skops", input_example=X[:3])
    mlflow.sklearn.log_model(linear, name="m", registered_model_name="their-pickle", serialization_format="cloudpickle",
                             signature=mlflow.models.infer_signature(X))
    mlflow.lightgbm.log_model(trees, name="m", registered_model_name="their-trees")
    mlflow.xgboost.log_model(boosted, name="m", registered_model_name="their-boosted", input_example=X[:3])
print(json.dumps({"their-skops": linear.predict_proba(X)[:, 1].tolist(), "their-trees": trees.predict(X).tolist(),
                  "their-pickle": linear.predict_proba(X)[:, 1].tolist(),
                  "their-boosted": boosted.predict_proba(X)[:, 1].tolist()}))
"""


def test_what_the_client_logged_is_packaged_and_answers_alike(mlflow_client: Client, ws: hs.Workspace, tmp_path: Path):
    rows = f"open('rows.json', 'w').write({json.dumps(X.tolist())!r})\n"
    expected = json.loads(mlflow_client.check(rows + LOG).splitlines()[-1])
    with hs.open(mlflow_client.url) as there:
        for name in expected:
            fetch(there, name, 1, tmp_path / name, form="mlflow")
    with pytest.raises(Refused, match="loading one runs code"):
        import_folder(ws, tmp_path / "their-pickle")
    flavors = {
        "their-skops": "sklearn",
        "their-pickle": "sklearn",
        "their-trees": "lightgbm",
        "their-boosted": "xgboost",
    }
    for name, wanted in expected.items():
        (version,) = import_folder(ws, tmp_path / name, allow_code=name == "their-pickle")
        assert (version.model, version.flavor) == (name, flavors[name])
        assert [field.name for field in version.signature.inputs] == ["a", "b", "c"]
        folder = fetch(ws, name, dest=tmp_path / "out" / name)
        code = digest_of_file(folder / "model.pkl") if name == "their-pickle" else None
        loaded = load_package(folder, engine="native", unpickle=code)
        np.testing.assert_allclose(loaded.predict(X), wanted, rtol=1e-5, err_msg=name)


TORCH = """
import json, mlflow, numpy as np, torch
import mlflow.pytorch
X = np.array(json.loads(open("rows.json").read()), "f4")
torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
mlflow.set_experiment("their-models")
with mlflow.start_run():
    mlflow.pytorch.log_model(net, name="m", registered_model_name="their-net", input_example=X[:5])
    mlflow.pytorch.log_model(net, name="m", registered_model_name="their-module", serialization_format="pickle",
                             signature=mlflow.models.infer_signature(X))
with torch.no_grad():
    print(json.dumps(net(torch.from_numpy(X)).tolist()))
"""


def test_pytorch_both_ways(mlflow_client: Client, tmp_path: Path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (`pip install torch`): not tried with MLflow")
    if mlflow_client.run_script("import torch, safetensors").returncode:
        pytest.skip("PyTorch is not installed beside the MLflow client: models of it are not tried")
    rows = f"open('rows.json', 'w').write({json.dumps(X.tolist())!r})\n"
    expected = np.array(json.loads(mlflow_client.check(rows + TORCH).splitlines()[-1]))
    torch.manual_seed(2)
    ours = torch.nn.Sequential(torch.nn.Linear(3, 1)).eval()
    with hs.open(mlflow_client.url) as there:
        for name in ("their-net", "their-module"):
            folder = fetch(there, name, 1, tmp_path / name, form="mlflow")
            with pytest.raises(Refused, match="loading one runs code"):
                import_folder(there, folder, f"{name}-read")
            (version,) = import_folder(there, folder, f"{name}-read", allow_code=True)
            package = fetch(there, version.model, dest=tmp_path / "out" / name)
            loaded = load_package(package, engine="native", unpickle=version.files["model.pt2"])
            np.testing.assert_allclose(loaded.predict(X), expected, rtol=1e-4, atol=1e-5)
        hs.log_model(there, "our-net", ours, X)
    with torch.no_grad():
        wanted = ours(torch.from_numpy(X.astype("f4"))).numpy()
    told = mlflow_client.check(
        rows
        + """
import json, mlflow, numpy as np, pandas as pd, safetensors.numpy
import mlflow.pytorch
X = np.array(json.loads(open("rows.json").read()))
frame = pd.DataFrame(X, columns=mlflow.models.get_model_info("models:/our-net/1").signature.inputs.input_names())
print(json.dumps(mlflow.pyfunc.load_model("models:/our-net/1").predict(frame).to_numpy().tolist()))
assert mlflow.pytorch.load_model("models:/our-net/1") is not None
"""
    )
    np.testing.assert_allclose(json.loads(told.splitlines()[-1]), wanted, rtol=1e-4, atol=1e-5)
    package = fetch(hs.open(mlflow_client.url), "our-net", dest=tmp_path / "our-net")
    mlflow_client.check(f"""
import safetensors.numpy
assert safetensors.numpy.load_file({str(package / "weights.safetensors")!r})["0.weight"].shape == (1, 3)
""")
