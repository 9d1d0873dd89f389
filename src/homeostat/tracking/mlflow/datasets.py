"""MLflow's calls on evaluation datasets: their records travel as JSON text inside JSON."""

from __future__ import annotations

import base64
import json
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import NotFound
from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.foreign_search import Language, offset_of, parse_filter, parse_order, token_of
from homeostat.core.records import to_json
from homeostat.core.statements import marks, rows
from homeostat.core.workspace import Workspace
from homeostat.tracking import eval_datasets, store
from homeostat.tracking.eval_datasets import EvalDataset
from homeostat.tracking.mlflow.tagged import Tagged, condition, ordered
from homeostat.tracking.mlflow.wording import experiment_id_of

T = TypeVar("T")

_ROOT = "3.0/mlflow/datasets"
_ONE = _ROOT + "/{dataset_id}"
_MOST, _PAGE, _KEY_CHARS, _VALUE_CHARS = 1000, 1000, 255, 5000
_LANGUAGE = Language(
    entities={"attribute": "attribute", "tag": "tag", "tags": "tag"},
    attributes={
        "name": False, "created_time": True, "last_update_time": True, "created_by": False, "last_updated_by": False
    },
    lists=("name",),
)  # fmt: skip
_WHERE = Tagged(
    attributes={
        "name": "d.name", "created_time": "d.created_ms", "last_update_time": "d.updated_ms",
        "created_by": "d.created_by", "last_updated_by": "d.updated_by",
    },
    tags="select 1 from tracking_eval_dataset_tag x where x.dataset_id = d.id and x.key = ?",
    ids={},
)  # fmt: skip


@rpc("POST", _ROOT + "/create", permission="tracking:write", audit=True)
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Make an empty dataset."""
    name = args.text("name", required=True, longest=500)
    tags = _tags(args) if args.has("tags") else {}
    return {"dataset": _shape(eval_datasets.create_eval_dataset(ws, name, tags, _experiments(args)))}


@rpc("GET", _ONE, permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A dataset without its records."""
    return {"dataset": _shape(eval_datasets.get_eval_dataset(ws, args.text("dataset_id")))}


