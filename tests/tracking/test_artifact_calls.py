"""MLflow's artifact calls as requests: what a path may be, parts of a file, headers, limits, refusals."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.tracking.artifact_paths import check_path
from tests.server.running import Running

ROOT = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEOSTAT_MAX_ARTIFACT_MB", "8")
        with hs.open(tmp_path_factory.mktemp("artifacts") / "home") as workspace:
            running = Running(workspace)
            yield running
            running.stop()


@pytest.fixture(scope="module")
def run_id(plane: Running) -> str:
    run = plane.workspace.tracking.create_run("files")
    plane.workspace.tracking.log_artifact(run.id, "page.html", b"<script>alert(1)</script>")
    plane.workspace.tracking.log_artifact(run.id, "plots/roc ü.png", bytes(range(100)))
    return run.id


def names(plane: Running, path: str) -> list[str]:
    return [entry["path"] for entry in plane.request("GET", f"{ROOT}?path={quote(path)}").json.get("files", [])]


def test_what_is_put_comes_back_in_a_run_and_elsewhere(plane: Running, run_id: str):
    data = hashlib.sha256(b"x").digest() * 200_000
    for path in (f"0/{run_id}/artifacts/deep/big.bin", "0/models/m-1/artifacts/big.bin", "loose/big.bin"):
        assert plane.request("PUT", f"{ROOT}/{path}", data).json == {}
        assert plane.request("GET", f"{ROOT}/{path}").body == data
    assert plane.workspace.tracking.read_artifact(run_id, "deep/big.bin") == data
    listed = plane.request("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run_id}&path=deep").json
    assert listed["files"] == [{"path": "deep/big.bin", "is_dir": False, "file_size": len(data)}]
    assert listed["root_uri"].endswith(f"/{run_id}/artifacts")
    assert names(plane, "0/models/m-1/artifacts") == ["big.bin"]
    assert names(plane, "0") == ["models"] and names(plane, "0/models") == ["m-1"]
    assert names(plane, "loose") == ["big.bin"] and "loose" in names(plane, "")
    assert plane.request("DELETE", f"{ROOT}/0/models").status == 200
    assert plane.request("GET", f"{ROOT}/0/models/m-1/artifacts/big.bin").status == 404
    assert names(plane, "0/models/m-1/artifacts") == []
    assert plane.request("DELETE", f"{ROOT}/0/{run_id}/artifacts/deep").status == 200
    assert plane.workspace.tracking.list_artifacts(run_id)[0].path == "page.html"
    assert names(plane, "loose") == ["big.bin"]


def test_a_part_of_a_file_and_a_file_that_did_not_change(plane: Running, run_id: str):
    path = f"{ROOT}/0/{run_id}/artifacts/plots/{quote('roc ü.png')}"
    whole = plane.request("GET", path)
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, bytes(range(100)), "100")
    for asked, status, body in [
        ("bytes=10-19", 206, bytes(range(10, 20))), ("bytes=-5", 206, bytes(range(95, 100))),
        ("bytes=90-", 206, bytes(range(90, 100))), ("bytes=100-", 416, b""), ("bytes=-0", 416, b""),
        ("bytes=5-4", 200, whole.body), ("bytes=0-1,5-6", 200, whole.body), ("lines=1-2", 200, whole.body),
        ("bytes=0-99999999999999999999999", 200, whole.body),
    ]:  # fmt: skip
        answer = plane.request("GET", path, headers={"Range": asked})
        assert (answer.status, answer.body) == (status, body), asked
    part = plane.request("GET", path, headers={"Range": "bytes=10-19", "If-Range": whole.headers["ETag"]})
    assert part.headers["Content-Range"] == "bytes 10-19/100"
    assert plane.request("GET", path, headers={"Range": "bytes=10-19", "If-Range": '"old"'}).status == 200
    same = plane.request("GET", path, headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")
    head = plane.request("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "100")


def test_a_browser_saves_it_and_never_runs_it(plane: Running, run_id: str):
    for path in (f"{ROOT}/0/{run_id}/artifacts/page.html", f"/get-artifact?run_uuid={run_id}&path=page.html"):
        answer = plane.request("GET", path)
        assert answer.body.startswith(b"<script>")
        assert answer.headers["Content-Disposition"] == "attachment; filename=page.html"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")


@pytest.mark.parametrize(
    "path",
    [
        "..", "../x", "a/../../x", "%2e%2e/x", "%252e%252e%252fx", "a/..%2fx", "a%5c..%5cx", "a/%01/b", "a%23b",
        "C:%5cx", "a%0d%0ab", "x" * 2000, "%25252e%25252e/x", "a/%2e%2e",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(plane: Running, run_id: str, path: str):
    for method, body in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
        answer = plane.request(method, f"{ROOT}/0/{run_id}/artifacts/{path}", body)
        assert answer.status == 400, method
        assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE" and "Invalid path" in answer.json["message"]


@pytest.mark.parametrize("path", ["%2fetc/passwd", "file:///etc/passwd", "C:/x", "../x", "%252e%252e/x", "a%00b"])
def test_so_it_is_in_every_call(plane: Running, run_id: str, path: str):
    asks = (f"{ROOT}/", f"{ROOT}?path=", f"/api/2.0/mlflow/artifacts/list?run_id={run_id}&path=",
            f"/get-artifact?run_id={run_id}&path=")  # fmt: skip
    for ask in asks:
        answer = plane.request("GET", ask + path)
        assert answer.status == 400 and b"Invalid" in answer.body, ask


@pytest.mark.parametrize("path", ["a//b/./c/", "a/b/c"])
def test_a_path_has_one_form(path: str):
    assert check_path(path) == "a/b/c"


def test_a_name_may_hold_signs_that_mean_nothing_here():
    for path in ("50%.txt", "fold:1/roc.png", "a&b=c d.csv", "Ω/ü"):
        assert check_path(path) == path
    with pytest.raises(InvalidInput):
        check_path("")


def test_what_is_not_there_and_what_is_a_folder(plane: Running, run_id: str):
    gone = plane.request("GET", f"{ROOT}/0/{run_id}/artifacts/gone")
    assert (gone.status, gone.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    folder = plane.request("GET", f"{ROOT}/0/{run_id}/artifacts/plots")
    assert (folder.status, folder.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "directory" in folder.json["message"]
    for ask in ("/api/2.0/mlflow/artifacts/list?run_id=none", "/get-artifact?run_id=none&path=x"):
        answer = plane.request("GET", ask)
        assert (answer.status, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert plane.request("GET", "/api/2.0/mlflow/artifacts/list").status == 400
    assert plane.request("DELETE", f"{ROOT}/.").status == 400


def test_a_file_and_a_folder_do_not_share_a_name(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run("files")
    running = Running(any_ws)
    for below in (f"0/{run.id}/artifacts", "0/models/m-1/artifacts", "loose"):

        def put(path: str, below: str = below) -> int:
            return running.request("PUT", f"{ROOT}/{below}/{quote(path)}", b"x").status

        # Beside a folder, names that begin as its name does, and signs that mean something to a database.
        free = ("a/b/c.txt", "a.txt", "a0", "a/b0", "a/b", "a-/x", "x_y/z", "xay", "100%/z", "100", "A")
        assert {path: put(path) for path in free} == {path: 400 if path == "a/b" else 200 for path in free}, below
        refused = ("a", "x_y", "100%", "a.txt/x", "a/b/c.txt/d/e")
        assert {put(path) for path in refused} == {400}, below
        assert put("a/b/c.txt") == 200  # again
    told = running.request("PUT", f"{ROOT}/0/{run.id}/artifacts/a", b"x").json
    assert (told["error_code"], "'a' is a folder" in told["message"]) == ("INVALID_PARAMETER_VALUE", True), told
    running.stop()


def test_more_than_the_limit_is_refused_and_nothing_stays(plane: Running, run_id: str):
    path = f"{ROOT}/0/{run_id}/artifacts/large"
    told = plane.request("PUT", path, b"", {"Content-Length": str(9 << 20)})
    assert told.status == 413 and "HOMEOSTAT_MAX_ARTIFACT_MB" in told.json["message"]
    piece = b"x" * (1 << 20)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for _ in range(9)) + b"0\r\n\r\n"
    untold = plane.request("PUT", path, chunks, {"Transfer-Encoding": "chunked"})
    assert untold.status == 413
    assert plane.request("GET", path).status == 404
    assert not list((plane.workspace.home / "blobs" / "incoming").iterdir())


def test_an_upload_that_breaks_off_leaves_nothing(plane: Running, run_id: str):
    path = f"{ROOT}/0/{run_id}/artifacts/cut"
    with socket.create_connection(("127.0.0.1", plane.port)) as line:
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{plane.port}\r\nContent-Length: 1000\r\n\r\n"
        line.sendall(head.encode() + b"half")
    # The next answer comes after the broken one was dealt with.
    assert plane.request("GET", path).status == 404
    assert plane.workspace.blobs.exists("0" * 64) is False


def test_pages_may_upload_a_small_file(plane: Running, run_id: str):
    path = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=note.txt"
    assert plane.request("POST", path, b"hello").status == 200
    assert plane.workspace.tracking.read_artifact(run_id, "note.txt") == b"hello"
    assert plane.request("POST", path, b"").status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/2.0/mlflow-artifacts/presigned/0/x"),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url"),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-download-url"),
    ],
)
def test_what_the_store_cannot_is_said(plane: Running, method: str, path: str):
    answer = plane.request(method, path, b"{}" if method == "POST" else None)
    assert (answer.status, answer.json["error_code"]) == (501, "NOT_IMPLEMENTED")
