"""Models that the real client logged and registered here, deployed as they are and asked by it again."""

from __future__ import annotations

import json

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, Refused
from tests.mlflow.client import Client

LOG = """
import json
import lightgbm, mlflow, numpy as np, pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

class Half(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.iloc[:, 0] / 2

X = pd.DataFrame(np.random.default_rng(9).normal(size=(40, 3)).round(3), columns=["a", "b", "c"])
y = (X["a"] > 0).astype(int)
mlflow.set_experiment("served")
piped = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
trees = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2},
                       lightgbm.Dataset(X, y), 4)
with mlflow.start_run():
    mlflow.sklearn.log_model(piped, name="m", registered_model_name="served-skops", input_example=X[:3])
    mlflow.sklearn.log_model(piped, name="m", registered_model_name="served-pickle",
                             serialization_format="cloudpickle", signature=mlflow.models.infer_signature(X))
    mlflow.lightgbm.log_model(trees, name="m", registered_model_name="served-trees")
    mlflow.pyfunc.log_model(python_model=Half(), name="m", registered_model_name="served-code", input_example=X[:3])
client = MlflowClient()
client.create_registered_model("served-elsewhere")
client.create_model_version("served-elsewhere", "s3://bucket/model")
print(json.dumps({"served-skops": piped.predict_proba(X)[:, 1].tolist(), "served-trees": trees.predict(X).tolist(),
                  "served-pickle": piped.predict_proba(X)[:, 1].tolist()}))
"""


def test_what_is_registered_is_deployed_as_it_is(mlflow_client: Client) -> None:
    wanted = json.loads(mlflow_client.check(LOG).splitlines()[-1])
    with hs.open(mlflow_client.url) as ws:
        for name in wanted:
            ws.serving.deploy(name)
        for name in wanted:
            ws.serving.wait_ready(name, timeout_s=120)
        with pytest.raises(InvalidInput, match="none of it runs here"):
            ws.serving.deploy("served-code")
        with pytest.raises(Refused, match="it lies at s3://bucket/model"):
            ws.serving.deploy("served-elsewhere")
        port = ws.serving.endpoint().rest_url.rpartition(":")[2]
        before = {name: ws.registry.get_version(name) for name in wanted}
        mlflow_client.check(f"""
            import json, numpy as np, pandas as pd
            from mlflow.pyfunc.scoring_server.client import ScoringServerClient

            X = pd.DataFrame(np.random.default_rng(9).normal(size=(40, 3)).round(3), columns=["a", "b", "c"])
            for name, wanted in json.loads({json.dumps(json.dumps(wanted))}).items():
                told = ScoringServerClient("127.0.0.1", f"{port}/v2/models/{{name}}").invoke(X[["c", "a", "b"]])
                np.testing.assert_allclose(told.get_predictions().iloc[:, -1], wanted, rtol=1e-4, err_msg=name)
        """)
        for name, version in before.items():
            assert version.flavor == "mlflow"
            assert ws.registry.get_version(name) == version, "what was registered stays as it is"
            ws.serving.undeploy(name)
