"""Models through the real client: logged, found, loaded by every kind of address, and by autologging."""

from __future__ import annotations

from tests.mlflow.client import Client

PRELUDE = """
import mlflow, numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression
client = MlflowClient()
rows = np.random.default_rng(0).normal(size=(60, 3))
labels = (rows[:, 0] > 0).astype(int)
"""


def test_a_model_is_logged_and_loaded_by_every_address(mlflow_client: Client) -> None:
    mlflow_client.check(
        PRELUDE
        + """
mlflow.set_experiment("models-addresses")
model = LogisticRegression().fit(rows, labels)
with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(model, name="model", input_example=rows[:3], params={"depth": 3},
                                    registered_model_name="addressed", pip_requirements=["scikit-learn"])
assert info.model_id.startswith("m-") and int(info.registered_model_version) == 1
client.set_registered_model_alias("addressed", "champion", 1)
addresses = [f"runs:/{run.info.run_id}/model", f"models:/{info.model_id}", "models:/addressed/1",
             "models:/addressed@champion", "models:/addressed/latest"]
for address in addresses:
    again = mlflow.sklearn.load_model(address)
    assert (again.predict(rows) == model.predict(rows)).all(), address
function = mlflow.pyfunc.load_model("models:/addressed@champion")
assert (function.predict(rows) == model.predict(rows)).all()
logged = client.get_logged_model(info.model_id)
assert logged.status.name == "READY" and logged.params == {"depth": "3"} and logged.name == "model"
assert logged.source_run_id == run.info.run_id
assert client.get_model_version_download_uri("addressed", "1") == logged.artifact_location
copied = client.copy_model_version("models:/addressed/1", "addressed-copy")
assert client.get_model_version_download_uri("addressed-copy", copied.version) == logged.artifact_location
found = client.get_run(run.info.run_id)
assert [made.model_id for made in found.outputs.model_outputs] == [info.model_id]
assert mlflow.models.get_model_info("models:/addressed/1").signature is not None
assert {file.path for file in client.list_logged_model_artifacts(info.model_id)} >= {"MLmodel", "requirements.txt"}
"""
    )


def test_autologging_of_scikit_learn_lightgbm_and_xgboost(mlflow_client: Client) -> None:
    mlflow_client.check(
        PRELUDE
        + """
import lightgbm, xgboost
mlflow.set_experiment("models-autolog")
mlflow.sklearn.autolog()
mlflow.lightgbm.autolog()
mlflow.xgboost.autolog()
with mlflow.start_run() as first:
    LogisticRegression(C=0.5).fit(rows, labels)
with mlflow.start_run() as second:
    lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 4},
                   lightgbm.Dataset(rows, labels), 5, valid_sets=[lightgbm.Dataset(rows, labels)])
with mlflow.start_run() as third:
    data = xgboost.DMatrix(rows, labels)
    xgboost.train({"objective": "binary:logistic", "nthread": 1, "max_depth": 3}, data, 6, evals=[(data, "train")],
                  verbose_eval=False)
one, two, three = (client.get_run(run.info.run_id) for run in (first, second, third))
assert one.data.params["C"] == "0.5" and one.data.metrics["training_score"] > 0.5
assert one.data.tags["estimator_name"] == "LogisticRegression"
assert one.inputs.dataset_inputs and one.outputs.model_outputs
assert two.data.params["num_leaves"] == "4"
assert len(client.get_metric_history(two.info.run_id, "valid_0-binary_logloss")) == 5
assert three.data.params["max_depth"] == "3"
assert len(client.get_metric_history(three.info.run_id, "train-logloss")) == 6
for run in (one, two, three):
    assert mlflow.pyfunc.load_model(f"models:/{run.outputs.model_outputs[0].model_id}").predict(rows).shape == (60,)
assert [file.path for file in client.list_artifacts(two.info.run_id)]
"""
    )


