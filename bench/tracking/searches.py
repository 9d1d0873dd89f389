"""What the differential asks: for each search of MLflow's protocol a little world, filters and orders.

Everything depends on a seed only, so that two servers hold the same and are asked the same. Things are made one
millisecond apart or more: what is equal in all else is ordered by times, or by ids that the servers choose.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

NUMBERS = ("0", "0.5", "1", "-1", "2.25", "1e-3")
WORDS = ("adam", "sgd", "Adam", "a_b", "100%", "")
PATTERNS = (*WORDS, "a%", "%d%", "A_am", "%1%")
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_LIKES = ("=", "!=", "LIKE", "ILIKE", "like")


class Server(Protocol):
    """One of the two that are compared."""

    def post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call; a refusal is an answer too."""
        ...

    def get(self, call: str, **asked: Any) -> dict[str, Any]:
        """The same with arguments in the query."""
        ...


class Search(NamedTuple):
    """One search: `fill(server, name, seed)` makes its world and gives what `page` needs; `page` asks for one page."""

    fill: Callable[[Server, str, int], Any]
    page: Callable[[Server, Any, str, list[Any], str], dict[str, Any]]
    found: Callable[[dict[str, Any]], list[str]]
    clause: Callable[[random.Random], str]
    order: Callable[[random.Random], list[Any]]


def _pairs(chance: random.Random, keys: tuple[str, ...], values: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"key": key, "value": chance.choice(values)} for key in keys if chance.random() < 0.7]


def _some(chance: random.Random, keys: tuple[str, ...], most: int = 2) -> list[str]:
    return [f"{key}{chance.choice((' ASC', ' DESC', ''))}" for key in chance.sample(keys, chance.randint(0, most))]


def _tag_clause(chance: random.Random) -> str:
    key = chance.choice(("tags.t", "tag.`u.v`", 'tags."u.v"', "tags.none"))
    return f"{key} {chance.choice(_LIKES)} '{chance.choice(PATTERNS)}'"


# -- runs


def _fill_runs(server: Server, name: str, seed: int) -> str:
    chance = random.Random(seed)
    experiment = server.post("experiments/create", {"name": name})["experiment_id"]
    for number in range(40):
        made = server.post(
            "runs/create",
            {"experiment_id": experiment, "run_name": f"run {number}", "user_id": chance.choice(("ann", "bob")),
             "start_time": 1000 + number * 7 % 40 * 10},
        )  # fmt: skip
        run = made["run"]["info"]["run_id"]
        metrics = [
            {"key": key, "value": chance.choice([*map(float, NUMBERS), "NaN"]), "timestamp": at, "step": at}
            for key in ("m", "loss/train", "odd name") if chance.random() < 0.8 for at in range(2)
        ]  # fmt: skip
        params, tags = _pairs(chance, ("p", "q r"), WORDS[:5]), _pairs(chance, ("t", "u.v"), WORDS)
        server.post("runs/log-batch", {"run_id": run, "metrics": metrics, "params": params, "tags": tags})
        if chance.random() < 0.5:
            datasets = [
                {"dataset": {"name": n, "digest": f"d{chance.randint(1, 2)}", "source_type": "local", "source": "{}"},
                 "tags": [{"key": "mlflow.data.context", "value": chance.choice(("train", "eval"))}]}
                for n in ("rows", "Other") if chance.random() < 0.7
            ]  # fmt: skip
            server.post("runs/log-inputs", {"run_id": run, "datasets": datasets})
        if chance.random() < 0.5:
            status = chance.choice(("FINISHED", "FAILED", "KILLED"))
            server.post("runs/update", {"run_id": run, "status": status, "end_time": 5000 + number})
    return experiment


def _page_of_runs(server: Server, experiment: str, filter_: str, order: list[str], token: str) -> dict[str, Any]:
    body = {"experiment_ids": [experiment], "filter": filter_, "order_by": order, "max_results": 17}
    return server.post("runs/search", body | ({"page_token": token} if token else {}))


