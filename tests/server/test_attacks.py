"""Attacks that other tracking servers fell to, against ours, each as a request: refused, or without effect.

docs/security.md lists them all with the tests that hold them; here are those without a better place.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.registry.mlmodel import read_mlmodel
from tests.server.running import Answer, Running

API = "/api/2.0/mlflow/"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEOSTAT_MAX_BODY_MB", "8")
        with hs.open(Path(tmp_path_factory.mktemp("attacks")) / "home") as ws:
            running = Running(ws)
            yield running
            running.stop()


@pytest.fixture
def run(plane: Running) -> str:
    return post(plane, "runs/create", experiment_id="0").json["run"]["info"]["run_id"]


def post(plane: Running, call: str, **body: Any) -> Answer:
    return plane.post(API + call, body)


def test_who_creates_a_run_sets_nothing_but_what_creating_takes(plane: Running):
    made = post(
        plane, "runs/create", experiment_id="0", run_id="a" * 32, run_uuid="b" * 32, id="c" * 32, status="FINISHED",
        seq=1, lifecycle_stage="deleted", artifact_uri="file:///etc", actor="root", owner="root", end_time=5,
    ).json["run"]["info"]  # fmt: skip
    assert made["run_id"] not in ("a" * 32, "b" * 32, "c" * 32) and made["status"] == "RUNNING"
    assert made["lifecycle_stage"] == "active" and "end_time" not in made and "/etc" not in made["artifact_uri"]
    for wanted in "abc":
        assert plane.request("GET", f"{API}runs/get?run_id={wanted * 32}").status == 404


def test_a_version_takes_its_number_and_standing_from_nobody(plane: Running):
    post(plane, "registered-models/create", name="mass", creation_timestamp=1, latest_versions=[{"version": "9"}])
    made = post(
        plane, "model-versions/create", name="mass", source="s3://b/m", version="77", current_stage="Production",
        status="READY", user_id="root", aliases=["champion"], digest="0" * 64,
    ).json["model_version"]  # fmt: skip
    assert made["version"] == "1" and made["current_stage"] == "None" and not made.get("aliases")


SQL = [
    "metrics.`x'; drop table tracking_run; --` > 1", "params.`x` = 'a'' or ''1''=''1'", "tags.`a\\` or 1=1 --` = 'x'",
    "attributes.status = 'FINISHED' union select * from team_token", "metrics.auc > 1; drop table tracking_run",
    "params.x = 'a' -- '", "tags.`\x00` = 'x'", "attributes.`run_id` = '' or '' = ''", "params.x like '%' escape '%'",
]  # fmt: skip


@pytest.mark.parametrize("text", SQL)
def test_no_filter_or_order_is_sql(plane: Running, run: str, text: str):
    for body in ({"filter": text}, {"order_by": [text]}, {"order_by": [f"{text} DESC"]}, {"page_token": text}):
        answer = post(plane, "runs/search", experiment_ids=["0"], **body)
        assert answer.status == 400 or not answer.json.get("runs") or "order_by" in body, answer.body
    for where in ("registered-models", "model-versions"):
        from urllib.parse import quote

        assert plane.request("GET", f"{API}{where}/search?filter={quote(text)}").status in (200, 400)
    assert plane.request("GET", f"{API}runs/get?run_id={run}").status == 200


def test_a_value_that_looks_like_sql_is_a_value(plane: Running, run: str):
    evil = "'); drop table tracking_run; --"
    assert post(plane, "runs/set-tag", run_id=run, key="k", value=evil).status == 200
    found = post(plane, "runs/search", experiment_ids=["0"], filter='tags.k = "' + evil + '"').json["runs"]
    assert [one["info"]["run_id"] for one in found] == [run]


@pytest.mark.parametrize("pattern", ["%a" * 200 + "b", "%" * 5000, "_%" * 500, "[" * 2000, "%" + "a%" * 1000])
def test_a_pattern_is_answered_or_refused(plane: Running, run: str, pattern: str):
    """What would backtrack for ever elsewhere; the test's own time limit is the judge."""
    post(plane, "runs/set-tag", run_id=run, key="long", value="a" * 4000)
    for word in ("LIKE", "ILIKE"):
        answer = post(plane, "runs/search", experiment_ids=["0"], filter=f"tags.long {word} '{pattern}'")
        assert answer.status in (200, 400)


LAUGHS = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%b]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)
)


