"""Artifacts through the real client: files, folders, text, figures' bytes, lists, downloads."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_files_and_folders_go_up_and_come_back(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow, os, pathlib, pandas
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    client = MlflowClient()
    mlflow.set_experiment("artifacts")
    names = ["plain.txt", "a b.txt", "ü Ω.bin", "50%.txt", "x=1&y=2.csv", "deep/er/still.json", "empty"]
    for name in names:
        path = pathlib.Path("tree", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else os.urandom(3_000))
    with mlflow.start_run() as run:
        mlflow.log_artifacts("tree")
        mlflow.log_artifacts("tree", artifact_path="below")
        mlflow.log_artifact("tree/plain.txt", "one")
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.yaml")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_table({"row": [1, 2], "word": ["x", "y"]}, "table.json")
        mlflow.log_table({"row": [3], "word": ["z"]}, "table.json")
    id = run.info.run_id
    assert run.info.artifact_uri == mlflow.get_artifact_uri() if mlflow.active_run() else True
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/") and run.info.artifact_uri.endswith(f"{id}/artifacts")
    top = {file.path: (file.is_dir, file.file_size) for file in client.list_artifacts(id)}
    assert top["deep"] == (True, None) and top["plain.txt"] == (False, 3_000) and top["empty"] == (False, 0), top
    assert {name for name in names if "/" not in name} <= set(top)
    assert [file.path for file in client.list_artifacts(id, "below/deep")] == ["below/deep/er"]
    assert client.list_artifacts(id, "plain.txt") == [] and client.list_artifacts(id, "nothing/here") == []
    for start in ("", "below"):
        folder = pathlib.Path(client.download_artifacts(id, start))
        for name in names:
            assert (folder / name).read_bytes() == pathlib.Path("tree", name).read_bytes(), name
    again = mlflow.artifacts.download_artifacts(artifact_uri=f"runs:/{id}/one/plain.txt", dst_path="again")
    assert pathlib.Path(again).read_bytes() == pathlib.Path("tree/plain.txt").read_bytes()
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/hello.txt") == "hello"
    assert mlflow.artifacts.load_dict(f"runs:/{id}/config.json") == {"a": [1, 2]}
    assert [file.path for file in mlflow.artifacts.list_artifacts(run_id=id, artifact_path="one")] == ["one/plain.txt"]
    assert list(mlflow.load_table("table.json", run_ids=[id])["word"]) == ["x", "y", "z"]
    client.log_text(id, "again", "notes/hello.txt")
    assert mlflow.artifacts.load_text(f"runs:/{id}/notes/hello.txt") == "again"
    for path in ("gone.txt", "deep/gone"):
        try:
            client.download_artifacts(id, path)
        except MlflowException as error:
            assert "No such artifact" in str(error) or error.error_code == "RESOURCE_DOES_NOT_EXIST", error
        else:
            raise AssertionError(path)
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.delete_artifacts("below")
    repository.delete_artifacts("below")
    assert not {file.path for file in client.list_artifacts(id)} & {"below"}
    """)


def test_artifacts_lie_where_the_experiment_says(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow, pathlib
    from mlflow import MlflowClient
    client = MlflowClient()
    elsewhere = client.create_experiment("artifacts-elsewhere", artifact_location="mlflow-artifacts:/team/red")
    with mlflow.start_run(experiment_id=elsewhere) as run:
        mlflow.log_text("there", "a/b.txt")
    assert run.info.artifact_uri == f"mlflow-artifacts:/team/red/{run.info.run_id}/artifacts"
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/a/b.txt") == "there"
    local = client.create_experiment("artifacts-local", artifact_location=pathlib.Path("mine").absolute().as_uri())
    with mlflow.start_run(experiment_id=local) as run:
        mlflow.log_text("here", "b.txt")
    assert (pathlib.Path("mine") / run.info.run_id / "artifacts" / "b.txt").read_text() == "here"
    """)
