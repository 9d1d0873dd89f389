"""Runs and experiments as MLflow's JSON, read with few statements however many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.foreign import present
from homeostat.core.statements import among, rows, rows_of
from homeostat.tracking.artifact_roots import below
from homeostat.tracking.mlflow.details import PARAMS, POINTS, TAGS, Pair, asked, lists
from homeostat.tracking.mlflow.wording import not_found, status_out

# The columns of a run that `run_info` takes, of TABLES.
COLUMNS = (
    "r.seq, r.id, r.experiment_id, r.name, r.status, r.lifecycle, r.owner, r.start_ms, r.end_ms, e.artifact_location"
)
TABLES = "tracking_run r join tracking_experiment e on e.id = r.experiment_id"
RUN_NAME = "mlflow.runName"

# What else belongs to runs, and in which order it comes.
_DATASETS = (
    "select u.run_seq, u.tags, d.name, d.digest, d.source_type, d.source, d.schema, d.profile"
    " from tracking_run_dataset u join tracking_dataset d on d.id = u.dataset_id"
    " where run_seq {} order by u.run_seq, d.id"
)
_MODELS = (
    "select run_seq, direction, model_id, step from tracking_run_model"
    " where run_seq {} order by run_seq, model_id, step"
)


class RunInfo(msgspec.Struct, gc=False):
    """What the protocol says of a run itself."""

    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    run_id: str
    end_time: int | msgspec.UnsetType = msgspec.UNSET


class RunData(msgspec.Struct, gc=False):
    """What was recorded in a run; lists that are empty are left out."""

    metrics: msgspec.Raw | msgspec.UnsetType
    params: msgspec.Raw | msgspec.UnsetType
    tags: msgspec.Raw


class Run(msgspec.Struct, gc=False):
    """A run as the protocol has it."""

    info: RunInfo
    data: RunData
    inputs: dict[str, Any]
    outputs: dict[str, Any]


def location(experiment_id: int, given: str) -> str:
    """Where the artifacts of an experiment lie."""
    return given or f"mlflow-artifacts:/{experiment_id}"


def run_info(row: Any) -> RunInfo:
    """A row of COLUMNS as the protocol's RunInfo."""
    _, run_id, experiment_id, name, status, lifecycle, owner, start_ms, end_ms, where = row[:10]
    return RunInfo(
        run_id, str(experiment_id), name, owner, status_out(status), start_ms,
        below(location(experiment_id, where), f"{run_id}/artifacts"), lifecycle, run_id,
        msgspec.UNSET if end_ms is None else end_ms,
    )  # fmt: skip


def run_row(c: sa.Connection, run_id: str) -> Any:
    """The row of one run. Raises ForeignError when there is none."""
    found = rows(c, f"select {COLUMNS} from {TABLES} where r.id = ?", (run_id,))  # noqa: S608 - written above
    if not found:
        raise not_found(run_id)
    return found[0]


def encoded(c: sa.Connection, seqs: Sequence[int]) -> dict[int, bytes]:
    """The protocol's Run of each of these numbers as JSON, with all that belongs to it."""
    of, bound = among(c, seqs)
    selects = [f"select {COLUMNS} from {TABLES} where r.seq {of}"]  # noqa: S608 - written above
    selects += [*(asked(c, kind, of) for kind in (PARAMS, TAGS, POINTS)), _DATASETS.format(of), _MODELS.format(of)]
    found, listed, tagged, measured, used, linked = rows_of(c, [(sql, bound) for sql in selects])
    params, tags, points = lists(c, PARAMS, listed), lists(c, TAGS, tagged), lists(c, POINTS, measured)
    datasets, models = _by_run(used), _by_run(linked)
    return {
        row[0]: msgspec.json.encode(
            Run(
                run_info(row),
                RunData(_raw(points.get(row[0])), _raw(params.get(row[0])), _tags(tags.get(row[0]), row[3])),
                _inputs(datasets.get(row[0], []), models.get(row[0], [])),
                _outputs(models.get(row[0], [])),
            )
        )
        for row in found
    }


def _raw(written: bytes | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if written is None else msgspec.Raw(written)


def _tags(written: bytes | None, name: str) -> msgspec.Raw:
    last = msgspec.json.encode(Pair(RUN_NAME, name)) + b"]"
    return msgspec.Raw(b"[" + last if written is None else written[:-1] + b"," + last)


def _inputs(datasets: list[Any], models: list[Any]) -> dict[str, Any]:
    if not datasets and not models:
        return {}
    used = [{"model_id": model} for _, direction, model, _ in models if direction == "input"]
    return present({"dataset_inputs": [*map(_dataset, datasets)], "model_inputs": used})


def _outputs(models: list[Any]) -> dict[str, Any]:
    made = [{"model_id": model, "step": step} for _, direction, model, step in models if direction == "output"]
    return {"model_outputs": made} if made else {}


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
