"""Datasets that applications are judged on: records of inputs, with what is expected of the answers.

The same inputs are the same record: writing them again adds to what is expected and to the tags, and replaces the
outputs. A dataset may belong to several experiments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.experiments import insert_default

USER = "mlflow.user"
_AT_ONCE = 500
_TYPES = {type(None): "null", bool: "boolean", int: "integer", float: "float", str: "string", list: "array"}


class EvalDataset(Record):
    """One dataset without its records. `schema` says the type of each field; None until there are records."""

    id: str
    name: str
    digest: str
    created_ms: int
    updated_ms: int
    created_by: str | None = None
    updated_by: str | None = None
    schema: str | None = None
    records: int = 0
    tags: dict[str, str] = {}
    experiment_ids: list[str] = []


def create_eval_dataset(
    ws: Workspace, name: str, tags: Mapping[str, str] | None = None, experiment_ids: Sequence[int] = ()
) -> EvalDataset:
    """Make an empty dataset. Raises NotFound for an experiment that there is not."""
    given, now, made = dict(tags or {}), now_ms(), f"d-{new_hex_id()}"
    row = {
        "id": made, "name": name, "digest": _digest(name, now), "created_ms": now, "updated_ms": now,
        "created_by": given.get(USER), "updated_by": given.get(USER), "records": 0,
    }  # fmt: skip

    def make(c: sa.Connection) -> EvalDataset:
        c.execute(sa.insert(store.eval_dataset).values(row))
        _put_tags(c, made, given)
        _link(c, made, experiment_ids)
        return one(c, made)

    return ws.db.write(make)


def get_eval_dataset(ws: Workspace, dataset_id: str) -> EvalDataset:
    """A dataset by id. Raises NotFound."""
    return ws.db.read(lambda c: one(c, dataset_id))


def delete_eval_dataset(ws: Workspace, dataset_id: str) -> None:
    """Delete a dataset and its records for good; one that is not there is gone already."""

    def delete(c: sa.Connection) -> None:
        for table in (store.eval_record, store.eval_dataset_tag, store.eval_dataset_experiment):
            c.execute(sa.delete(table).where(table.c.dataset_id == dataset_id))
        c.execute(sa.delete(store.eval_dataset).where(store.eval_dataset.c.id == dataset_id))

    ws.db.write(delete)


def set_eval_dataset_tags(ws: Workspace, dataset_id: str, tags: Mapping[str, str]) -> None:
    """Set tags; those that are there are overwritten. Raises NotFound."""

    def put(c: sa.Connection) -> None:
        one(c, dataset_id)
        _put_tags(c, dataset_id, tags)

    ws.db.write(put)


def delete_eval_dataset_tag(ws: Workspace, dataset_id: str, key: str) -> None:
    """Take a tag off; one that is not there is off already."""
    table = store.eval_dataset_tag
    ws.db.write(lambda c: c.execute(sa.delete(table).where(table.c.dataset_id == dataset_id, table.c.key == key)))


def link_eval_dataset(
    ws: Workspace, dataset_id: str, add: Sequence[int] = (), remove: Sequence[int] = ()
) -> EvalDataset:
    """Say that a dataset belongs to experiments, or no more. Raises NotFound."""
    table = store.eval_dataset_experiment

    def link(c: sa.Connection) -> EvalDataset:
        one(c, dataset_id)
        _link(c, dataset_id, add)
        if remove:
            c.execute(sa.delete(table).where(table.c.dataset_id == dataset_id, table.c.experiment_id.in_(remove)))
        _touch(c, dataset_id, updated_ms=now_ms())
        return one(c, dataset_id)

    return ws.db.write(link)


def put_eval_records(ws: Workspace, dataset_id: str, records: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Write records: how many were new, and how many were there. Raises: NotFound, InvalidInput."""
    for record in records:
        if not isinstance(record.get("inputs") or {}, dict):
            raise InvalidInput("'inputs' of a record is an object of named values")

    def put(c: sa.Connection) -> tuple[int, int]:
        dataset, now = one(c, dataset_id), now_ms()
        there = _there(c, dataset_id, [_inputs_digest(record) for record in records])
        known, kept = len(there), dict[str, dict[str, Any]]()
        user: str | None = None
        for record in records:
            key = _inputs_digest(record)
            before = kept.get(key) or there.get(key)
            kept[key] = _merged(before, record, now) if before else _new(dataset_id, record, now)
            user = (record.get("tags") or {}).get(USER) or user
        rows = [
            {"dataset_id": dataset_id, "inputs_digest": key, "id": body["dataset_record_id"],
             "created_ms": body["created_time"], "body": to_json(body)}
            for key, body in kept.items()
        ]  # fmt: skip
        store.upsert(c, store.eval_record, rows, ["dataset_id", "inputs_digest"])
        schema = json.dumps(_schema(dataset.schema, records)) if records or dataset.schema else None
        _touch(
            c, dataset_id, updated_ms=now, updated_by=user, schema=schema, digest=_digest(dataset.name, now),
            records=_count(c, dataset_id),
        )  # fmt: skip
        return len(kept) - known, len(records) - (len(kept) - known)

    return ws.db.write(put)