def test_logged_models_are_described_and_found(mlflow_client: Client) -> None:
    mlflow_client.check(
        PRELUDE
        + """
from mlflow.exceptions import MlflowException
from mlflow.entities import LoggedModelStatus
experiment = mlflow.set_experiment("models-found").experiment_id
def refused(code, call, *args, **named):
    try:
        call(*args, **named)
    except MlflowException as error:
        assert error.error_code == code, error
    else:
        raise AssertionError("not refused")
made = [client.create_logged_model(experiment, name=f"net{i}", params={"lr": str(i), "kind": "a%b"},
        tags={"team": "Red" if i % 2 else "blue"}, model_type="net") for i in range(5)]
assert made[0].status == LoggedModelStatus.PENDING and made[0].params["lr"] == "0"
many = client.create_logged_model(experiment, params={f"p{i}": "x" for i in range(250)})
assert len(client.get_logged_model(many.model_id).params) == 250 and many.name
long = {"k" * 255: "instructions " * 1000}
client.log_model_params(many.model_id, long)
client.set_logged_model_tags(many.model_id, long)
kept = client.get_logged_model(many.model_id)
assert long.items() <= kept.params.items() and long.items() <= kept.tags.items()
client.delete_logged_model(many.model_id)
refused("RESOURCE_DOES_NOT_EXIST", client.get_logged_model, many.model_id)
dataset = mlflow.data.from_numpy(rows, name="points", targets=labels)
for i, model in enumerate(made):
    with mlflow.start_run() as run:
        mlflow.log_metrics({"auc": 0.5 + i / 10}, step=1, dataset=dataset if i > 2 else None, model_id=model.model_id)
assert client.finalize_logged_model(made[1].model_id, "READY").status == LoggedModelStatus.READY
def names(filter=None, order=None, **more):
    return [m.name for m in client.search_logged_models([experiment], filter, order_by=order, **more)]
newest = ["net4", "net3", "net2", "net1", "net0"]
assert names() == newest
assert names("params.lr = '3'") == ["net3"]
assert names("tags.team LIKE 'r%'") == [] and names("tags.team ILIKE 'r%'") == ["net3", "net1"]
assert names("name IN ('net1', 'net4')") == ["net4", "net1"]
assert names("name = 'net1' AND metrics.auc > 0.55") == ["net1"] and names("metrics.auc >= 0.75") == ["net4", "net3"]
assert names("status = 'READY'") == ["net1"]
assert names(order=[{"field_name": "metrics.auc"}]) == newest[::-1]
assert names(order=[{"field_name": "metrics.auc", "ascending": False}], max_results=2) == ["net4", "net3"]
assert names(datasets=[{"dataset_name": "points", "dataset_digest": dataset.digest}]) == ["net4", "net3"]
measured = {"field_name": "metrics.auc", "dataset_digest": dataset.digest}
assert names(order=[measured]) == ["net3", "net4", "net2", "net1", "net0"]
assert names("metrics.auc < 0.85", datasets=[{"dataset_name": "points"}]) == ["net3"]
pages, token = [], None
while True:
    page = client.search_logged_models([experiment], max_results=2, page_token=token)
    pages.append([m.name for m in page]); token = page.token
    if not token: break
assert pages == [["net4", "net3"], ["net2", "net1"], ["net0"]]
refused("INVALID_PARAMETER_VALUE", names, "metrics.auc LIKE 'x'")
refused("INVALID_PARAMETER_VALUE", names, "nonsense")
refused("INVALID_PARAMETER_VALUE", names, order=[{"field_name": "params.lr"}])
refused("INVALID_PARAMETER_VALUE", client.create_logged_model, experiment, name="a/b")
client.set_logged_model_tags(made[0].model_id, {"a": "1", "team": "green"})
client.delete_logged_model_tag(made[0].model_id, "a")
assert client.get_logged_model(made[0].model_id).tags == {"team": "green"}
refused("RESOURCE_DOES_NOT_EXIST", client.delete_logged_model_tag, made[0].model_id, "a")
refused("INVALID_PARAMETER_VALUE", client.set_logged_model_tags, "m-none", {"a": "1"})
client.log_model_params(made[0].model_id, {"more": "1"})
metric = client.get_logged_model(made[4].model_id).metrics[0]
assert (metric.key, metric.value, metric.dataset_name, metric.run_id) == ("auc", 0.9, "points", run.info.run_id)
frame = mlflow.search_logged_models(experiment_ids=[experiment])
assert list(frame["name"]) == newest
with mlflow.start_run() as run:
    client.log_inputs(run.info.run_id, models=[mlflow.entities.LoggedModelInput(made[0].model_id)])
    client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(made[1].model_id, step=2)])
found = client.get_run(run.info.run_id)
assert found.inputs.model_inputs[0].model_id == made[0].model_id and found.outputs.model_outputs[0].step == 2
"""
    )
