"""MLflow's calls on experiments, runs and metrics, as its clients send them, against a real server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeostat as hs
from homeostat.core.events import events_after
from tests.server.running import Answer, Running

API = "/api/2.0/mlflow/"


class Client:
    """Calls of MLflow's protocol."""

    def __init__(self, running: Running) -> None:
        self.running = running

    def ask(self, call: str, body: object | None = None) -> Answer:
        """POST `body`, or GET when there is none."""
        return self.running.request("GET", API + call) if body is None else self.running.post(API + call, body)

    def ok(self, call: str, body: object | None = None) -> dict[str, Any]:
        answer = self.ask(call, body)
        assert answer.status == 200, answer.body
        return answer.json

    def refused(self, call: str, body: object | None = None, status: int = 400) -> str:
        answer = self.ask(call, body)
        assert answer.status == status, answer.body
        told = answer.json
        expected = {404: "RESOURCE_DOES_NOT_EXIST"}.get(status, "INVALID_PARAMETER_VALUE")
        assert told["error_code"] == expected, told
        return told["message"]

    def run(self, **body: object) -> str:
        """A new run's id."""
        return self.ok("runs/create", {"experiment_id": "0", "start_time": 5, **body})["run"]["info"]["run_id"]

    def data(self, run: str, part: str) -> dict[str, Any]:
        found = self.ok(f"runs/get?run_id={run}")["run"]["data"].get(part, [])
        return {item["key"]: item["value"] for item in found}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with hs.open(Path(tmp_path_factory.mktemp("mlflow")) / "home") as ws:
        running = Running(ws)
        yield Client(running)
        running.stop()


@pytest.fixture
def any_client(any_ws: hs.Workspace) -> Iterator[Client]:
    running = Running(any_ws)
    yield Client(running)
    running.stop()


