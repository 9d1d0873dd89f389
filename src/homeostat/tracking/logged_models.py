"""Models as clients log them: created pending, their files put beside, finalized, found again by id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.artifact_roots import below, root_of

ModelStatus = Literal["pending", "ready", "failed"]

# The tag that says as what a model was registered.
VERSIONS = "mlflow.modelVersions"
_AT_ONCE = 500


class ModelMetric(Record):
    """A point that was logged as one of the model's. None stands for NaN."""

    key: str
    value: float | None
    step: int
    at_ms: int
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModel(Record):
    """A model that was logged: where its files lie, which run made it, what it was given and what it reached."""

    id: str
    experiment_id: str
    name: str
    artifact_location: str
    created_ms: int
    updated_ms: int
    status: ModelStatus
    status_message: str = ""
    lifecycle: Literal["active", "deleted"] = "active"
    model_type: str = ""
    source_run_id: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetric] = []


def create_logged_model(
    ws: Workspace,
    experiment_id: int,
    name: str,
    model_type: str = "",
    source_run_id: str = "",
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> LoggedModel:
    """Make a pending model in an experiment. Raises: NotFound, InvalidInput when the experiment is deleted."""
    model_id = f"m-{new_hex_id()}"
    now = now_ms()

    def make(c: sa.Connection) -> LoggedModel:
        root = root_of(c, experiment_id)
        row = {
            "id": model_id, "experiment_id": experiment_id, "name": name, "created_ms": now, "updated_ms": now,
            "artifact_location": below(root, f"models/{model_id}/artifacts"), "status": "pending", "status_message": "",
            "lifecycle": "active", "model_type": model_type, "source_run_id": source_run_id,
        }  # fmt: skip
        c.execute(sa.insert(store.logged_model).values(row))
        _put(c, store.logged_model_param, model_id, params or {})
        _put(c, store.logged_model_tag, model_id, tags or {})
        return one(c, model_id)

    return ws.db.write(make)


def get_logged_model(ws: Workspace, model_id: str, deleted: bool = False) -> LoggedModel:
    """A model by id; `deleted` finds deleted ones too. Raises NotFound."""
    return ws.db.read(lambda c: one(c, model_id, deleted))


def finalize_logged_model(ws: Workspace, model_id: str, status: ModelStatus) -> LoggedModel:
    """Say that all files of a model are there, or that they will not come. Raises NotFound."""
    return _changed(ws, model_id, {"status": status})


def delete_logged_model(ws: Workspace, model_id: str) -> LoggedModel:
    """Hide a model; its files stay. Raises NotFound."""
    return _changed(ws, model_id, {"lifecycle": "deleted"})


def set_logged_model_tags(ws: Workspace, model_id: str, tags: Mapping[str, str]) -> None:
    """Set tags; one that is there is overwritten. Raises NotFound."""

    def put(c: sa.Connection) -> None:
        one(c, model_id, deleted=True)
        _put(c, store.logged_model_tag, model_id, tags)

    ws.db.write(put)


def note_version(ws: Workspace, model_id: str, name: str, version: int) -> None:
    """Write on a model that it was registered, in the tag that clients read that from. Raises NotFound."""

    def put(c: sa.Connection) -> None:
        told = one(c, model_id, deleted=True).tags.get(VERSIONS, "[]")
        # As Python's own writer has it: clients compare the text.
        now = json.dumps([*json.loads(told), {"name": name, "version": version}])
        _put(c, store.logged_model_tag, model_id, {VERSIONS: now})

    ws.db.write(put)


def delete_logged_model_tag(ws: Workspace, model_id: str, key: str) -> None:
    """Take a tag off. Raises NotFound."""

    def take(c: sa.Connection) -> None:
        one(c, model_id, deleted=True)
        table = store.logged_model_tag
        gone = c.execute(sa.delete(table).where(table.c.model_id == model_id, table.c.key == key))
        if gone.rowcount == 0:
            raise NotFound(f"No tag with key {key[:250]!r} found for model with ID {model_id!r}.")

    ws.db.write(take)


def log_logged_model_params(ws: Workspace, model_id: str, params: Mapping[str, str]) -> None:
    """Add parameters. Raises NotFound; Conflict when one is there with another value."""

    def put(c: sa.Connection) -> None:
        one(c, model_id, deleted=True)
        table = store.logged_model_param
        query = sa.select(table.c.key, table.c.value).where(table.c.model_id == model_id, table.c.key.in_(params))
        for key, value in c.execute(query):
            if params[key] != value:
                raise Conflict(f"parameter '{key}' of model {model_id} is {value[:200]!r} and does not change")
        _put(c, table, model_id, params)

    ws.db.write(put)


def one(c: sa.Connection, model_id: str, deleted: bool = False) -> LoggedModel:
    """The model of that id. Raises NotFound."""
    row = c.execute(sa.select(store.logged_model).where(store.logged_model.c.id == model_id)).one_or_none()
    if row is None or (row.lifecycle == "deleted" and not deleted):
        raise NotFound(f"Logged model with ID '{model_id[:64]}' not found.")
    return filled(c, [row])[0]


def filled(c: sa.Connection, rows: Iterable[Any]) -> list[LoggedModel]:
    """Rows of `logged_model` with all that belongs to them, with few statements however many they are."""
    found = list(rows)
    ids = [row.id for row in found]
    params, tags = _pairs(c, store.logged_model_param, ids), _pairs(c, store.logged_model_tag, ids)
    metrics = _metrics(c, ids)
    return [
        LoggedModel(
            id=row.id, experiment_id=str(row.experiment_id), name=row.name, artifact_location=row.artifact_location,
            created_ms=row.created_ms, updated_ms=row.updated_ms, status=row.status,
            status_message=row.status_message, lifecycle=row.lifecycle, model_type=row.model_type,
            source_run_id=row.source_run_id, params=params.get(row.id, {}), tags=tags.get(row.id, {}),
            metrics=metrics.get(row.id, []),
        )
        for row in found
    ]  # fmt: skip


def _changed(ws: Workspace, model_id: str, values: dict[str, Any]) -> LoggedModel:
    def put(c: sa.Connection) -> LoggedModel:
        one(c, model_id, deleted=True)
        table = store.logged_model
        c.execute(sa.update(table).where(table.c.id == model_id).values(**values, updated_ms=now_ms()))
        return one(c, model_id, deleted=True)

    return ws.db.write(put)


def _put(c: sa.Connection, table: sa.Table, model_id: str, given: Mapping[str, str]) -> None:
    rows = [{"model_id": model_id, "key": key, "value": value} for key, value in given.items()]
    store.upsert(c, table, rows, ["model_id", "key"])


def _pairs(c: sa.Connection, table: sa.Table, ids: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = sa.select(table).where(table.c.model_id.in_(ids[start : start + _AT_ONCE]))
        for row in c.execute(query.order_by(table.c.model_id, table.c.key)):
            found.setdefault(row.model_id, {})[row.key] = row.value
    return found


def _metrics(c: sa.Connection, ids: list[str]) -> dict[str, list[ModelMetric]]:
    table, run = store.model_metric, store.run
    found: dict[str, list[ModelMetric]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = (
            sa.select(table, run.c.id.label("run"))
            .join(run, run.c.seq == table.c.run_seq)
            .where(table.c.model_id.in_(ids[start : start + _AT_ONCE]))
        )
        for row in c.execute(query.order_by(table.c.id)):
            point = ModelMetric(
                key=row.key, value=row.value, step=row.step, at_ms=row.at_ms, run_id=row.run,
                dataset_name=row.dataset_name, dataset_digest=row.dataset_digest,
            )  # fmt: skip
            found.setdefault(row.model_id, []).append(point)
    # A call that was made twice, as clients do after a connection broke, said nothing new.
    return {model: list(dict.fromkeys(points)) for model, points in found.items()}
