"""Runs and experiments as MLflow's JSON, read with few statements however many they are."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.foreign import present
from homeostat.core.statements import among, rows, rows_of
from homeostat.tracking.mlflow.wording import not_found, status_out

# The columns of a run that `run_info` takes, from tracking_run r and tracking_experiment e.
COLUMNS = (
    "r.seq, r.id, r.experiment_id, r.name, r.status, r.lifecycle, r.owner, r.start_ms, r.end_ms, e.artifact_location"
)
TABLES = "tracking_run r join tracking_experiment e on e.id = r.experiment_id"
RUN_NAME = "mlflow.runName"

# What belongs to runs, and in which order it comes; what has a key is sorted by it here.
_DETAILS = (
    ("select run_seq, key, value from tracking_param", ""),
    ("select run_seq, key, value from tracking_tag", ""),
    ("select run_seq, key, last_value, last_ms, last_step from tracking_series", ""),
    ("select u.run_seq, u.tags, d.name, d.digest, d.source_type, d.source, d.schema, d.profile"
     " from tracking_run_dataset u join tracking_dataset d on d.id = u.dataset_id", " order by u.run_seq, d.id"),
    ("select run_seq, direction, model_id, step from tracking_run_model", " order by run_seq, model_id, step"),
)  # fmt: skip


def location(experiment_id: int, given: str) -> str:
    """Where the artifacts of an experiment lie."""
    return given or f"mlflow-artifacts:/{experiment_id}"


def run_info(row: Any) -> dict[str, Any]:
    """A row of COLUMNS as the protocol's RunInfo."""
    _, run_id, experiment_id, name, status, lifecycle, owner, start_ms, end_ms, where = row[:10]
    info = {
        "run_uuid": run_id, "experiment_id": str(experiment_id), "run_name": name, "user_id": owner,
        "status": status_out(status), "start_time": start_ms,
        "artifact_uri": f"{location(experiment_id, where)}/{run_id}/artifacts", "lifecycle_stage": lifecycle,
        "run_id": run_id,
    }  # fmt: skip
    if end_ms is not None:
        info["end_time"] = end_ms
    return info


def run_row(c: sa.Connection, run_id: str) -> Any:
    """The row of one run. Raises ForeignError when there is none."""
    found = rows(c, f"select {COLUMNS} from {TABLES} where r.id = ?", (run_id,))  # noqa: S608 - written above
    if not found:
        raise not_found(run_id)
    return found[0]


class Pair(msgspec.Struct, gc=False):
    """A parameter or a tag: quicker made and written than an object with the same names."""

    key: str
    value: str


class Point(msgspec.Struct, gc=False):
    """The last point of a metric."""

    key: str
    value: float | str
    timestamp: int
    step: int


def runs(c: sa.Connection, found: list[Any]) -> list[dict[str, Any]]:
    """Rows of COLUMNS as the protocol's Runs, with all that belongs to them."""
    of, bound = among(c, [row[0] for row in found])
    asked = [f"{select} where run_seq {of}{order}" for select, order in _DETAILS]
    params, tags, metrics, datasets, models = (_by_run(each) for each in rows_of(c, [(sql, bound) for sql in asked]))
    made: list[dict[str, Any]] = []
    for row in found:
        seq = row[0]
        data: dict[str, Any] = {}
        if points := metrics.get(seq):
            data["metrics"] = [Point(key, number(value), at, step) for _, key, value, at, step in sorted(points)]
        if given := params.get(seq):
            data["params"] = [Pair(key, value) for _, key, value in sorted(given)]
        data["tags"] = [*(Pair(key, value) for _, key, value in sorted(tags.get(seq, ()))), Pair(RUN_NAME, row[3])]
        used = [{"model_id": m} for _, direction, m, _ in models.get(seq, ()) if direction == "input"]
        gave = [{"model_id": m, "step": step} for _, direction, m, step in models.get(seq, ()) if direction == "output"]
        inputs = present({"dataset_inputs": [*map(_dataset, datasets.get(seq, ()))], "model_inputs": used})
        made.append(
            {"info": run_info(row), "data": data, "inputs": inputs, "outputs": present({"model_outputs": gave})}
        )
    return made


def number(value: float | None) -> float | str:
    """A value as JSON can say it; null in the database is NaN.

    >>> number(0.5), number(None), number(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if value is None or value != value:
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _by_run(found: list[Any]) -> dict[int, list[Any]]:
    by_run: dict[int, list[Any]] = defaultdict(list)
    for row in found:
        by_run[row[0]].append(row)
    return by_run


def _dataset(row: Any) -> dict[str, Any]:
    _, tags, name, digest, source_type, source, schema, profile = row
    dataset = {"name": name, "digest": digest, "source_type": source_type, "source": source}
    return present({
        "tags": [{"key": key, "value": value} for key, value in msgspec.json.decode(tags)],
        "dataset": dataset | present({"schema": schema, "profile": profile}),
    })  # fmt: skip


def experiment(row: Any, tags: dict[str, str]) -> dict[str, Any]:
    """A row of tracking_experiment (id, name, lifecycle, artifact_location, created_ms, updated_ms) as Experiment."""
    experiment_id, name, lifecycle, where, created_ms, updated_ms = row
    return present({
        "experiment_id": str(experiment_id), "name": name, "artifact_location": location(experiment_id, where),
        "lifecycle_stage": lifecycle, "last_update_time": updated_ms, "creation_time": created_ms,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    })  # fmt: skip