def test_an_experiment_lives(any_client: Client):
    ask = any_client
    default = ask.ok("experiments/get?experiment_id=0")["experiment"]
    assert (default["name"], default["artifact_location"]) == ("Default", "mlflow-artifacts:/0")
    made = ask.ok("experiments/create", {"name": "a b/c", "tags": [{"key": "team", "value": "red"}]})["experiment_id"]
    assert made.isdecimal()
    assert ask.ask("experiments/create", {"name": "a b/c"}).json["error_code"] == "RESOURCE_ALREADY_EXISTS"
    run = ask.run(experiment_id=made)
    found = ask.ok("experiments/get-by-name?experiment_name=a%20b/c")["experiment"]
    assert found["tags"] == [{"key": "team", "value": "red"}] and found["experiment_id"] == made
    assert ask.ok("experiments/update", {"experiment_id": made, "new_name": "d"}) == {}
    assert ask.ok("experiments/set-experiment-tag", {"experiment_id": made, "key": "x", "value": "1"}) == {}
    assert ask.ok("experiments/delete-experiment-tag", {"experiment_id": made, "key": "team"}) == {}
    assert "No tag with name: team" in ask.refused(
        "experiments/delete-experiment-tag", {"experiment_id": made, "key": "team"}, 404
    )
    assert ask.ok("experiments/delete", {"experiment_id": made}) == {}
    assert ask.ok("experiments/get-by-name?experiment_name=d")["experiment"]["lifecycle_stage"] == "deleted"
    assert "must be in the 'active' state" in ask.refused("runs/log-metric", {
        "run_id": run, "key": "m", "value": 1, "timestamp": 1})  # fmt: skip
    assert "must be in the 'active' state" in ask.refused("runs/create", {"experiment_id": made})
    assert ask.ask("experiments/create", {"name": "d"}).json["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert ask.ok("experiments/restore", {"experiment_id": made}) == {}
    assert ask.ok(f"runs/get?run_id={run}")["run"]["info"]["lifecycle_stage"] == "active"


def test_a_dataset_may_belong_to_the_first_experiment_before_anything_else_does(any_client: Client):
    made = {"name": "first", "experiment_ids": ["0"]}
    answer = any_client.running.post("/api/3.0/mlflow/datasets/create", made)
    assert answer.status == 200, answer.body
    found = any_client.ok("experiments/search", {"max_results": 5, "filter": "attributes.name = 'Default'"})
    assert [one["experiment_id"] for one in found["experiments"]] == ["0"]


def test_experiments_are_searched(any_client: Client):
    for number in range(5):
        tags = [{"key": "n", "value": str(number % 2)}]
        any_client.ok("experiments/create", {"name": f"exp {number}", "tags": tags})

    def names(**body: object) -> list[str]:
        found = any_client.ok("experiments/search", {"max_results": 100, **body})
        return [experiment["name"] for experiment in found.get("experiments", [])]

    assert names(order_by=["name DESC"]) == ["exp 4", "exp 3", "exp 2", "exp 1", "exp 0", "Default"]
    assert names(filter="tags.n = '1'", order_by=["name"]) == ["exp 1", "exp 3"]
    assert names(filter="name LIKE 'Exp%'") == [] and len(names(filter="name ILIKE 'Exp%'")) == 5
    assert names(filter="experiment_id IN ('0')") == ["Default"]
    assert names(filter="tags.n IS NULL OR name = 'exp 3'", order_by=["name"]) == ["Default", "exp 3"]
    first = any_client.ok("experiments/search", {"max_results": 4})
    assert len(first["experiments"]) == 4
    rest = any_client.ok("experiments/search", {"max_results": 4, "page_token": first["next_page_token"]})
    assert len(rest["experiments"]) == 2 and "next_page_token" not in rest
    assert "max_results" in any_client.refused("experiments/search", {})


def test_a_run_lives(any_client: Client):
    ask = any_client
    made = ask.ok("runs/create", {"experiment_id": "0", "start_time": "5", "user_id": "ann",
                                  "tags": [{"key": "b", "value": "x"}]})["run"]  # fmt: skip
    info = made["info"]
    assert info["run_id"] == info["run_uuid"] and info["status"] == "RUNNING" and info["start_time"] == 5
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/{info['run_id']}/artifacts"
    run = info["run_id"]
    read = ask.ok(f"runs/get?run_id={run}")["run"]
    assert read["info"] == info and read["data"] == made["data"] and read["inputs"] == read["outputs"] == {}
    assert ask.data(run, "tags") == {"b": "x", "mlflow.runName": info["run_name"]}
    ask.ok("runs/set-tag", {"run_id": run, "key": "mlflow.runName", "value": "named"})
    ended = ask.ok("runs/update", {"run_id": run, "status": "FINISHED", "end_time": 9})["run_info"]
    assert (ended["run_name"], ended["status"], ended["end_time"]) == ("named", "FINISHED", 9)
    ask.ok("runs/update", {"run_id": run, "run_name": "again"})
    assert ask.data(run, "tags")["mlflow.runName"] == "again"
    ask.ok("runs/delete-tag", {"run_id": run, "key": "b"})
    assert (
        ask.refused("runs/delete-tag", {"run_id": run, "key": "b"}, 404) == f"No tag with name: b in run with id {run}"
    )
    ask.ok("runs/delete", {"run_id": run})
    assert "Current state is deleted" in ask.refused("runs/set-tag", {"run_id": run, "key": "a", "value": "1"})
    ask.ok("runs/restore", {"run_id": run})
    ask.ok("runs/set-tag", {"run_id": run, "key": "a", "value": "1"})
    assert ask.refused("runs/get?run_id=nope", status=404) == "Run with id=nope not found"
    told = [event.name for event in events_after(ask.running.workspace, 0)]
    assert told == ["run_started", "run_finished"]


def test_points_are_kept_as_they_came(any_client: Client):
    run = any_client.run()
    for value, at, step in (("NaN", 5, 0), (1, 5, 1), (3, 6, 1), (2, 6, 1), (0.5, 4, 0), (3, 6, 1)):
        point = {"run_id": run, "key": "m", "value": value, "timestamp": at, "step": step}
        assert any_client.ok("runs/log-metric", point) == {}
    any_client.ok("runs/log-batch", {"run_id": run, "metrics": [
        {"key": "big", "value": "Infinity", "timestamp": "7"}, {"key": "m", "value": -1.5, "timestamp": 7, "step": -3}
    ], "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "2"}]})  # fmt: skip
    assert any_client.data(run, "metrics") == {"m": 3, "big": "Infinity"}  # the greatest (step, time, value)
    assert any_client.data(run, "params") == {"p": "1"} and any_client.data(run, "tags")["t"] == "2"
    history = any_client.ok(f"metrics/get-history?run_id={run}&metric_key=m")["metrics"]
    shown = [(point["timestamp"], point["step"], point["value"]) for point in history]
    assert shown == [(4, 0, 0.5), (5, 0, "NaN"), (5, 1, 1), (6, 1, 2), (6, 1, 3), (7, -3, -1.5)]
    page = any_client.ok(f"metrics/get-history?run_id={run}&metric_key=m&max_results=4")
    rest = any_client.ok(f"metrics/get-history?run_id={run}&metric_key=m&page_token={page['next_page_token']}")
    assert page["metrics"] + rest["metrics"] == history and "next_page_token" not in rest
    assert any_client.ok(f"metrics/get-history?run_id={run}&metric_key=none") == {}


def test_a_database_that_is_held_is_told_and_logging_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("homeostat.engines.sqlite._WAIT_MS", 50)
    with hs.open(tmp_path / "home") as ws:
        running = Running(ws)
        client = Client(running)
        run = client.run()
        point = {"run_id": run, "key": "loss", "value": 0.5, "timestamp": 1, "step": 1}
        client.ok("runs/log-metric", point)
        holder = sqlite3.connect(tmp_path / "home" / "homeostat.db", isolation_level=None)
        holder.execute("begin immediate")
        for call, body in (("runs/log-metric", {**point, "step": 2}), ("runs/set-tag", {"run_id": run, "key": "a"})):
            answer = client.ask(call, body)
            assert (answer.status, answer.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        holder.execute("rollback")
        holder.close()
        client.ok("runs/log-metric", {**point, "step": 3})
        history = client.ok(f"metrics/get-history?run_id={run}&metric_key=loss")["metrics"]
        assert [metric["step"] for metric in history] == [1, 3]
        running.stop()


def test_histories_of_several_runs(client: Client):
    runs = sorted(client.run() for _ in range(2))
    for offset, run in enumerate(runs):
        points = [{"key": "m", "value": s + offset, "timestamp": s, "step": s} for s in range(100)]
        client.ok("runs/log-batch", {"run_id": run, "metrics": points})
    both = "&".join(f"run_ids={run}" for run in runs)
    sampled = client.ok(f"metrics/get-history-bulk-interval?{both}&metric_key=m&max_results=4")["metrics"]
    assert [(m["run_id"], m["step"]) for m in sampled] == [(run, step) for run in runs for step in (0, 25, 50, 99)]
    part = client.ok(f"metrics/get-history-bulk-interval?{both}&metric_key=m&start_step=10&end_step=12")["metrics"]
    assert [m["step"] for m in part] == [10, 11, 12] * 2
    assert "both must be specified" in client.refused(
        f"metrics/get-history-bulk-interval?{both}&metric_key=m&start_step=10"
    )
    bulk = client.ok(f"metrics/get-history-bulk?run_id={runs[0]}&run_id={runs[1]}&metric_key=m&max_results=150")
    assert [m["run_id"] for m in bulk["metrics"]] == [runs[0]] * 100 + [runs[1]] * 50


REFUSED = {
    "no key": ("log-metric", {"value": 1, "timestamp": 1}, "Missing value for required parameter 'key'. See the API"),
    "no time": ("log-metric", {"key": "m", "value": 1}, "Missing value for required parameter 'timestamp'"),
    "no number": ("log-metric", {"key": "m", "value": "x", "timestamp": 1}, "Invalid value \"x\" for"),
    "before 1970": ("log-metric", {"key": "m", "value": 1, "timestamp": -1}, "Timestamp must be a nonnegative long"),
    "a step of 65 bits": ("log-metric", {"key": "m", "value": 1, "timestamp": 1, "step": 2**63}, "parameter 'step'"),
    "a path": ("log-metric", {"key": "a/../b", "value": 1, "timestamp": 1}, "This name would resolve to 'b'"),
    "odd characters": ("log-parameter", {"key": "a\nb", "value": "1"}, "Names may only contain alphanumerics"),
    "long key": ("set-tag", {"key": "k" * 251, "value": "1"}, "'key' exceeds the maximum length of 250 characters"),
    "NUL": ("set-tag", {"key": "k", "value": "a\0"}, "NUL"),
    "batch, no time": ("log-batch", {"metrics": [{"key": "m", "value": 1}]}, "parameter 'metrics[0].timestamp'"),
    "batch, no key": ("log-batch", {"params": [{"value": "1"}]}, "parameter 'params[0].key'"),
    "batch, twice": ("log-batch", {"params": [{"key": "a", "value": "1"}] * 2}, "Duplicate parameter keys"),
    "batch, many": ("log-batch", {"metrics": [{"key": "m", "value": 1.0, "timestamp": 1}] * 1001}, "most 1000 metrics"),
    "batch, many tags": ("log-batch", {"tags": [{"key": f"t{i}", "value": ""} for i in range(101)]}, "most 100 tags"),
    "status": ("update", {"status": "DONE"}, "'status'"),
    "no models": ("outputs", {}, "Missing value for required parameter 'models'"),
    "long digest": ("log-inputs", {"datasets": [{"dataset": {"name": "n", "digest": "d" * 37, "source_type": "x",
                                                             "source": "y"}}]}, "'digest' exceeds the maximum length"),
    "old model": ("log-model", {"model_json": "{}"}, "missing mandatory fields"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_logged_is_refused_in_mlflows_words(client: Client, name: str):
    call, body, message = REFUSED[name]
    assert message in client.refused(f"runs/{call}", {"run_id": client.run(), **body})


def test_a_parameter_does_not_change(any_client: Client):
    run = any_client.run()
    for _ in range(2):
        any_client.ok("runs/log-parameter", {"run_id": run, "key": "lr", "value": "0.1"})
    told = any_client.refused("runs/log-parameter", {"run_id": run, "key": "lr", "value": "0.2"})
    assert told.startswith(
        "Changing param values is not allowed. Param with key='lr' was already logged with value='0.1'"
    )
    batch = {"run_id": run, "params": [{"key": "lr", "value": "1"}, {"key": "new", "value": "1"}],
             "metrics": [{"key": "m", "value": 1.0, "timestamp": 1}]}  # fmt: skip
    assert "Params were already logged=" in any_client.refused("runs/log-batch", batch)
    assert any_client.data(run, "params") == {"lr": "0.1"} and any_client.data(run, "metrics") == {}


def test_inputs_and_outputs(any_client: Client):
    run = any_client.run()
    used = {"tags": [{"key": "mlflow.data.context", "value": "train"}],
            "dataset": {"name": "d", "digest": "1a", "source_type": "a", "source": "{}", "schema": "s"}}  # fmt: skip
    for _ in range(2):
        any_client.ok("runs/log-inputs", {"run_id": run, "datasets": [used], "models": [{"model_id": "m-1"}]})
        any_client.ok("runs/outputs", {"run_id": run, "models": [{"model_id": "m-2", "step": 3}]})
    read = any_client.ok(f"runs/get?run_id={run}")["run"]
    assert read["inputs"] == {"dataset_inputs": [used], "model_inputs": [{"model_id": "m-1"}]}
    assert read["outputs"] == {"model_outputs": [{"model_id": "m-2", "step": 3}]}
    found = any_client.ok("experiments/search-datasets", {"experiment_ids": ["0"]})
    assert found["dataset_summaries"] == [{"experiment_id": "0", "name": "d", "digest": "1a", "context": "train"}]


def test_our_verbs_see_the_same_runs(client: Client):
    ws = client.running.workspace
    made = client.ok("experiments/create", {"name": "shared"})["experiment_id"]
    run = client.run(experiment_id=made, run_name="theirs")
    client.ok("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1})
    ours = ws.tracking.get_run(run)
    assert (ours.experiment, ours.name, ours.metrics) == ("shared", "theirs", {"m": 1.0})
    mine = ws.tracking.create_run("shared", name="mine")
    ws.tracking.log_metrics(mine.id, {"loss": 0.5})
    info = client.ok(f"runs/get?run_id={mine.id}")["run"]["info"]
    assert (info["experiment_id"], info["run_name"]) == (made, "mine")


def test_a_batch_of_points_alone_is_the_same_as_any_other(client: Client):
    plain = [{"key": "m", "value": step / 3, "timestamp": 7 + step, "step": step} for step in range(3)]
    by_run: list[Any] = []
    # What is nothing but points takes a shorter way in, unless something else is said with it.
    for body in ({}, {"params": [], "tags": []}, {"params": [{"key": "p", "value": "1"}]}, {"whatever": [[{}]]}):
        run = client.run()
        client.ok("runs/log-batch", {"run_id": run, "metrics": plain, **body})
        found = client.ok(f"metrics/get-history?run_id={run}&metric_key=m")["metrics"]
        by_run.append(found)
        assert client.data(run, "metrics") == {"m": 2 / 3}
        assert client.data(run, "params") == ({"p": "1"} if body.get("params") else {})
    assert by_run[0] == plain and by_run.count(plain) == 4
    run = client.run()
    client.ok("runs/log-batch", {"run_id": run, "metrics": [{"key": "m", "value": 3, "timestamp": "5"}]})
    client.ok(
        "runs/log-batch", {"run_id": run, "metrics": [{"key": "n", "value": "NaN", "timestamp": 5, "step": None}]}
    )
    assert client.data(run, "metrics") == {"m": 3.0, "n": "NaN"}


@pytest.mark.parametrize(
    "point",
    [
        {"key": "../m", "value": 1.0, "timestamp": 1},
        {"key": "m", "value": 1.0, "timestamp": -1},
        {"key": "m" * 251, "value": 1.0, "timestamp": 1},
        {"key": "m", "value": 1.0, "timestamp": 2**63},
        {"key": "m", "value": 1.0, "timestamp": 1, "step": 2**63},
        {"key": "", "value": 1.0, "timestamp": 1},
    ],
)
def test_a_point_that_cannot_be_kept_is_refused_from_a_batch_too(client: Client, point: dict[str, Any]):
    run = client.run()
    client.refused("runs/log-batch", {"run_id": run, "metrics": [{"key": "a", "value": 1.0, "timestamp": 1}, point]})
    assert client.data(run, "metrics") == {}