def _run_clause(chance: random.Random) -> str:
    metric = chance.choice(("metrics.m", 'metrics."loss/train"', "metric.`odd name`", "metrics.none"))
    text = chance.choice(
        ("params.p", 'params."q r"', "tags.t", "tag.`u.v`", "parameter.p", "tags.none", "tags.mlflow.runName")
    )
    word = chance.choice((*PATTERNS, "run 1%"))
    data = chance.choice(("name", "digest", "context"))
    said = chance.choice(("rows", "Other", "d1", "train", "%e%"))
    return chance.choice((
        f"{metric} {chance.choice(_SIGNS)} {chance.choice(NUMBERS)}",
        f"{text} {chance.choice(_LIKES)} '{word}'",
        f"{text} {chance.choice(('IS NULL', 'IS NOT NULL', 'is null'))}",
        f"{chance.choice(('', 'attributes.', 'run.'))}run_name {chance.choice(_LIKES)} '{word}'",
        f"attributes.status {chance.choice(('=', '!='))} '{chance.choice(('RUNNING', 'FINISHED', 'KILLED'))}'",
        f"{chance.choice(('start_time', 'end_time', 'attributes.created'))} {chance.choice(_SIGNS)} 1200",
        f"user_id {chance.choice(_LIKES)} '{chance.choice(('ann', 'Ann', '%n%'))}'",
        f"{chance.choice(('dataset', 'datasets'))}.{data} {chance.choice(_LIKES)} '{said}'",
        f"dataset.{data} {chance.choice(('IN', 'NOT IN'))} ('{said}', 'x')",
        f"run_id {chance.choice(('IN', 'NOT IN'))} ('a', 'b')",
    ))  # fmt: skip


def _run_order(chance: random.Random) -> list[Any]:
    keys = ("metrics.m", 'metrics."loss/train"', "params.p", "tags.t", "start_time", "end_time", "attributes.status")
    return _some(chance, (*keys, "run_name", "user_id", "params.none", "tag.`u.v`"))


# -- experiments


def _fill_experiments(server: Server, name: str, seed: int) -> str:
    chance = random.Random(seed)
    for number in range(25):
        said = f"{name} {chance.choice(('Red', 'red', 'a_b', 'blue'))} {number}"
        made = server.post("experiments/create", {"name": said, "tags": _pairs(chance, ("t", "u.v"), WORDS)})
        if chance.random() < 0.2:
            time.sleep(0.002)
            server.post("experiments/delete", {"experiment_id": made["experiment_id"]})
        time.sleep(0.002)
    return name


def _page_of_experiments(server: Server, name: str, filter_: str, order: list[str], token: str) -> dict[str, Any]:
    mine = f"name LIKE '{name} %'" + (f" and {filter_}" if filter_ else "")
    body = {
        "filter": mine,
        "order_by": order,
        "max_results": 7,
        "view_type": "ALL" if len(order) % 2 else "ACTIVE_ONLY",
    }
    return server.post("experiments/search", body | ({"page_token": token} if token else {}))


def _experiment_clause(chance: random.Random) -> str:
    return chance.choice((
        _tag_clause(chance),
        f"tags.t {chance.choice(('IS NULL', 'IS NOT NULL'))}",
        f"{chance.choice(('', 'attribute.'))}name {chance.choice(_LIKES)} '%{chance.choice(('red', 'a_b', 'e 1'))}%'",
        f"{chance.choice(('creation_time', 'last_update_time'))} {chance.choice(_SIGNS)} {chance.choice((0, 1 << 45))}",
        f"experiment_id {chance.choice(('=', '!=', 'IN', 'NOT IN'))} '999999'".replace("IN '999999'", "IN ('999999')"),
        f"experiment_id {chance.choice(('LIKE', '>'))} '1'",
    ))  # fmt: skip


def _experiment_order(chance: random.Random) -> list[Any]:
    return _some(chance, ("name", "experiment_id", "creation_time", "last_update_time", "attribute.name"))


# -- models and versions


