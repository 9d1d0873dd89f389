"""`MlflowClient` on experiments, runs and prompts, as programs use it that keep ids themselves."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_experiments_and_runs(mlflow_client: Client) -> None:
    mlflow_client.check("""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag, ViewType
    from mlflow.exceptions import MlflowException
    client = MlflowClient()
    id = client.create_experiment("calls", tags={"a": "1"})
    client.set_experiment_tag(id, "b", "2")
    client.delete_experiment_tag(id, "a")
    assert client.get_experiment(id).tags["b"] == "2" and "a" not in client.get_experiment(id).tags
    client.rename_experiment(id, "calls renamed")
    assert client.get_experiment_by_name("calls renamed").experiment_id == id
    assert client.get_experiment_by_name("calls") is None
    client.delete_experiment(id)
    assert [e.experiment_id for e in client.search_experiments(ViewType.DELETED_ONLY) if e.experiment_id == id] == [id]
    client.restore_experiment(id)
    run = client.create_run(id, run_name="one", tags={"t": "0"})
    run_id = run.info.run_id
    child = client.create_run(id, tags={"mlflow.parentRunId": run_id}).info.run_id
    assert client.get_parent_run(child).info.run_id == run_id
    client.log_param(run_id, "p", "x")
    client.log_metric(run_id, "m", 1.0, timestamp=5, step=1)
    client.log_batch(run_id, [Metric("m", 2.0, 6, 2), Metric("n", float("inf"), 6, 2)], [Param("q", "y")],
                     [RunTag("u", "1")])
    client.set_tag(run_id, "t", "1")
    client.delete_tag(run_id, "u")
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "m")] == [(1, 1.0), (2, 2.0)]
    client.update_run(run_id, status="SCHEDULED", name="two")
    client.set_terminated(run_id, "KILLED")
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name, run.data.params) == ("KILLED", "two", {"p": "x", "q": "y"})
    assert run.data.tags["t"] == "1" and "u" not in run.data.tags
    assert [r.info.run_id for r in client.search_runs([id], "tags.t = '1'")] == [run_id]
    client.delete_run(run_id)
    assert [r.info.run_id for r in client.search_runs([id], run_view_type=ViewType.DELETED_ONLY)] == [run_id]
    client.restore_run(run_id)
    try:
        client.log_param(run_id, "p", "other")
    except MlflowException as error:
        assert error.error_code == "INVALID_PARAMETER_VALUE" and "Changing param values" in str(error), error
    else:
        raise AssertionError("a parameter changed")
    """)


def test_prompts_and_what_used_them(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow
    from mlflow import MlflowClient
    client = MlflowClient()
    mlflow.set_experiment("calls-prompts")
    client.create_prompt("calls-prompt", description="d", tags={"a": "1", "b": "2"})
    client.delete_prompt_tag("calls-prompt", "a")
    assert "a" not in client.get_prompt("calls-prompt").tags
    one = client.create_prompt_version("calls-prompt", "Say {{what}}", tags={"x": "1", "y": "2"})
    client.delete_prompt_version_tag("calls-prompt", str(one.version), "x")
    client.set_prompt_alias("calls-prompt", "live", one.version)
    assert client.get_prompt_version_by_alias("calls-prompt", "live").template == "Say {{what}}"
    with mlflow.start_run() as run:
        pass
    client.link_prompt_version_to_run(run.info.run_id, one)
    assert "calls-prompt" in client.get_run(run.info.run_id).data.tags["mlflow.linkedPrompts"]
    # The client looks for a tag here that it no longer sets itself.
    client.set_prompt_version_tag("calls-prompt", str(one.version), "mlflow.prompt.associatedRunIds", run.info.run_id)
    assert [prompt.name for prompt in client.list_logged_prompts(run.info.run_id)] == ["calls-prompt"]
    client.detach_prompt_from_run(run.info.run_id, "prompts:/calls-prompt/1")
    assert client.list_logged_prompts(run.info.run_id) == []
    model = mlflow.initialize_logged_model("calls-model")
    client.link_prompt_version_to_model("calls-prompt", str(one.version), model.model_id)
    assert "calls-prompt" in client.get_logged_model(model.model_id).tags["mlflow.linkedPrompts"]
    with mlflow.start_span("uses a prompt"):
        pass
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_last_active_trace_id()
    client.link_prompt_versions_to_trace([one], trace)
    assert "calls-prompt" in client.get_trace(trace).info.tags["mlflow.linkedPrompts"]
    """)
