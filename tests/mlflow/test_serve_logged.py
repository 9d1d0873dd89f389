"""Models that the real client logged and registered here, deployed as they are and asked by it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import InvalidInput, Refused
from homeostat.registry import fetch, import_folder
from homeostat.serving.shipping.model_files import model_files
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
    mlflow.pyfunc.log_model(python_model=Half(), name="m", registered_model_name="served-code")
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
            ws.serving.wait_ready(name, timeout_s=600)
        with pytest.raises(InvalidInput, match="of own code says no signature"):
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


OWN = """
import json
from pathlib import Path
import mlflow, numpy as np, pandas as pd

Path("doubled.py").write_text('''
import mlflow

class Doubled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] * 2

mlflow.models.set_model(Doubled())
''')
Path("own_loader.py").write_text('''
import own_words

class Words:
    def __init__(self, path):
        self.limit = float(open(path).read())

    def predict(self, rows):
        high = rows["a"] > self.limit
        return rows[[]].assign(level=high.map({True: own_words.HIGH, False: "low"}), length=rows["word"].str.len())

def _load_pyfunc(path):
    return Words(path)
''')
Path("own_words.py").write_text("HIGH = 'high'")
Path("limit.txt").write_text("0.5")

class Half(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.by = float(open(context.artifacts["by"]).read())

    def predict(self, context, model_input, params=None):
        return model_input.iloc[:, 0].to_numpy() * self.by

class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        assert isinstance(model_input, np.ndarray)
        return model_input.sum(axis=1)

infer = mlflow.models.infer_signature

class Scaled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        extra = model_input["extra"] if "extra" in model_input.columns else 0
        return (model_input["a"] + extra) * params["by"] + len(params["words"])

scaled = infer(pd.DataFrame({"a": [0.5], "extra": [1.0]}), pd.Series([1.0]), params={"by": 2.0, "words": ["w"]})
fields = scaled.to_dict()
columns = json.loads(fields["inputs"])
columns[1]["required"] = False
scaled = mlflow.models.ModelSignature.from_dict({**fields, "inputs": json.dumps(columns)})
Path("by.txt").write_text("0.5")
X = pd.DataFrame({"a": [0.25, 1.5], "b": [1.0, -1.0]})
words = pd.DataFrame({"a": [0.25, 1.5], "word": ["one", "three"], "day": pd.to_datetime(["2024-01-01", "2024-05-02"])})
matrix = np.array([[1, 2, 3], [4, 5, 6]], "f4")
mlflow.set_experiment("own code")
own = {"name": "m", "pip_requirements": ["mlflow==" + mlflow.__version__, "pandas"]}
with mlflow.start_run():
    mlflow.pyfunc.log_model(python_model=Half(), artifacts={"by": "by.txt"}, registered_model_name="own-class",
                            signature=infer(X, X["a"].to_numpy()), input_example=X, **own)
    mlflow.pyfunc.log_model(python_model="doubled.py", registered_model_name="own-script",
                            signature=infer(X, X["a"]), **own)
    mlflow.pyfunc.log_model(loader_module="own_loader", code_paths=["own_loader.py", "own_words.py"],
                            data_path="limit.txt", registered_model_name="own-loader",
                            signature=infer(words, pd.DataFrame({"level": ["low"], "length": [3]})), **own)
    mlflow.pyfunc.log_model(python_model=Sums(), registered_model_name="own-tensors",
                            signature=infer(matrix, matrix.sum(axis=1)), **own)
    mlflow.pyfunc.log_model(python_model=Scaled(), registered_model_name="own-params", signature=scaled, **own)
"""


def test_models_of_own_code_are_served_by_a_python_that_has_mlflow(mlflow_client: Client, tmp_path: Path) -> None:
    mlflow_client.check(OWN)
    names = ["own-class", "own-script", "own-loader", "own-tensors", "own-params"]
    with hs.open(mlflow_client.url) as ws:
        with pytest.raises(Refused, match=r"needs an environment of its own.*mlflow==\S+ is missing"):
            ws.serving.deploy("own-class")
        named = ["environment", "own-class", "--use", str(mlflow_client.python), "--home", str(mlflow_client.home)]
        assert main(named) == 0  # the others declare the same
        folder = fetch(ws, "own-class", dest=tmp_path / "folder", form="mlflow")
        with pytest.raises(Refused, match="tells of a model of own code"):
            import_folder(ws, folder, "own-again")
        (again,) = import_folder(ws, folder, "own-again", allow_code=True)
        assert (again.flavor, [field.name for field in again.signature.inputs]) == ("pyfunc", ["a", "b"])
        names.append("own-again")
        files = model_files(ws, again, fetch(ws, "own-again", dest=tmp_path / "package"))
        assert files.needs is not None
        assert {"model.json", "requirements.txt", "mlflow/MLmodel", "mlflow/artifacts/by.txt"} <= files.paths.keys()
        logged = model_files(ws, ws.registry.get_version("own-class"), folder)
        assert (logged.needs, sorted(logged.paths)) == (files.needs, sorted(files.paths))
        for name in names:
            ws.serving.deploy(name)
        for name in names:
            ws.serving.wait_ready(name, timeout_s=600)
        url: str = ws.serving.endpoint().rest_url
        mlflow_client.check(f"""
            import json, numpy as np, pandas as pd
            from urllib.error import HTTPError
            from urllib.request import Request, urlopen
            from mlflow.pyfunc.scoring_server.client import ScoringServerClient

            def ask(name, rows):
                at = ScoringServerClient("127.0.0.1", "{url.rpartition(":")[2]}/v2/models/" + name)
                return at.invoke(rows).get_predictions()

            def infer(name, *tensors):
                asked = [dict(zip(("name", "datatype", "shape", "data"), one)) for one in tensors]
                body = json.dumps(dict(inputs=asked)).encode()
                with urlopen(Request("{url}/v2/models/" + name + "/infer", body)) as answer:
                    return {{one["name"]: one["data"] for one in json.load(answer)["outputs"]}}

            X = pd.DataFrame(dict(b=[1.0, -1.0, 0.0], a=[0.25, 1.5, -2.0]))
            assert ask("own-class", X).iloc[:, 0].tolist() == [0.125, 0.75, -1.0]
            assert ask("own-again", X).iloc[:, 0].tolist() == [0.125, 0.75, -1.0]
            assert ask("own-script", X).iloc[:, 0].tolist() == [0.5, 3.0, -4.0]
            told = infer("own-loader", ("a", "FP64", [2], [0.25, 1.5]), ("word", "BYTES", [2], ["one", "three"]),
                         ("day", "BYTES", [2], ["2024-01-01", "2024-05-02"]))
            assert told == dict(level=["low", "high"], length=[3, 5]), told
            told = infer("own-tensors", ("input0", "FP32", [2, 3], [1, 2, 3, 4, 5, 6]))
            assert told == dict(prediction=[6, 15]), told

            def params(body, path="invocations", status=200):
                text = json.dumps(body).encode()
                asked = Request("{url}/v2/models/own-params/" + path, text, {{"Content-Type": "application/json"}})
                try:
                    with urlopen(asked) as answer:
                        return json.load(answer)
                except HTTPError as error:
                    assert error.code == status, error.read()
                    return json.load(error)

            rows = dict(dataframe_split=dict(columns=["a"], data=[[1.0], [2.0]]))
            assert params(rows) == dict(predictions=[3.0, 5.0])
            assert params(rows | dict(params=dict(by=10))) == dict(predictions=[11.0, 21.0])
            assert params(rows | dict(params=dict(by=0.5, words=[], other=1))) == dict(predictions=[0.5, 1.0])
            both = dict(dataframe_split=dict(columns=["extra", "a"], data=[[1.0, 1.0]]))
            assert params(both) == dict(predictions=[5.0])
            told = params(rows | dict(params=dict(by="much")), status=400)
            assert told == dict(error="the parameter 'by' is \\"much\\", which is not double"), told
            tensor = dict(name="a", datatype="FP64", shape=[1], data=[1.0])
            told = params(dict(inputs=[tensor], parameters=dict(by=3.0)), path="infer")
            assert told["outputs"][0]["data"] == [4.0], told
            shown = json.load(urlopen("{url}/v2/models/own-params/openapi.json"))
            inputs = shown["components"]["schemas"]["Request"]["properties"]["inputs"]
            told = [one.get("x-optional", False) for one in inputs["items"]["anyOf"]]
            assert (inputs["minItems"], told) == (1, [False, True]), inputs
            shown = shown["components"]["schemas"]["Scoring"]["properties"]["params"]["properties"]
            assert shown["by"] == dict(type="number", default=2.0), shown
        """)
        for name in names:
            assert ws.registry.get_version(name).flavor == ("mlflow" if name != "own-again" else "pyfunc")
            ws.serving.undeploy(name)
