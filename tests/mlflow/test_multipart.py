"""Large files in parts, through the real client: parts kept by this machine, and by an object store of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from textwrap import dedent

import pytest

from tests.contract.object_store import VARIABLES, ObjectStore
from tests.mlflow.client import Client
from tests.server.processes import Up

# So that 3 MB are what 500 MB are by default.
SMALL = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1000000",
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "1000000",
    "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": "700000",
}
COUNTED = """
import requests, mlflow, os, pathlib
from urllib.parse import urlsplit
asked = []
send = requests.Session.request
def counted(self, method, url, *more, **options):
    answer = send(self, method, url, *more, **options)
    asked.append((method.upper(), urlsplit(url).path, answer.status_code, urlsplit(url).port))
    return answer
requests.Session.request = counted
def calls(method, part):
    return [entry for entry in asked if entry[0] == method and part in entry[1]]
"""


def test_a_large_file_goes_up_in_parts(mlflow_client: Client) -> None:
    script = """
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    mlflow.set_experiment("multipart")
    data = os.urandom(3_200_001)
    pathlib.Path("large.bin").write_bytes(data)
    pathlib.Path("small.bin").write_bytes(data[:10])
    with mlflow.start_run() as run:
        mlflow.log_artifact("large.bin", "deep/er")
        mlflow.log_artifact("small.bin")
    sent = calls("PUT", "/mpu/part/")
    assert len(sent) == 4 and {entry[2] for entry in sent} == {200}, sent
    assert len(calls("POST", "/mpu/create/")) == len(calls("POST", "/mpu/complete/")) == 1
    assert len(calls("PUT", "/artifacts/")) == 1
    id = run.info.run_id
    (found,) = MlflowClient().list_artifacts(id, "deep/er")
    assert (found.path, found.file_size) == ("deep/er/large.bin", 3_200_001)
    # Where the store signs no addresses, the client fetches the file in one request.
    got = mlflow.artifacts.download_artifacts(run_id=id, artifact_path="deep/er/large.bin", dst_path="got")
    assert pathlib.Path(got).read_bytes() == data
    assert calls("GET", "/presigned/")[-1][2] == 501
    # An empty file has a part as well; given up, nothing is left.
    repository = get_artifact_repository(f"runs:/{id}/").repo
    pathlib.Path("empty").touch()
    repository._try_multipart_upload("empty")
    assert MlflowClient().list_artifacts(id)[1].file_size == 0
    begun = repository.create_multipart_upload("large.bin", 2)
    sent = repository._upload_part(begun.credentials[0], "large.bin", 100, 0)
    repository.abort_multipart_upload("large.bin", begun.upload_id)
    repository.abort_multipart_upload("large.bin", begun.upload_id)
    try:
        repository.complete_multipart_upload("large.bin", begun.upload_id, [sent])
    except requests.HTTPError as error:
        assert error.response.status_code == 404, error.response.text
    else:
        raise AssertionError("it was given up")
    assert "large.bin" not in [file.path for file in MlflowClient().list_artifacts(id)]
    """
    mlflow_client.check(COUNTED + dedent(script), **SMALL)


def test_what_does_not_fit_together_is_no_file(mlflow_client: Client) -> None:
    script = """
    mlflow.set_experiment("multipart-wrong")
    with mlflow.start_run() as run:
        pass
    root = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow-artifacts/mpu"
    folder = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    def post(what, status, folder=folder, **body):
        answer = requests.post(f"{root}/{what}/{folder}", json={"path": "f.bin", **body})
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()
    begun = post("create", 200, path="/data/of/mine/f.bin", num_parts=2)
    upload, (first, second) = begun["upload_id"], begun["credentials"]
    tag = requests.put(first["url"], data=b"one").headers["ETag"]
    part = {"part_number": 1, "etag": tag, "url": first["url"]}
    post("complete", 400, upload_id=upload, parts=[part, {"part_number": 2, "etag": "x"}])
    requests.put(second["url"], data=b"two")
    post("complete", 400, upload_id=upload, parts=[part, {"part_number": 2, "etag": "x"}])
    post("complete", 400, upload_id=upload, parts=[part, part])
    post("complete", 400, upload_id=upload, parts=[{"part_number": 3}])
    post("complete", 400, upload_id=upload, parts=[])
    post("complete", 400, upload_id=upload, path="other.bin", parts=[part])
    post("complete", 404, upload_id="0" * 32, parts=[part])
    post("complete", 404, upload_id="../" * 3, parts=[part])
    post("abort", 400, upload_id=upload, path="other.bin")
    for bad in ({"path": ""}, {"path": ".."}, {"num_parts": 0}, {"num_parts": 10_001}, {"num_parts": "many"}):
        post("create", 400, **{"num_parts": 1, **bad})
    post("create", 400, folder="a/..%252f..", num_parts=1)
    base = second["url"].rpartition("/")[0]
    told = [requests.put(f"{base}/{number}", data=b"x").status_code for number in ("0", "3", "x", "-1", "2/3")]
    assert told == [400] * 4 + [404]
    assert requests.put(f"{base[:-1]}/1", data=b"x").status_code == 404
    assert mlflow.artifacts.list_artifacts(run_id=run.info.run_id) == []
    post("complete", 200, upload_id=upload, parts=[part, {"part_number": 2}])
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/f.bin") == "onetwo"
    post("complete", 404, upload_id=upload, parts=[part])
    """
    mlflow_client.check(COUNTED + dedent(script))


@pytest.fixture
def far_away(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Up, int]]:
    """A server whose bytes lie in an object store, and the port of that."""
    store = ObjectStore()
    for name, value in {**VARIABLES, "AWS_ENDPOINT_URL": store.endpoint}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOMEOSTAT_BYTES", f"s3://{store.new_bucket()}/homeostat")
    monkeypatch.setenv("HOMEOSTAT_MAX_BODY_MB", "1")  # of calls; files are larger
    server = Up(tmp_path_factory.mktemp("far") / "home", control_only=True)
    yield server, store.port
    code, said = server.stop(signal.SIGTERM)
    store.stop()
    assert code == 0, said
    assert "Traceback" not in said, said


def test_an_object_store_takes_and_gives_the_bytes_itself(mlflow_client: Client, far_away: tuple[Up, int]) -> None:
    server, port = far_away
    script = """
    mlflow.set_experiment("multipart")
    data = os.urandom(3_200_001)
    pathlib.Path("large.bin").write_bytes(data)
    with mlflow.start_run() as run:
        mlflow.log_artifact("large.bin", "deep")
    store = [entry for entry in asked if entry[3] == PORT]
    assert [entry[0] for entry in store] == ["PUT"] * 4 and {entry[2] for entry in store} == {200}, asked
    asked.clear()
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="deep/large.bin", dst_path="got")
    assert pathlib.Path(got).read_bytes() == data
    assert len([entry for entry in asked if entry[3] == PORT]) == 5, asked
    assert calls("GET", "/mlflow-artifacts/artifacts/") == []
    asked.clear()
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "false"
    with mlflow.start_run(run.info.run_id):
        mlflow.log_artifact("large.bin", "whole")
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="whole/large.bin", dst_path="got")
    assert pathlib.Path(got).read_bytes() == data
    assert not [entry for entry in asked if entry[3] == PORT], asked
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"
    # What it has not is told as before.
    try:
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="deep/gone.bin", dst_path="got")
    except Exception as error:
        assert "Failed to download artifacts from path 'gone.bin'" in str(error), error
    else:
        raise AssertionError("it is not there")
    """
    told = COUNTED + f"PORT = {port}\n" + dedent(script)
    mlflow_client.check(told, **{**SMALL, "MLFLOW_TRACKING_URI": server.url})
