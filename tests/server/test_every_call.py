"""Every call of every foreign protocol, with arguments that are almost right: never a fault of ours.

A valid example of each call is changed in one place or several (types, sizes, nulls, nesting, huge numbers, odd text)
by a seeded chance; calls without an example get the arguments that their module reads. `HOMEOSTAT_FUZZ=200` tries that
many for each call.
"""

from __future__ import annotations

import copy
import inspect
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

import homeostat as hs
from homeostat.core.foreign import Rpc
from homeostat.server.foreign import all_rpcs
from tests.server.running import Answer, Running

EACH = int(os.environ.get("HOMEOSTAT_FUZZ", "8"))
API = "/api/2.0/mlflow/"

DEEP: Any = "bottom"
for _ in range(50):
    DEEP = {"a": [DEEP]}
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, 1e308, -1e-320,
    float("nan"), float("inf"), "", " ", "0", "-1", "1e5", "NaN", "9" * 30, "9" * 5000, "x" * 10_000, "a\0b", "\0",
    "a\nb\r", "\u202e\U0001f4a5", "%00", "%", "_", "../..", "..", "/", "\\", "'; drop table tracking_run; --", '"', "`",
    "a = 'b", "metrics.x > ", "(((((((((", "\ud7ff\uffff", [], [[]], [None], [1, "a"], ["a"] * 2000, {}, {"a": None},
    {"key": {}}, [{}], [{"key": None}], DEEP,
]  # fmt: skip


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with hs.open(Path(tmp_path_factory.mktemp("fuzz")) / "home") as ws:
        running = Running(ws)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def there(plane: Running) -> dict[str, str]:
    """Ids of what there is, by the name that calls have for it."""

    def post(call: str, **body: Any) -> dict[str, Any]:
        answer = plane.post(API + call, body)
        assert answer.status == 200, answer.body
        return answer.json

    run = post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    post("runs/log-metric", run_id=run, key="auc", value=0.5, timestamp=1, step=1)
    post("registered-models/create", name="m")
    post("model-versions/create", name="m", source="s3://b/m")
    model = post("logged-models", experiment_id="0", name="lm")["model"]["info"]["model_id"]
    hook = post(
        "webhooks", name="h", url="https://8.8.8.8/h", events=[{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
    )
    return {"run_id": run, "model_id": model, "webhook_id": hook["webhook"]["webhook_id"], "trace_id": "tr-0"}


def examples(there: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Valid arguments of calls, by their path below the root."""
    run = {"run_id": there["run_id"]}
    tag = {"key": "k", "value": "v"}
    point = {"key": "auc", "value": 0.5, "timestamp": 1, "step": 2}
    search = {"experiment_ids": ["0"], "filter": "metrics.auc > 0.1", "max_results": 5, "page_token": "",
              "order_by": ["metrics.auc DESC"]}  # fmt: skip
    model, version = {"name": "m"}, {"name": "m", "version": "1"}
    data = {"dataset": {"name": "d", "digest": "x", "source_type": "t", "source": "s"}, "tags": [tag]}
    within = {"mlflow_experiment": {"experiment_id": "0"}}
    event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
    trace = {"trace_id": "tr-0", "trace_location": {"type": "MLFLOW_EXPERIMENT", **within},
             "request_time": "2024-01-01T00:00:00Z", "execution_duration": "1.5s", "state": "OK",
             "trace_metadata": {"a": "b"}, "tags": {"a": "b"}}  # fmt: skip
    return {
        "experiments/create": {"name": "e", "tags": [tag], "artifact_location": ""},
        "experiments/get": {"experiment_id": "0"}, "experiments/get-by-name": {"experiment_name": "Default"},
        "experiments/update": {"experiment_id": "0", "new_name": "Default"},
        "experiments/search": {"max_results": 5, "filter": "name LIKE 'a%'", "order_by": ["name ASC"],
                               "view_type": "ALL"},
        "experiments/set-experiment-tag": {"experiment_id": "0", **tag},
        "runs/create": {"experiment_id": "0", "start_time": 1, "run_name": "r", "tags": [tag], "user_id": "u"},
        "runs/update": {**run, "status": "RUNNING", "end_time": 5, "run_name": "r"}, "runs/get": run,
        "runs/log-metric": {**run, **point}, "runs/log-parameter": {**run, **tag}, "runs/set-tag": {**run, **tag},
        "runs/log-batch": {**run, "metrics": [point, point], "params": [{"key": "p", "value": "1"}], "tags": [tag]},
        "runs/search": search, "runs/log-inputs": {**run, "datasets": [data], "models": [{"model_id": "m-1"}]},
        "runs/outputs": {**run, "models": [{"model_id": there["model_id"], "step": 1}]},
        "metrics/get-history": {**run, "metric_key": "auc", "max_results": 5},
        "metrics/get-history-bulk": {**run, "metric_key": "auc"},
        "metrics/get-history-bulk-interval": {"run_ids": [there["run_id"]], "metric_key": "auc", "max_results": 5},
        "artifacts/list": {**run, "path": "a"},
        "registered-models/create": {**model, "tags": [tag], "description": "d"}, "registered-models/get": model,
        "registered-models/search": {"filter": "name = 'm'", "max_results": 5, "order_by": ["name"]},
        "registered-models/set-tag": {**model, **tag},
        "registered-models/alias": {**model, "alias": "a", "version": "1"},
        "registered-models/get-latest-versions": {**model, "stages": ["None"]},
        "model-versions/create": {**model, "source": "s3://b/m", "run_id": there["run_id"], "tags": [tag]},
        "model-versions/get": version, "model-versions/update": {**version, "description": "d"},
        "model-versions/search": {"filter": "name = 'm'", "max_results": 5, "order_by": ["version_number DESC"]},
        "model-versions/set-tag": {**version, **tag}, "model-versions/get-download-uri": version,
        "model-versions/transition-stage": {**version, "stage": "Staging", "archive_existing_versions": True},
        "logged-models": {"experiment_id": "0", "name": "lm", "params": [tag], "tags": [tag], "source_run_id": ""},
        "logged-models/search": {"experiment_ids": ["0"], "filter": "name = 'lm'", "max_results": 5,
                                 "order_by": [{"field_name": "name", "ascending": True}],
                                 "datasets": [{"dataset_name": "d"}]},
        "logged-models/{model_id}": {"status": "LOGGED_MODEL_READY"}, "logged-models/{model_id}/tags": {"tags": [tag]},
        "logged-models/{model_id}/params": {"params": [tag]},
        "traces": {"trace": {"trace_info": trace}, "experiment_id": "0", "timestamp_ms": 1},
        "traces/{trace_id}/tags": tag,
        "issues": {"experiment_id": "0", "name": "i", "description": "d", "severity": "low", "categories": ["c"]},
        "issues/{issue_id}": {"name": "j", "status": "resolved", "metadata": {"a": "b"}},
        "issues/search": {"experiment_id": "0", "filter_string": "status = 'pending'", "order_by": ["name DESC"]},
        "traces/{request_id}": {"timestamp_ms": 2, "status": "OK", "tags": [tag], "request_metadata": [tag]},
        "traces/metrics": {
            "experiment_ids": ["0"], "view_type": "SPANS", "metric_name": "span_count", "dimensions": ["span_name"],
            "aggregations": [{"aggregation_type": "COUNT"}], "filters": ["span.status = 'OK'"],
            "time_interval_seconds": 60, "start_time_ms": 0, "end_time_ms": 10**12,
        },
        "traces/calculate-filter-correlation": {
            "experiment_ids": ["0"], "filter_string1": "name = 'a'", "filter_string2": "status = 'OK'",
        },
        "traces/search": {"locations": [within], "filter": "status = 'OK'",
                          "order_by": ["timestamp_ms DESC"], "max_results": 5},
        "webhooks": {"name": "h", "url": "https://8.8.8.8/h", "events": [event]},
        "webhooks/{webhook_id}": {"name": "h", "status": "DISABLED"},
    }  # fmt: skip


_READ = re.compile(
    r"""(?:args|item|tag|inner|info)\.(?:text|integer|number|items|texts|object|flag|has)\(\s*"(\w+)\""""
)


def named(declared: Rpc) -> list[str]:
    """The arguments that the module of a call reads."""
    module = inspect.getmodule(inspect.unwrap(declared.handler))
    return sorted({*_READ.findall(inspect.getsource(module)), "run_id", "experiment_id", "key", "name"})  # type: ignore[arg-type]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) within `value`."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        found += [(value, key), *places(child)]
    return found


def changed(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """`body` with something wrong in it."""
    body = copy.deepcopy(body)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        where = places(body)
        if not where or chance.random() < 0.1:
            body[chance.choice(["extra", "page_token", "max_results", "filter", "order_by"])] = chance.choice(ODD)
            continue
        container, key = chance.choice(where)
        if isinstance(container, dict) and chance.random() < 0.1:
            del container[key]
        else:
            container[key] = copy.deepcopy(chance.choice(ODD))
    return body


def send(plane: Running, declared: Rpc, body: dict[str, Any], there: dict[str, str], chance: random.Random) -> Answer:
    """One call; path arguments are ids that exist, or odd ones."""

    def argument(found: re.Match[str]) -> str:
        odd = str(chance.choice([one for one in ODD if isinstance(one, str) and len(one) < 3000])) or "x"
        return quote(there.get(found[1], "x") if chance.random() < 0.7 else odd, safe="")

    path = re.sub(r"\{(\w+)(?::path)?\}", argument, declared.path)
    path = path if path.startswith("/") else "/api/" + path
    if declared.method in ("GET", "HEAD"):
        query = {name: one if isinstance(one, str | list) else json.dumps(one) for name, one in body.items()}
        return plane.request(declared.method, f"{path}?{urlencode(query, doseq=True, errors='replace')}"[:60_000])
    return plane.request(declared.method, path, json.dumps(body), {"Content-Type": "application/json"})


def told(answer: Answer) -> str:
    return f"{answer.status} {answer.body[:300]!r}"


def acceptable(answer: Answer, raw: bool) -> str:
    """What is wrong with an answer; "" when nothing is."""
    if answer.status < 400:
        return ""
    try:
        said = answer.json
    except ValueError:
        return "not JSON"
    if set(said) != {"error_code", "message"} or not said["error_code"]:
        return "not the protocol's shape"
    if any(word in said["message"].lower() for word in ("traceback", "sqlalchemy", "sqlite3")):
        return "it tells of its insides"
    known = {501: "NOT_IMPLEMENTED", 503: "TEMPORARILY_UNAVAILABLE"}
    return "" if answer.status < 500 or known.get(answer.status) == said["error_code"] else "a fault of ours"


def test_the_examples_are_right(plane: Running, there: dict[str, str]):
    """So that changing them leads further than the first check."""
    refused: list[str] = []
    chance = random.Random(1)
    chance.random = lambda: 0.0  # type: ignore[method-assign] - the ids that exist
    declared_at = {d.path.partition("mlflow/")[2]: d for d in all_rpcs() if d.method in ("GET", "PATCH", "POST")}
    declared_at |= {d.path.partition("mlflow/")[2]: d for d in all_rpcs() if d.method == "POST"}
    for below, body in examples(there).items():
        answer = send(plane, declared_at[below], body, there, chance)
        if answer.status not in (200, 404) and b"already" not in answer.body:
            refused.append(f"{below}: {answer.status} {answer.body[:200]!r}")
    assert not refused, "\n".join(refused)


@pytest.mark.timeout(3600)
def test_no_arguments_are_a_fault_of_ours(plane: Running, there: dict[str, str]):
    known = examples(there)
    faults: list[str] = []
    for declared in sorted(all_rpcs(), key=lambda d: d.method == "DELETE" or d.path.endswith(("/delete", "-traces"))):
        chance = random.Random(f"{declared.method} {declared.path}")
        below = declared.path.partition("mlflow/")[2]
        for _ in range(EACH):
            base = known.get(below) or {
                name: there.get(name, chance.choice(ODD)) for name in named(declared) if chance.random() < 0.6
            }
            body = changed(base, chance)
            answer = send(plane, declared, body, there, chance)
            if wrong := acceptable(answer, declared.raw):
                faults.append(f"{declared.method} {declared.path} {wrong}: {json.dumps(body)[:600]}\n  {told(answer)}")
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:40]])
    assert plane.request("GET", "/health").status == 200


BODIES = {
    "not JSON": b"name=x", "cut off": b'{"name": "x"', "a list": b"[]", "a number": b"1", "nothing": b"null",
    "deep": b'{"a":' * 3000 + b"1" + b"}" * 3000, "deep lists": b"[" * 100_000,
    "a little too deep": b'{"x":' * 80 + b"1" + b"}" * 80,
    "a huge number": b'{"max_results": ' + b"9" * 10_000 + b"}", "lone surrogate": b'{"run_id": "\\ud800"}',
    "not UTF-8": b'{"run_id": "\xff\xfe"}', "a byte order mark": b"\xef\xbb\xbf{}", "a NaN": b'{"run_id": NaN}',
    "the same name twice": b'{"run_id": 1, "run_id": []}',
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps([]))).encode(),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_body_is_a_fault_of_ours(plane: Running, body: bytes):
    faults: list[str] = []
    for declared in all_rpcs():
        if declared.method in ("GET", "HEAD") or declared.raw:
            continue
        path = re.sub(r"\{(\w+)(?::path)?\}", "x", declared.path)
        answer = plane.request(declared.method, path if path.startswith("/") else "/api/" + path, body)
        if wrong := acceptable(answer, False):
            faults.append(f"{declared.method} {declared.path} {wrong}: {told(answer)}")
    assert not faults, "\n".join(faults)