def _fill_models(server: Server, name: str, seed: int) -> str:
    chance = random.Random(seed)
    for number in range(20):
        said = f"{name} {chance.choice(('Red', 'red', 'a_b', 'blue'))} {number}"
        tags = _pairs(chance, ("t", "u.v"), WORDS)
        if chance.random() < 0.15:
            tags.append({"key": "mlflow.prompt.is_prompt", "value": "true"})
        server.post("registered-models/create", {"name": said, "tags": tags})
        time.sleep(0.002)
        for _ in range(chance.randint(0, 3) if not tags[-1:] or tags[-1]["value"] != "true" else 0):
            source = f"s3://{chance.choice(WORDS[:4])}/{number}"
            more = _pairs(chance, ("t", "u.v"), WORDS)
            run = {"run_id": "abc"} if chance.random() < 0.3 else {}
            server.post("model-versions/create", {"name": said, "source": source, "tags": more, **run})
            time.sleep(0.002)
    return name


def _page_of_models(server: Server, name: str, filter_: str, order: list[str], token: str) -> dict[str, Any]:
    mine = f"name LIKE '{name} %'" + (f" and {filter_}" if filter_ else "")
    more = {"page_token": token} if token else {}
    return server.get("registered-models/search", filter=mine, order_by=order, max_results=7, **more)


def _page_of_versions(server: Server, name: str, filter_: str, order: list[str], token: str) -> dict[str, Any]:
    mine = f"name LIKE '{name} %'" + (f" and {filter_}" if filter_ else "")
    more = {"page_token": token} if token else {}
    return server.get("model-versions/search", filter=mine, order_by=order, max_results=13, **more)


def _model_clause(chance: random.Random) -> str:
    return chance.choice((
        _tag_clause(chance),
        f"{chance.choice(('', 'attribute.'))}name {chance.choice(_LIKES)} '%{chance.choice(('red', 'a_b', 'e 1'))}%'",
        f"name {chance.choice(('IN', 'NOT IN', '>'))} ('a', 'b')",
        f"tags.`mlflow.prompt.is_prompt` {chance.choice(('=', '!='))} '{chance.choice(('true', 'false', 'True'))}'",
    ))  # fmt: skip


def _version_clause(chance: random.Random) -> str:
    return chance.choice((
        _model_clause(chance),
        f"version_number {chance.choice((*_SIGNS, 'LIKE'))} {chance.choice(('1', '2', '1.5', '-1'))}",
        f"version_number {chance.choice(_SIGNS)} '{chance.choice(('1', '2', 'x'))}'",
        f"source_path {chance.choice((*_LIKES, '>'))} '{chance.choice(('s3://adam/1', 's3://%', 'S3://A%', '%sgd%'))}'",
        f"run_id {chance.choice(_LIKES)} '{chance.choice(('abc', 'ABC', 'a%', ''))}'",
        f"run_id {chance.choice(('IN', 'NOT IN'))} ('abc', 'x')",
        f"source_path {chance.choice(('IN', 'NOT IN'))} ('abc', 'x')",
    ))  # fmt: skip


def _model_order(chance: random.Random) -> list[Any]:
    return _some(chance, ("name", "timestamp", "last_updated_timestamp", "creation_timestamp"))


def _version_order(chance: random.Random) -> list[Any]:
    return _some(chance, ("name", "version_number", "creation_timestamp", "last_updated_timestamp", "run_id"))


# -- logged models


def _fill_logged(server: Server, name: str, seed: int) -> str:
    chance = random.Random(seed)
    experiment = server.post("experiments/create", {"name": f"{name} logged"})["experiment_id"]
    run = server.post("runs/create", {"experiment_id": experiment, "start_time": 1})["run"]["info"]["run_id"]
    for number in range(25):
        body = {
            "experiment_id": experiment, "name": f"{chance.choice(('Red', 'red', 'a_b'))} {number}",
            "model_type": chance.choice(WORDS[:4]), "params": _pairs(chance, ("p", "q r"), WORDS[:5]),
            "tags": _pairs(chance, ("t", "u.v"), WORDS),
        }  # fmt: skip
        if chance.random() < 0.5:
            body["source_run_id"] = run
        model = server.post("logged-models", body)["model"]["info"]["model_id"]
        metrics: list[dict[str, Any]] = []
        for key in ("m", "loss/train"):
            for at in range(chance.randint(0, 3)):
                data = chance.choice(({}, {"dataset_name": "rows", "dataset_digest": chance.choice(("d1", "d2"))}))
                metrics.append({"key": key, "value": chance.choice([*map(float, NUMBERS)]), "timestamp": at,
                                "step": at, "model_id": model, "run_id": run, **data})  # fmt: skip
        if metrics:
            server.post("runs/log-batch", {"run_id": run, "metrics": metrics})
        if chance.random() < 0.6:
            status = chance.choice((2, 3))
            server.post(f"PATCH logged-models/{model}", {"model_id": model, "status": status})
        time.sleep(0.002)
    return experiment