def delete_eval_records(ws: Workspace, dataset_id: str, ids: Sequence[str]) -> int:
    """Delete records; how many there were. Raises NotFound."""
    table = store.eval_record

    def delete(c: sa.Connection) -> int:
        one(c, dataset_id)
        gone = 0
        for at in range(0, len(ids), _AT_ONCE):
            part = list(ids[at : at + _AT_ONCE])
            gone += c.execute(sa.delete(table).where(table.c.dataset_id == dataset_id, table.c.id.in_(part))).rowcount
        _touch(c, dataset_id, records=_count(c, dataset_id))
        return gone

    return ws.db.write(delete)


def eval_records(
    ws: Workspace, dataset_id: str, limit: int, after: tuple[int, str] | None = None
) -> list[dict[str, Any]]:
    """Records in the order they were written, from behind the one that was made at `after` with that id on.

    Raises NotFound.
    """
    table = store.eval_record
    query = sa.select(table.c.body).where(table.c.dataset_id == dataset_id)
    if after is not None:
        query = query.where(
            (table.c.created_ms > after[0]) | ((table.c.created_ms == after[0]) & (table.c.id > after[1]))
        )
    query = query.order_by(table.c.created_ms, table.c.id).limit(limit)

    def read(c: sa.Connection) -> list[dict[str, Any]]:
        one(c, dataset_id)
        return [from_json(body, dict[str, Any]) for body in c.execute(query).scalars()]

    return ws.db.read(read)


def one(c: sa.Connection, dataset_id: str) -> EvalDataset:
    """A dataset by id. Raises NotFound."""
    found = c.execute(sa.select(store.eval_dataset).where(store.eval_dataset.c.id == dataset_id)).all()
    if not found:
        raise NotFound(f"Evaluation dataset with id '{dataset_id[:64]}' not found")
    return filled(c, found)[0]


def filled(c: sa.Connection, found: Iterable[Any]) -> list[EvalDataset]:
    """Rows of the table as datasets, with their tags and experiments."""
    rows = list(found)
    ids = [row.id for row in rows]
    tags: dict[str, dict[str, str]] = {}
    belongs: dict[str, list[str]] = {}
    for at in range(0, len(ids), _AT_ONCE):
        part = ids[at : at + _AT_ONCE]
        table = store.eval_dataset_tag
        for row in c.execute(sa.select(table).where(table.c.dataset_id.in_(part))):
            tags.setdefault(row.dataset_id, {})[row.key] = row.value
        table = store.eval_dataset_experiment
        for row in c.execute(sa.select(table).where(table.c.dataset_id.in_(part)).order_by(table.c.experiment_id)):
            belongs.setdefault(row.dataset_id, []).append(str(row.experiment_id))
    return [
        EvalDataset(
            id=row.id, name=row.name, digest=row.digest, created_ms=row.created_ms, updated_ms=row.updated_ms,
            created_by=row.created_by, updated_by=row.updated_by, schema=row.schema, records=row.records,
            tags=tags.get(row.id, {}), experiment_ids=belongs.get(row.id, []),
        )
        for row in rows
    ]  # fmt: skip


