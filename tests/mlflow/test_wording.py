"""What is refused, and in which words, as the real client sees it: codes and sentences that programs compare."""

from __future__ import annotations

from textwrap import dedent

from tests.mlflow.client import Client

REFUSED = """
import mlflow, os, requests
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
client = MlflowClient()
def refused(words, call, *given, code="INVALID_PARAMETER_VALUE", **named):
    try:
        answer = call(*given, **named)
    except MlflowException as error:
        assert words in str(error) and error.error_code == code, (error.error_code, str(error))
    else:
        raise AssertionError((words, answer))
"""


def test_what_is_refused_of_experiments_and_runs(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    refused("Invalid experiment name: ' '", client.create_experiment, " ")
    for place in ("mlflow-artifacts:/x#part", "s3://bucket/x;part"):
        refused("URL can't include fragments or params", client.create_experiment, "placed", artifact_location=place)
    refused("Invalid artifact path length", client.create_experiment, "placed", artifact_location="x" * 2049)
    refused("No Experiment with id=-1 exists", client.get_experiment, "-1", code="RESOURCE_DOES_NOT_EXIST")
    unquoted = "either not quoted or unidentified quote types used for string value words. Use either"
    refused(unquoted, client.search_experiments, filter_string="name = words")
    experiment = client.create_experiment("wording")
    refused(unquoted, client.search_runs, [experiment], "params.p = words")
    refused(unquoted, client.search_runs, [experiment], "run_name = words")
    refused("Got value 5", client.search_runs, [experiment], "params.p = 5")
    run = client.create_run(experiment).info.run_id
    both = "Both dataset_name and dataset_digest must be provided if one is provided"
    model = mlflow.create_external_model("wording", experiment_id=experiment).model_id
    refused(both, client.log_metric, run, "m", 1.0, model_id=model, dataset_name="d")
    refused(both, client.log_metric, run, "m", 1.0, model_id=model, dataset_digest="d")
    assert client.get_metric_history("no" * 16, "m") == []
    refused("'name' exceeds the maximum length of 500 characters", client.rename_experiment, experiment, "x" * 501)
    cut = "Invalid clause(s) in filter string: it ends early"
    refused(cut, client.search_runs, [experiment], "metrics.m >")
    refused(cut, client.search_experiments, filter_string="name")
    store = mlflow.tracking._tracking_service.utils._get_store()
    refused("Custom scorer registration (using @scorer decorator) is disabled",
            store.register_scorer, experiment, "code", '{"call_source": "return 1"}')
    assert client.search_logged_models([]) == []
    """)
    )


def test_what_is_refused_of_models_and_hooks(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    from mlflow.entities.webhook import WebhookEvent
    client.create_registered_model("wording")
    client.create_model_version("wording", "s3://bucket/model")
    unquoted = "either not quoted or unidentified quote types used for string value words. Use either"
    refused(unquoted, client.search_registered_models, "name = words")
    refused(unquoted, client.search_model_versions, "name = words")
    refused("It must be a positive integer, but got 0", client.search_model_versions, max_results=0)
    refused("It must be at most 200000, but got 200001", client.search_model_versions, max_results=200_001)
    created = [WebhookEvent.from_str("registered_model.created")]
    refused("Invalid webhook URL scheme: 'ftp'", client.create_webhook, "w", "ftp://127.0.0.1/x", created)
    refused("Webhook events must be a non-empty list", client.create_webhook, "w", "https://93.184.216.34/x", [])
    server = os.environ["MLFLOW_TRACKING_URI"]
    run = client.create_run("0").info.run_id
    for address in (
        f"/api/2.0/mlflow/artifacts/list?run_id={run}&path=../x", f"/get-artifact?run_id={run}&path=../x",
        "//model-versions/get-artifact?name=gone&version=1&path=../x", "/api/2.0/mlflow-artifacts/artifacts?path=../x",
        "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x", "/api/2.0/mlflow-artifacts/presigned/%252e%252e/x",
    ):
        answer = requests.get(server + address)
        if "presigned" in address:  # where bytes lie on the server's disk
            assert answer.status_code == 501, answer.text
            continue
        assert answer.status_code == 400, (address, answer.text)
        assert answer.json() == {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid path"}, answer.text
    """)
    )


def test_a_long_history_is_shown_by_some_of_its_points(mlflow_client: Client) -> None:
    """Many points of one step are not sent all at once."""
    mlflow_client.check(
        REFUSED
        + dedent("""
    run = client.create_run("0").info.run_id
    client.log_batch(run, metrics=[Metric("m", value, 5, 0) for value in range(1000)])
    client.log_batch(run, metrics=[Metric("steps", step, 5, step) for step in range(10)])
    def shown(key, **asked):
        address = os.environ["MLFLOW_TRACKING_URI"] + "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
        answer = requests.get(address, params={"run_ids": [run], "metric_key": key, **asked})
        assert answer.status_code == 200, answer.text
        return [metric["value"] for metric in answer.json().get("metrics", [])]
    assert shown("m", max_results=5) == [0, 200, 400, 600, 999]
    assert shown("m", max_results=1) == [999]
    assert shown("steps", max_results=4) == [0, 3, 6, 9]
    assert shown("steps", max_results=4, start_step=2, end_step=3) == [2, 3]
    assert shown("none") == []
    """)
    )