def _page_of_logged(server: Server, experiment: str, filter_: str, order: list[Any], token: str) -> dict[str, Any]:
    body: dict[str, Any] = {"experiment_ids": [experiment], "filter": filter_, "max_results": 9}
    by = [one for one in order if "datasets" not in one]
    body |= {"order_by": by, "datasets": [one["datasets"] for one in order if "datasets" in one]}
    return server.post("logged-models/search", body | ({"page_token": token} if token else {}))


def _logged_clause(chance: random.Random) -> str:
    # A key in double quotes is not found there; ours reads it as every other search does.
    text = chance.choice(("params.p", "params.`q r`", "params.none", "tags.t", "tags.`u.v`"))
    return chance.choice((
        f"{text} {chance.choice(_LIKES)} '{chance.choice(PATTERNS)}'",
        f"{chance.choice(('metrics.m', 'metrics.`loss/train`', 'metrics.none'))} {chance.choice(_SIGNS)}"
        f" {chance.choice(NUMBERS)}",
        f"{chance.choice(('', 'attributes.'))}name {chance.choice(_LIKES)} '{chance.choice(('red%', 'a_b%', '%1%'))}'",
        f"model_type {chance.choice(_LIKES)} '{chance.choice(PATTERNS)}'",
        f"name {chance.choice(('IN', 'NOT IN'))} ('red 1', 'a_b 2')",
        f"status {chance.choice(('=', '!='))} '{chance.choice(('READY', 'PENDING', 'FAILED', 'UPLOAD_FAILED'))}'",
        f"creation_timestamp {chance.choice(_SIGNS)} {chance.choice((0, 1 << 45))}",
    ))  # fmt: skip


def _logged_order(chance: random.Random) -> list[Any]:
    keys = ("name", "creation_time", "creation_timestamp", "last_updated_timestamp", "metrics.m", "metrics.loss/train",
            "status", "model_type")  # fmt: skip
    found: list[Any] = [
        {"field_name": key, "ascending": chance.random() < 0.5} for key in chance.sample(keys, chance.randint(0, 2))
    ]
    for one in found:
        if one["field_name"].startswith("metrics.") and chance.random() < 0.5:
            one |= {"dataset_name": "rows"} | ({"dataset_digest": "d1"} if chance.random() < 0.5 else {})
    if chance.random() < 0.3:
        found.append({"datasets": {"dataset_name": "rows", "dataset_digest": chance.choice(("d1", "d2"))}})
    return found


SEARCHES = {
    "runs": Search(
        _fill_runs, _page_of_runs, lambda said: [one["info"]["run_name"] for one in said.get("runs", [])],
        _run_clause, _run_order,
    ),
    "experiments": Search(
        _fill_experiments, _page_of_experiments,
        lambda said: [f"{one['name']} {one['lifecycle_stage']}" for one in said.get("experiments", [])],
        _experiment_clause, _experiment_order,
    ),
    "registered-models": Search(
        _fill_models, _page_of_models, lambda said: [one["name"] for one in said.get("registered_models", [])],
        _model_clause, _model_order,
    ),
    "model-versions": Search(
        _fill_models, _page_of_versions,
        lambda said: [f"{one['name']}/{one['version']}" for one in said.get("model_versions", [])],
        _version_clause, _version_order,
    ),
    "logged-models": Search(
        _fill_logged, _page_of_logged, lambda said: [one["info"]["name"] for one in said.get("models", [])],
        _logged_clause, _logged_order,
    ),
}  # fmt: skip
