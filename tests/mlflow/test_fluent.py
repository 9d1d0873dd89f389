"""What a script writes at its top level: the fluent calls, each through the real client."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_runs_and_experiments_in_fluent_words(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow, pathlib
    import numpy as np, pandas as pd
    assert mlflow.is_tracking_uri_set() and mlflow.get_tracking_uri() == mlflow.get_registry_uri()
    mlflow.set_tracking_uri(mlflow.get_tracking_uri())
    mlflow.set_registry_uri(mlflow.get_tracking_uri())
    id = mlflow.create_experiment("fluent", tags={"team": "red"})
    assert mlflow.set_experiment("fluent").experiment_id == id
    mlflow.set_experiment_tag("a", "1")
    mlflow.set_experiment_tags({"b": "2", "c": "3"})
    mlflow.delete_experiment_tag("a")
    assert mlflow.get_experiment(id).tags.keys() >= {"team", "b", "c"}
    assert mlflow.get_experiment_by_name("fluent").experiment_id == id
    assert mlflow.get_experiment_by_name("never made") is None
    assert [e.name for e in mlflow.search_experiments(filter_string="name = 'fluent'")] == ["fluent"]

    frame = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0, 2.0]}), name="frame")
    with mlflow.start_run(run_name="outer", tags={"k": "v"}, description="what it is") as outer:
        assert mlflow.active_run().info.run_id == outer.info.run_id
        mlflow.log_param("p", 1)
        mlflow.log_params({"q": 2, "r": None})
        mlflow.log_metric("m", 1.5, step=3)
        mlflow.log_metrics({"m": 2.5, "n": float("nan")}, step=4)
        mlflow.log_metric("later", 1.0, synchronous=False)
        mlflow.flush_async_logging()
        mlflow.set_tag("t", "1")
        mlflow.set_tags({"u": "2", "v": "3"})
        mlflow.delete_tag("u")
        mlflow.log_input(frame, context="training", tags={"of": "us"})
        mlflow.log_inputs([frame], ["testing"], [{}])
        mlflow.log_text("x", "text.txt")
        pathlib.Path("file").write_text("y")
        mlflow.log_artifact("file")
        mlflow.flush_artifact_async_logging()
        assert mlflow.get_artifact_uri("text.txt").endswith("/artifacts/text.txt")
        with mlflow.start_run(nested=True, run_name="inner") as inner:
            pass
    assert mlflow.last_active_run().info.run_id == outer.info.run_id
    assert mlflow.get_parent_run(inner.info.run_id).info.run_id == outer.info.run_id
    run = mlflow.get_run(outer.info.run_id)
    assert run.data.params == {"p": "1", "q": "2", "r": "None"}, run.data.params
    assert run.data.metrics["m"] == 2.5 and np.isnan(run.data.metrics["n"]) and run.data.metrics["later"] == 1.0
    assert run.data.tags["t"] == "1" and "u" not in run.data.tags and run.data.tags["mlflow.note.content"]
    assert [i.dataset.name for i in run.inputs.dataset_inputs][0] == "frame"
    found = mlflow.search_runs(["%s" % id], "params.p = '1' AND metrics.m > 2", order_by=["metrics.m DESC"])
    assert list(found["run_id"]) == [outer.info.run_id] and found["params.q"][0] == "2"
    listed = mlflow.search_runs(experiment_names=["fluent"], output_format="list", max_results=1)
    assert len(listed) == 1
    mlflow.delete_run(inner.info.run_id)
    assert inner.info.run_id not in set(mlflow.search_runs([id])["run_id"])
    mlflow.restore_run(inner.info.run_id)
    assert inner.info.run_id in set(mlflow.search_runs([id])["run_id"])
    with mlflow.start_run(run_id=outer.info.run_id):
        mlflow.log_metric("m", 9, step=9)
    mlflow.start_run()
    mlflow.end_run("FAILED")
    assert mlflow.last_active_run().info.status == "FAILED"
    try:
        with mlflow.start_run() as broken:
            raise ValueError
    except ValueError:
        pass
    assert mlflow.get_run(broken.info.run_id).info.status == "FAILED"
    mlflow.delete_experiment(id)
    assert mlflow.get_experiment(id).lifecycle_stage == "deleted"
    mlflow.restore_experiment(id)
    """)


