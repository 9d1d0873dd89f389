"""`mlflow.evaluate` and Optuna's storage, through the real client: what they log, and what others read of it."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_a_model_and_a_table_are_evaluated(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
    import matplotlib
    import mlflow, numpy as np, pandas as pd
    from mlflow import MlflowClient
    from sklearn.linear_model import LogisticRegression
    mlflow.set_experiment("evaluated")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"])
    frame = rows.assign(label=(rows.a + rows.b > 0).astype(int))
    model = LogisticRegression().fit(rows, frame.label)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(model, name="m")
        found = mlflow.models.evaluate(
            info.model_uri, frame, targets="label", model_type="classifier", evaluator_config={"log_explainer": False}
        )
    kept = mlflow.get_run(run.info.run_id)
    assert kept.data.metrics["accuracy_score"] == found.metrics["accuracy_score"] > 0.9, kept.data.metrics
    assert kept.data.metrics["example_count"] == 80
    pictures = {file.path for file in MlflowClient().list_artifacts(run.info.run_id)}
    assert {"confusion_matrix.png", "roc_curve_plot.png"} <= pictures, pictures
    (seen,) = kept.inputs.dataset_inputs
    assert seen.dataset.name == "dataset" and kept.outputs.model_outputs[0].model_id == info.model_id
    of_model = {metric.key: metric for metric in mlflow.get_logged_model(info.model_id).metrics}
    assert of_model["roc_auc"].value == found.metrics["roc_auc"], of_model
    assert of_model["roc_auc"].dataset_digest == seen.dataset.digest
    best = mlflow.search_logged_models(filter_string="metrics.roc_auc > 0.5", output_format="list",
                                       experiment_ids=[kept.info.experiment_id])
    assert [one.model_id for one in best] == [info.model_id]
    # A table of predictions alone, with a table of figures of its own.
    def count(predictions, targets):
        return float((predictions != targets).sum())
    wrong = mlflow.models.make_metric(eval_fn=count, greater_is_better=False, name="wrong")
    with mlflow.start_run() as run:
        data = mlflow.data.from_pandas(
            frame.assign(said=model.predict(rows)), targets="label", predictions="said", name="said"
        )
        found = mlflow.evaluate(data=data, model_type="regressor", extra_metrics=[wrong])
        mlflow.log_table({"row": [1, 2], "score": [0.5, 0.25]}, "scores.json")
    kept = mlflow.get_run(run.info.run_id)
    assert kept.data.metrics["wrong"] == 80 * found.metrics["mean_absolute_error"], kept.data.metrics
    assert kept.inputs.dataset_inputs[0].dataset.name == "said"
    assert list(mlflow.load_table("scores.json", run_ids=[run.info.run_id])["score"]) == [0.5, 0.25]
    limit = mlflow.models.MetricThreshold(threshold=0.5, greater_is_better=False)
    mlflow.validate_evaluation_results({"mean_absolute_error": limit}, found)
    with mlflow.start_run() as run:
        figure, axes = matplotlib.pyplot.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "drawn/line.png")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), key="seen", step=3)
        mlflow.flush_artifact_async_logging()
    listed = MlflowClient().list_artifacts
    files = {file.path for folder in ("drawn", "images") for file in listed(run.info.run_id, folder)}
    assert "drawn/line.png" in files and len(files) == 3, files
    """
    )


def test_optuna_keeps_a_study_here(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import optuna, mlflow
    from mlflow.optuna.storage import MlflowStorage
    experiment = mlflow.set_experiment("study").experiment_id
    def objective(trial):
        x, word = trial.suggest_float("x", -3, 3), trial.suggest_categorical("word", ["a", "b"])
        for step in range(2):
            trial.report(x * x + step, step)
        trial.set_user_attr("note", word)
        if trial.number == 1:
            raise optuna.TrialPruned
        return x * x
    study = optuna.create_study(
        study_name="s", storage=MlflowStorage(experiment_id=experiment), sampler=optuna.samplers.RandomSampler(seed=1)
    )
    study.optimize(objective, n_trials=3)
    again = optuna.load_study(study_name="s", storage=MlflowStorage(experiment_id=experiment))
    assert [trial.state.name for trial in again.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert (again.best_value, again.best_params) == (study.best_value, study.best_params)
    reported = [trial.intermediate_values for trial in again.trials]
    assert reported == [trial.intermediate_values for trial in study.trials] != [{}] * 3
    assert again.trials[0].user_attrs["note"] == again.trials[0].params["word"]
    runs = mlflow.search_runs([experiment], output_format="list", filter_string="tags.`mlflow.parentRunId` IS NOT NULL")
    assert len(runs) == 3 and all("x" in run.data.params for run in runs), runs
    """)
