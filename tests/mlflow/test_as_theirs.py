"""Where MLflow's server does what one would not expect, so does this one: clients have grown used to it."""

from __future__ import annotations

from textwrap import dedent

from tests.mlflow.client import Client
from tests.mlflow.test_wording import REFUSED


def test_aliases_may_be_numbers_and_lists_leave_them_out(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        from mlflow import MlflowClient

        client = MlflowClient()
        client.create_registered_model("theirs")
        for _ in range(2):
            client.create_model_version("theirs", "s3://bucket/model")
        client.set_registered_model_alias("theirs", "12", "1")
        client.set_registered_model_alias("theirs", "top", "2")
        assert client.get_model_version_by_alias("theirs", "12").version == "1"
        assert client.get_model_version("theirs", "1").aliases == ["12"]
        assert client.get_registered_model("theirs").aliases == {"12": "1", "top": "2"}
        assert [one.aliases for one in client.search_model_versions("name = 'theirs'")] == [[], []]
        assert [one.aliases for one in client.get_registered_model("theirs").latest_versions] == [[]]
        assert [one.aliases for one in client.get_latest_versions("theirs")] == [["top"]]
        """
    )


def test_filters_may_say_and_once_too_often(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    experiment = client.create_experiment("ands")
    run = client.create_run(experiment).info.run_id
    client.log_metric(run, "m", 1.0)
    for text in ("metrics.m > 0 AND ", "AND metrics.m > 0", "metrics.m > 0 and and metrics.m < 2 AND"):
        assert [one.info.run_id for one in client.search_runs([experiment], text)] == [run], text
    assert client.search_runs([experiment], "metrics.m > 0 and and metrics.m > 2 AND") == []
    assert [one.name for one in client.search_experiments(filter_string="name = 'ands' AND ")] == ["ands"]
    assert client.search_registered_models("name = 'ands' AND ") == []
    assert client.search_model_versions("name = 'ands' AND ") == []
    assert client.search_traces(locations=[experiment], filter_string="status = 'OK' AND") == []
    refused("", client.search_runs, [experiment], "metrics.m > 0 OR ")
    """)
    )


def test_a_metric_of_half_a_dataset_is_refused_without_a_model_too(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    run = client.create_run("0").info.run_id
    server = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/"
    point = {"key": "m", "value": 1.0, "timestamp": 1, "step": 0}
    for half in ({"dataset_name": "d"}, {"dataset_digest": "d"}):
        for call, told in (("log-metric", {**point, **half}), ("log-batch", {"metrics": [point, {**point, **half}]})):
            answer = requests.post(server + call, json={"run_id": run, **told})
            assert answer.status_code == 400, (call, half)
            assert answer.json()["message"] == (
                "Both dataset_name and dataset_digest must be provided if one is provided")
    assert client.get_metric_history(run, "m") == []
    client.log_metric(run, "m", 1.0, dataset_name="d", dataset_digest="e")
    assert len(client.get_metric_history(run, "m")) == 1
    """)
    )


def test_the_tag_of_a_name_is_deleted_and_the_name_stays(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    run = client.create_run("0", run_name="named").info.run_id
    client.delete_tag(run, "mlflow.runName")
    assert client.get_run(run).info.run_name == "named"
    client.set_tag(run, "mlflow.runName", "renamed")
    assert client.get_run(run).info.run_name == "renamed"
    refused("No tag with name: gone", client.delete_tag, run, "gone", code="RESOURCE_DOES_NOT_EXIST")
    """)
    )