def test_models_in_fluent_words(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow, numpy as np
    from sklearn.linear_model import LinearRegression
    mlflow.set_experiment("fluent-models")
    model = mlflow.initialize_logged_model("mine", params={"a": "1"}, tags={"t": "1"}, model_type="net")
    assert model.status.name == "PENDING"
    mlflow.log_model_params({"b": "2"}, model_id=model.model_id)
    mlflow.set_logged_model_tags(model.model_id, {"u": "2"})
    mlflow.delete_logged_model_tag(model.model_id, "t")
    mlflow.finalize_logged_model(model.model_id, "READY")
    found = mlflow.get_logged_model(model.model_id)
    assert (found.params, found.tags["u"], found.status.name) == ({"a": "1", "b": "2"}, "2", "READY")
    outside = mlflow.create_external_model("elsewhere")
    assert mlflow.get_logged_model(outside.model_id).name == "elsewhere"
    mlflow.set_active_model(model_id=model.model_id)
    assert mlflow.get_active_model_id() == model.model_id
    with mlflow.start_run():
        mlflow.log_metric("loss", 0.25)
        mlflow.log_outputs([mlflow.entities.LoggedModelOutput(model.model_id, 0)])
    mlflow.clear_active_model()
    assert [m.value for m in mlflow.get_logged_model(model.model_id).metrics if m.key == "loss"] == [0.25]
    assert len(mlflow.search_logged_models(output_format="list", filter_string="name = 'mine'")) == 1
    rows = np.arange(6.0).reshape(3, 2)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(LinearRegression().fit(rows, rows[:, 0]), name="line",
                                        pip_requirements=["scikit-learn"])
    assert mlflow.last_logged_model().model_id == info.model_id
    version = mlflow.register_model(f"runs:/{run.info.run_id}/line", "fluent-line", tags={"x": "1"})
    assert version.version == "1" and mlflow.register_model(info.model_uri, "fluent-line").version == "2"
    mlflow.set_model_version_tag("fluent-line", "1", "y", "2")
    assert [v.version for v in mlflow.search_model_versions(filter_string="name = 'fluent-line'",
            order_by=["version_number ASC"])] == ["1", "2"]
    assert [m.name for m in mlflow.search_registered_models(filter_string="name = 'fluent-line'")] == ["fluent-line"]
    for address in ("models:/fluent-line/1", "models:/fluent-line/2"):
        assert mlflow.sklearn.load_model(address).predict(rows).shape == (3,)
    mlflow.register_prompt("fluent-prompt", "Hello {{name}}", commit_message="first", tags={"a": "1"})
    mlflow.register_prompt("fluent-prompt", "Hi {{name}}")
    mlflow.set_prompt_alias("fluent-prompt", "live", 1)
    assert mlflow.load_prompt("prompts:/fluent-prompt@live").format(name="A") == "Hello A"
    assert mlflow.load_prompt("fluent-prompt", version=2).template == "Hi {{name}}"
    assert "fluent-prompt" in [prompt.name for prompt in mlflow.search_prompts()]
    mlflow.delete_prompt_alias("fluent-prompt", "live")
    """)


def test_traces_in_fluent_words(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow
    from mlflow.entities import AssessmentSource, Feedback
    mlflow.set_experiment("fluent-traces")
    with mlflow.start_span("whole") as span:
        assert mlflow.get_current_active_span().span_id == span.span_id
        assert mlflow.get_active_trace_id() == span.trace_id
        inner = mlflow.start_span_no_context("part", parent_span=span)
        inner.end(outputs=1)
    mlflow.flush_trace_async_logging()
    id = mlflow.get_last_active_trace_id()
    assert [one.name for one in mlflow.get_trace(id).data.spans] == ["whole", "part"]
    said = mlflow.log_assessment(id, Feedback(name="fine", value=3, source=AssessmentSource("CODE", "check")))
    assert mlflow.get_assessment(id, said.assessment_id).feedback.value == 3
    other = mlflow.log_trace(name="told", request="q", response="a", tags={"from": "log"}, execution_time_ms=5)
    mlflow.flush_trace_async_logging()
    assert mlflow.get_trace(other).info.tags["from"] == "log"
    """)


def test_client_calls_on_artifacts(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import io, mlflow, pathlib
    from mlflow import MlflowClient
    client = MlflowClient()
    id = client.create_run(mlflow.set_experiment("fluent-artifacts").experiment_id).info.run_id
    pathlib.Path("folder").mkdir()
    pathlib.Path("folder/one").write_text("1")
    client.log_artifact(id, "folder/one")
    client.log_artifacts(id, "folder", "below")
    client.log_text(id, "t", "t.txt")
    client.log_dict(id, {"a": 1}, "d.json")
    client.log_table(id, {"c": [1, 2]}, "t.json")
    client.log_stream(id, io.BytesIO(b"streamed"), "stream.bin")
    assert len(client.load_table(mlflow.get_run(id).info.experiment_id, "t.json", [id])) == 2
    assert pathlib.Path(client.download_artifacts(id, "stream.bin")).read_bytes() == b"streamed"
    assert {f.path for f in client.list_artifacts(id)} == {"one", "below", "t.txt", "d.json", "t.json", "stream.bin"}
    model = client.create_logged_model(mlflow.get_run(id).info.experiment_id, name="files")
    client.log_model_artifact(model.model_id, "folder/one")
    client.log_model_artifacts(model.model_id, "folder")
    assert [f.path for f in client.list_logged_model_artifacts(model.model_id)] == ["one"]
    with mlflow.start_run(run_id=id):
        mlflow.log_stream(io.BytesIO(b"more"), "more.bin")
    """)