@pytest.mark.parametrize("field", [b"run_id", b"model_id", b"flavors", b"signature"])
def test_a_file_that_says_the_same_a_billion_times_fills_no_memory(field: bytes):
    found = read_mlmodel(LAUGHS + field + b": *a11\n")
    assert (found.run_id, found.model_id, found.flavors) == ("", "", [])


@pytest.mark.parametrize(
    "data", [b"x: " + b"9" * 10_000, b"x: 2024-13-45", b"x: !!bool maybe", b"x: !!timestamp y", b"x: !!float y",
             b"? {}\n: 1", b"[" * 5000, b"x: !!int y", b"<<: 1", b"x: !!binary \xff", b"x: !!python/name:os.system"],
)  # fmt: skip
def test_yaml_that_breaks_its_reader_is_refused(data: bytes):
    with contextlib.suppress(InvalidInput):
        assert read_mlmodel(data).flavors == []


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_a_pickle_is_kept_listed_registered_and_downloaded_and_never_opened(plane: Running, run: str, tmp_path: Path):
    marker = tmp_path / "run by the server"
    files = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model"
    data = pickle.dumps(Evil(marker))
    mlmodel = b"flavors: {python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}, sklearn: {}}"
    assert plane.request("PUT", f"{files}/model.pkl", data).status == 200
    assert plane.request("PUT", f"{files}/MLmodel", mlmodel).status == 200
    post(plane, "registered-models/create", name="pickled")
    made = post(plane, "model-versions/create", name="pickled", source=f"runs:/{run}/model", run_id=run)
    assert made.status == 200, made.body
    for path in (f"{files}/model.pkl", f"/preview/{run}/model/model.pkl", f"{API}artifacts/list?run_id={run}",
                 f"{API}model-versions/get?name=pickled&version=1",
                 "/api/v1/registry/get_version?model=pickled"):  # fmt: skip
        plane.request("GET", path)
    assert plane.request("GET", f"{files}/model.pkl").body == data
    assert not marker.exists()


def test_a_gzip_bomb_is_refused(plane: Running):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", "X-MLflow-Experiment-Id": "0"}
    bomb = gzip.compress(b"\0" * (64 << 20))
    assert len(bomb) < 1 << 20
    answer = plane.request("POST", "/v1/traces", bomb, headers)
    assert (answer.status, answer.json["error_code"]) == (413, "INVALID_PARAMETER_VALUE")


def test_a_login_leads_nowhere_else(plane: Running):
    secret = plane.workspace.team.create_token("eve").secret
    own = {"Origin": f"http://127.0.0.1:{plane.port}"}
    for query in ("?next=https://evil.example", "?next=//evil.example", "?redirect=javascript:alert(1)"):
        answer = plane.request("POST", f"/login{query}", f"token={secret}&next=https://evil.example", own)
        assert (answer.status, answer.headers["Location"]) == (303, "/")


def test_secrets_of_hooks_stay_out_of_the_audit_log(plane: Running):
    secret, where = "s3cr3t-of-the-hook", "https://8.8.8.8/services/T0/B0/very-secret-part"
    made = post(plane, "webhooks", name="h", url=where, secret=secret,
                events=[{"entity": "REGISTERED_MODEL", "action": "CREATED"}])  # fmt: skip
    assert made.status == 200 and secret not in made.body.decode()
    told = json.dumps([entry.arguments for entry in plane.workspace.team.list_audit()])
    assert secret not in told and "very-secret-part" not in told


def test_names_that_are_programs_are_text(plane: Running):
    evil = "<img src=x onerror=alert(1)>"
    post(plane, "registered-models/create", name=evil)
    shown = plane.request("GET", f"{API}registered-models/search")
    assert shown.headers["Content-Type"] == "application/json" and shown.headers["X-Content-Type-Options"] == "nosniff"
    missing = plane.request("GET", f"{API}runs/get?run_id={evil.replace(' ', '%20')}", headers={"Accept": "text/html"})
    assert missing.status == 404 and missing.headers["Content-Type"] == "application/json"
    assert plane.request("GET", "/%3Cscript%3Ealert(1)%3C/script%3E").headers["Content-Type"] == "application/json"


def test_answers_are_kept_by_no_cache_between(plane: Running, run: str):
    for path in (f"{API}runs/get?run_id={run}", "/api/v1/tracking/search_runs", "/", f"{API}nothing"):
        assert plane.request("GET", path, headers={"X-Forwarded-Host": "evil"}).headers["Cache-Control"] == "no-store"