@rpc("DELETE", _ONE, permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete a dataset and its records; one that is not there is gone already."""
    eval_datasets.delete_eval_dataset(ws, args.text("dataset_id"))
    return {}


@rpc("GET", _ROOT + "/search", permission="tracking:read")
@rpc("POST", _ROOT + "/search", permission="tracking:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of the datasets that meet a filter, newest first or in another order."""
    limit = args.integer("max_results", default=_MOST) or _MOST
    if not 0 < limit <= 50_000:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most 50000")
    tree = parse_filter(args.text("filter_string"), _LANGUAGE)
    clauses = [parse_order(clause, _LANGUAGE) for clause in args.texts("order_by")]
    belong, start = _experiments(args), offset_of(args.text("page_token"))

    def read(c: sa.Connection) -> dict[str, Any]:
        where, bound = "1 = 1", list[Any]()
        if belong:
            of = f"select e.dataset_id from tracking_eval_dataset_experiment e where e.experiment_id in ({marks(len(belong))})"  # noqa: S608, E501 - only marks
            where, bound = f"d.id in ({of})", list(belong)
        if tree is not None:
            sql, more = condition(c, tree, _WHERE)
            where, bound = f"{where} and {sql}", [*bound, *more]
        order = ordered(c, clauses, _WHERE, "d.created_ms desc, d.id desc", ("name",), "d.id desc")
        query = f"select d.id from tracking_eval_dataset d where {where} order by {order} limit ? offset ?"  # noqa: S608 - columns of this file; values are bound
        ids = [row[0] for row in rows(c, query, [*bound, limit + 1, start])]
        table = store.eval_dataset
        known = {one.id: one for one in eval_datasets.filled(c, c.execute(sa.select(table).where(table.c.id.in_(ids))))}
        return present({
            "datasets": [_shape(known[one]) for one in ids[:limit]],
            "next_page_token": token_of(start + limit) if len(ids) > limit else None,
        })  # fmt: skip

    return ws.db.read(read)


@rpc("PATCH", _ONE + "/tags", permission="tracking:write")
def set_tags(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set tags."""
    eval_datasets.set_eval_dataset_tags(ws, args.text("dataset_id"), _tags(args))
    return {}


@rpc("DELETE", _ONE + "/tags/{key}", permission="tracking:write")
def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take a tag off; one that is not there is off already."""
    eval_datasets.delete_eval_dataset_tag(ws, args.text("dataset_id"), args.text("key"))
    return {}


@rpc("POST", _ONE + "/add-experiments", permission="tracking:write")
def add_experiments(ws: Workspace, args: Args) -> dict[str, Any]:
    """Say that a dataset belongs to experiments."""
    return {"dataset": _shape(eval_datasets.link_eval_dataset(ws, args.text("dataset_id"), add=_experiments(args)))}


@rpc("POST", _ONE + "/remove-experiments", permission="tracking:write")
def remove_experiments(ws: Workspace, args: Args) -> dict[str, Any]:
    """Say that a dataset belongs to experiments no more."""
    changed = eval_datasets.link_eval_dataset(ws, args.text("dataset_id"), remove=_experiments(args))
    return {"dataset": _shape(changed)}


@rpc("GET", _ONE + "/experiment-ids", permission="tracking:read")
def experiment_ids(ws: Workspace, args: Args) -> dict[str, Any]:
    """The experiments that a dataset belongs to."""
    try:
        found = eval_datasets.get_eval_dataset(ws, args.text("dataset_id"))
    except NotFound:
        return {}
    return present({"experiment_ids": found.experiment_ids})


@rpc("GET", _ONE + "/records", permission="tracking:read")
def records(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of records, in the order they were written."""
    limit = args.integer("max_results", default=_PAGE, least=0, most=_PAGE) or _PAGE
    found = eval_datasets.eval_records(ws, args.text("dataset_id"), limit + 1, _after(args.text("page_token")))
    shown, token = found[:limit], None
    if len(found) > limit:
        last = shown[-1]
        token = base64.b64encode(f"{last['created_time']}:{last['dataset_record_id']}".encode()).decode()
    body = to_json([{name: value for name, value in record.items() if value is not None} for record in shown])
    return present({"records": body, "next_page_token": token})


@rpc("POST", _ONE + "/records", permission="tracking:write")
def put_records(ws: Workspace, args: Args) -> dict[str, Any]:
    """Write records."""
    given = _read(args, "records", list[dict[str, Any]])
    inserted, updated = eval_datasets.put_eval_records(ws, args.text("dataset_id"), given)
    return {"inserted_count": inserted, "updated_count": updated}


@rpc("DELETE", _ONE + "/records", permission="tracking:write")
def delete_records(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete records."""
    ids = args.texts("dataset_record_ids")
    return {"deleted_count": eval_datasets.delete_eval_records(ws, args.text("dataset_id"), ids)}


def _shape(dataset: EvalDataset) -> dict[str, Any]:
    profile = json.dumps({"num_records": dataset.records}) if dataset.records else None
    return present({
        "dataset_id": dataset.id, "name": dataset.name, "digest": dataset.digest, "tags": to_json(dataset.tags),
        "schema": dataset.schema, "profile": profile, "created_time": dataset.created_ms,
        "last_update_time": dataset.updated_ms, "created_by": dataset.created_by,
        "last_updated_by": dataset.updated_by, "experiment_ids": dataset.experiment_ids,
    })  # fmt: skip


def _experiments(args: Args) -> list[int]:
    return list(map(experiment_id_of, args.texts("experiment_ids")))


def _tags(args: Args) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in _read(args, "tags", dict[str, Any]).items():
        if value is None:
            continue
        told = value if isinstance(value, str) else str(value)
        if not key or len(key) > _KEY_CHARS or len(told) > _VALUE_CHARS:
            raise invalid(
                f"Invalid tag {key[:80]!r}: a key has at most {_KEY_CHARS} characters, a value {_VALUE_CHARS}"
            )
        found[key] = told
    return found


def _read(args: Args, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(args.text(name, required=True), type=kind)
    except (msgspec.DecodeError, RecursionError):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it is not JSON text of {kind}.") from None


def _after(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    try:
        at, _, last = base64.b64decode(token, validate=True).decode().partition(":")
        return int(at), last
    except ValueError:
        raise invalid("Invalid page token, could not base64-decode") from None
