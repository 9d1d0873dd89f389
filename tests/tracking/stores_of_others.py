"""One little world, laid out as an MLflow file store and as the database of an MLflow server."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import yaml

RUNS: list[dict[str, Any]] = [
    {"id": "a" * 32, "name": "plain", "status": 3, "lifecycle": "active", "parent": None, "points": 1500},
    {"id": "b" * 32, "name": "child, \u00fc", "status": 4, "lifecycle": "active", "parent": "a" * 32, "points": 3},
    {"id": "c" * 32, "name": "thrown away", "status": 5, "lifecycle": "deleted", "parent": None, "points": 1},
    {"id": "d" * 32, "name": "still going", "status": 1, "lifecycle": "active", "parent": None, "points": 2},
]
WORDS = {1: "RUNNING", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
START = 1_700_000_000_000


def history(run: dict[str, Any]) -> dict[str, list[tuple[int, float, int]]]:
    """(time, value, step) by key."""
    return {
        "loss": [(START + i, 1.0 / (i + 1), i) for i in range(run["points"])],
        "deep/key": [(START, math.nan, 0), (START + 1, -0.0, -5), (START + 2, 7.0, -5)],
        "end less": [(START, math.inf, 0)],
    }


def params(run: dict[str, Any]) -> dict[str, str]:
    return {"lr": "0.1", "nested/name": run["name"], "empty": ""}


def tags(run: dict[str, Any]) -> dict[str, str]:
    found = {"mlflow.runName": run["name"], "team": "ops", "mlflow.source.name": "train.py"}
    return {**found, **({"mlflow.parentRunId": run["parent"]} if run["parent"] else {})}


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def artifacts(folder: Path, run: dict[str, Any]) -> None:
    _put(folder / "notes" / "why.txt", f"because of {run['name']}")
    _put(folder / "empty", "")


def file_store(root: Path) -> Path:
    """A folder `mlruns`."""
    _put(
        root / "7" / "meta.yaml", yaml.safe_dump({"experiment_id": "7", "name": "/team/first", "creation_time": START})
    )
    _put(root / "7" / "tags" / "owner", "ann")
    for run in RUNS:
        folder = root / "7" / run["id"]
        meta = {
            "run_id": run["id"], "run_uuid": run["id"], "experiment_id": "7", "run_name": run["name"],
            "status": run["status"], "start_time": START, "end_time": None if run["status"] == 1 else START + 5000,
            "lifecycle_stage": run["lifecycle"], "user_id": "ann", "artifact_uri": "mlflow-artifacts:/7",
        }  # fmt: skip
        _put(folder / "meta.yaml", yaml.safe_dump(meta))
        for key, value in params(run).items():
            _put(folder / "params" / key, value)
        for key, value in tags(run).items():
            _put(folder / "tags" / key, value)
        for key, points in history(run).items():
            _put(folder / "metrics" / key, "".join(f"{at} {value} {step}\n" for at, value, step in points))
        artifacts(folder / "artifacts", run)
    model = {"name": "m", "description": "what it does", "creation_timestamp": START}
    _put(root / "models" / "m" / "meta.yaml", yaml.safe_dump(model))
    for number in (1, 2):
        version = {
            "name": "m", "version": str(number), "run_id": RUNS[0]["id"], "current_stage": "None",
            "source": str(root / "7" / RUNS[0]["id"] / "artifacts" / "notes"), "creation_timestamp": START,
        }  # fmt: skip
        _put(root / "models" / "m" / f"version-{number}" / "meta.yaml", yaml.safe_dump(version))
    _put(root / "models" / "m" / "aliases" / "champion", "2")
    _put(root / "models" / "m" / "tags" / "kind", "demo")
    return root


SCHEMA = """
create table experiments (experiment_id integer primary key, name text, lifecycle_stage text, creation_time bigint);
create table experiment_tags (key text, value text, experiment_id integer);
create table runs (run_uuid text primary key, name text, user_id text, status text, start_time bigint, end_time bigint,
  lifecycle_stage text, artifact_uri text, experiment_id integer);
create table metrics (key text, value float, timestamp bigint, run_uuid text, step bigint, is_nan boolean);
create table params (key text, value text, run_uuid text);
create table tags (key text, value text, run_uuid text);
create table registered_models (name text, description text);
create table registered_model_tags (key text, value text, name text);
create table registered_model_aliases (alias text, version integer, name text);
create table model_versions (name text, version integer, creation_time bigint, description text, current_stage text,
  source text, run_id text, storage_location text);
create table model_version_tags (key text, value text, name text, version integer);
"""


def database(path: Path, files: Path) -> Path:
    """A file `mlflow.db`, its artifacts below `files`."""
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        db.execute("insert into experiments values (7, '/team/first', 'active', ?)", (START,))
        db.execute("insert into experiment_tags values ('owner', 'ann', 7)")
        for run in RUNS:
            folder = files / run["id"]
            artifacts(folder, run)
            ended = None if run["status"] == 1 else START + 5000
            row = (run["id"], run["name"], "ann", WORDS[run["status"]], START, ended, run["lifecycle"], str(folder), 7)
            db.execute("insert into runs values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.executemany("insert into params values (?, ?, ?)", [(k, v, run["id"]) for k, v in params(run).items()])
            db.executemany("insert into tags values (?, ?, ?)", [(k, v, run["id"]) for k, v in tags(run).items()])
            for key, points in history(run).items():
                # As the server keeps them: NaN is a flag, an infinity the largest number.
                rows = [
                    (key, 0.0 if math.isnan(value) else min(value, 1.7976931348623157e308), at, run["id"], step,
                     math.isnan(value))
                    for at, value, step in points
                ]  # fmt: skip
                db.executemany("insert into metrics values (?, ?, ?, ?, ?, ?)", rows)
        db.execute("insert into registered_models values ('m', 'what it does')")
        db.execute("insert into registered_model_tags values ('kind', 'demo', 'm')")
        db.execute("insert into registered_model_aliases values ('champion', 2, 'm')")
        for number in (1, 2):
            source = str(files / RUNS[0]["id"] / "notes")
            row = ("m", number, START, None, "None", source, RUNS[0]["id"], None)
            db.execute("insert into model_versions values (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return path


def address_of(kind: str, folder: Path) -> str:
    """The little world in `folder` as "files" or as a "database"; what `homeostat import mlflow` is given."""
    if kind == "files":
        return str(file_store(folder / "mlruns"))
    return f"sqlite:///{database(folder / 'mlflow.db', folder / 'artifacts')}"