def test_what_a_client_of_version_2_said_of_a_trace_is_all_there_is(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        from mlflow import MlflowClient
        from mlflow.entities.trace_status import TraceStatus

        client = MlflowClient()
        store = client._tracing_client.store
        begun = store.deprecated_start_trace_v2(
            experiment_id="0", timestamp_ms=1000, request_metadata={"fruit": "apple"}, tags={"game": "chess"})
        assert begun.request_metadata == {"fruit": "apple"}
        ended = store.deprecated_end_trace_v2(
            request_id=begun.request_id, timestamp_ms=3000, status=TraceStatus.OK,
            request_metadata={"fruit": "pear", "nut": "hazel"}, tags={})
        assert (ended.execution_time_ms, ended.request_metadata) == (2000, {"fruit": "pear", "nut": "hazel"})
        """
    )


def test_the_last_page_of_issues_says_that_it_is_the_last(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    address = os.environ["MLFLOW_TRACKING_URI"] + "/api/3.0/mlflow/issues/search"
    assert requests.post(address, json={"experiment_id": client.create_experiment("no issues")}).json() == {
        "next_page_token": ""}
    """)
    )


def test_folders_named_with_a_slash_or_a_question_mark_are_gone_on_from(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        from mlflow import MlflowClient

        client = MlflowClient()
        for place, wanted in {
            "s3://bucket/": "s3://bucket/{}/artifacts", "s3://bucket/x": "s3://bucket/x/{}/artifacts",
            "s3://bucket/x/?a=b": "s3://bucket/x/{}/artifacts?a=b",
        }.items():
            experiment = client.create_experiment(f"at {place}", artifact_location=place)
            assert client.get_experiment(experiment).artifact_location == place
            run = client.create_run(experiment).info
            assert run.artifact_uri == client.get_run(run.run_id).info.artifact_uri == wanted.format(run.run_id)
            model = client.create_logged_model(experiment, "placed")
            assert model.artifact_location == wanted.format(f"models/{model.model_id}"), model.artifact_location
            if "?" not in place:
                text = f"attributes.artifact_uri = '{run.artifact_uri}'"
                assert [one.info.run_id for one in client.search_runs([experiment], text)] == [run.run_id]
        """
    )


def test_a_run_begins_with_tags_of_any_name(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    experiment = client.create_experiment("tags of any name")
    given = {"team@site": "a", "../up": "b", "50% done": "c", "größe": "d\\ne"}
    run = client.create_run(experiment, tags=given)
    assert given.items() <= run.data.tags.items()
    assert given.items() <= client.get_run(run.info.run_id).data.tags.items()
    [found] = client.search_runs([experiment], "tags.`team@site` = 'a'")
    assert found.info.run_id == run.info.run_id
    refused("Names may only contain", client.set_tag, run.info.run_id, "team@site", "b")
    refused('Invalid value "\\\\ud83d\\\\ude00" for parameter', client.set_tag, run.info.run_id, "😀", "b")
    refused("exceeds the maximum length of 250", client.create_run, experiment, tags={"k" * 251: "v"})
    """)
    )


def test_names_may_hold_any_space_and_joined_emoji(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    for name in ("👩‍💻 team", "型号　一", "a b"):
        client.create_experiment(name)
        assert client.get_experiment_by_name(name).name == name
        client.create_registered_model(name)
        client.create_model_version(name, "s3://bucket/" + name)
        assert client.get_model_version(name, "1").source == "s3://bucket/" + name
        assert [one.name for one in client.search_registered_models(f"name = '{name}'")] == [name]
    refused("Invalid model name", client.create_registered_model, "a\\nb")
    """)
    )


def test_a_source_that_names_no_version_is_refused_as_an_alias(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    client.create_registered_model("source of an alias")
    refused("Registered model alias none not found.", client.create_model_version,
            "source of an alias", "models:/source of an alias@none")
    """)
    )


def test_a_record_without_outputs_has_empty_ones(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        import mlflow.genai

        kept = mlflow.genai.datasets.create_dataset(name="without outputs")
        kept.merge_records([{"inputs": {"q": 1}}, {"inputs": {"q": 2}, "outputs": {"a": 1}}])
        frame = kept.to_df()
        found = {inputs["q"]: outputs for inputs, outputs in zip(frame["inputs"], frame["outputs"])}
        assert found == {1: {}, 2: {"a": 1}}, found
        assert kept.profile == '{"num_records": 2}'
        assert kept.schema.startswith('{"inputs": {"q": "integer"}, "outputs": {"a": "integer"}'), kept.schema
        """
    )