def _new(dataset_id: str, record: Mapping[str, Any], now: int) -> dict[str, Any]:
    tags, source = record.get("tags") or {}, record.get("source")
    body: dict[str, Any] = {
        "dataset_record_id": f"dr-{new_hex_id()}", "dataset_id": dataset_id, "inputs": record.get("inputs") or {},
        "created_time": now, "last_update_time": now, "expectations": record.get("expectations"), "tags": tags,
        "created_by": tags.get(USER), "last_updated_by": tags.get(USER), "outputs": record.get("outputs", {}),
    }  # fmt: skip
    if isinstance(source, dict) and source:
        body |= _source(source)
    return body


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    kind, told = str(source.get("source_type") or "UNSPECIFIED").upper(), source.get("source_data")
    data: dict[str, Any] = told if isinstance(told, dict) else {}
    which = data.get("trace_id" if kind == "TRACE" else "source_id")
    return {"source": {"source_type": kind, "source_data": data}, "source_type": kind, "source_id": which}


def _merged(before: Mapping[str, Any], record: Mapping[str, Any], now: int) -> dict[str, Any]:
    body, tags = {**before, "last_update_time": now}, record.get("tags") or {}
    if "outputs" in record:
        body["outputs"] = record["outputs"]
    for name in ("expectations", "tags"):
        if record.get(name):
            body[name] = {**(before.get(name) or {}), **record[name]}
    if tags.get(USER):
        body["last_updated_by"] = tags[USER]
    return body


def _schema(before: str | None, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    empty: dict[str, Any] = {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}
    schema = from_json(before, dict[str, Any]) if before else empty
    for record in records:
        for part in ("inputs", "outputs", "expectations"):
            value = record.get(part)
            if isinstance(value, dict):
                fields = schema[part]
                for name, inside in value.items() if isinstance(fields, dict) else ():
                    fields.setdefault(str(name), _TYPES.get(type(inside), "object"))
            elif value is not None and not schema[part]:
                schema[part] = _TYPES.get(type(value), "object")
    return schema


def _there(c: sa.Connection, dataset_id: str, keys: list[str]) -> dict[str, dict[str, Any]]:
    table = store.eval_record
    found: dict[str, dict[str, Any]] = {}
    for at in range(0, len(keys), _AT_ONCE):
        part = keys[at : at + _AT_ONCE]
        query = sa.select(table.c.inputs_digest, table.c.body)
        for row in c.execute(query.where(table.c.dataset_id == dataset_id, table.c.inputs_digest.in_(part))):
            found[row.inputs_digest] = from_json(row.body, dict[str, Any])
    return found


def _inputs_digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record.get("inputs") or {}, sort_keys=True).encode()).hexdigest()


def _digest(name: str, now: int) -> str:
    return hashlib.sha256(f"{name}:{now}".encode()).hexdigest()[:8]


def _count(c: sa.Connection, dataset_id: str) -> int:
    table = store.eval_record
    return c.execute(sa.select(sa.func.count()).where(table.c.dataset_id == dataset_id)).scalar_one()


def _touch(c: sa.Connection, dataset_id: str, **values: Any) -> None:
    c.execute(sa.update(store.eval_dataset).where(store.eval_dataset.c.id == dataset_id).values(values))


def _put_tags(c: sa.Connection, dataset_id: str, tags: Mapping[str, str]) -> None:
    rows = [{"dataset_id": dataset_id, "key": key, "value": value} for key, value in tags.items()]
    store.upsert(c, store.eval_dataset_tag, rows, ["dataset_id", "key"])


def _link(c: sa.Connection, dataset_id: str, experiment_ids: Sequence[int]) -> None:
    wanted = list(dict.fromkeys(experiment_ids))
    table = store.experiment
    known = set(c.execute(sa.select(table.c.id).where(table.c.id.in_(wanted))).scalars()) if wanted else set[int]()
    if store.DEFAULT_ID in wanted and store.DEFAULT_ID not in known:
        known.add(insert_default(c))
    for missing in (one for one in wanted if one not in known):
        raise NotFound(f"No Experiment with id={missing} exists")
    rows = [{"dataset_id": dataset_id, "experiment_id": one} for one in wanted]
    store.upsert(c, store.eval_dataset_experiment, rows, ["dataset_id", "experiment_id"])
