"""MLflow's calls on experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists
from homeostat.core.foreign import Args, ForeignError, invalid, rpc
from homeostat.core.foreign_names import check_length
from homeostat.core.foreign_search import Language, offset_of, parse_filter, parse_order, token_of
from homeostat.core.statements import change, marks, rows
from homeostat.core.workspace import Workspace
from homeostat.tracking.experiments import (
    NAME_CHARS,
    TAG_CHARS,
    create_experiment,
    drop_tag,
    ensure_default,
    put_tags,
    tags_of,
)
from homeostat.tracking.mlflow import shapes
from homeostat.tracking.mlflow.tagged import Tagged, condition, ordered
from homeostat.tracking.mlflow.wording import check_key, experiment_id_of, text_of, view_of

_COLUMNS = "e.id, e.name, e.lifecycle, e.artifact_location, e.created_ms, e.updated_ms"
_LONGEST_PLACE = 2048
_LARGEST, _NEWEST = 50_000, "e.created_ms desc, e.id asc"
_LANGUAGE = Language(
    entities={"attribute": "attribute", "attributes": "attribute", "tag": "tag", "tags": "tag"},
    attributes={"name": False, "experiment_id": False, "creation_time": True, "last_update_time": True},
    lists=("experiment_id",),
)
_WHERE = Tagged(
    attributes={
        "name": "e.name", "experiment_id": "e.id", "creation_time": "e.created_ms", "last_update_time": "e.updated_ms"
    },
    tags="select 1 from tracking_experiment_tag x where x.experiment_id = e.id and x.key = ?",
    ids={"experiment_id": experiment_id_of},
)  # fmt: skip


@rpc("POST", "2.0/mlflow/experiments/create", permission="tracking:write", audit=True)
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Make an experiment."""
    name = args.text("name", required=True, longest=NAME_CHARS)
    if not name.strip():
        raise invalid(f"Invalid experiment name: {name!r}")
    where = _place(args.text("artifact_location"))
    tags = dict(_tag(item) for item in args.items("tags"))
    try:
        made = create_experiment(ws, name, where, tags)
    except AlreadyExists:
        raise ForeignError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={name}) already exists.", 400) from None
    return {"experiment_id": made.id}


@rpc("GET", "2.0/mlflow/experiments/get", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """An experiment by id, deleted ones too."""
    ensure_default(ws)
    wanted = experiment_id_of(args.text("experiment_id", required=True))
    return {"experiment": ws.db.read(lambda c: _shaped(c, [_row(c, wanted)])[0])}


@rpc("GET", "2.0/mlflow/experiments/get-by-name", permission="tracking:read")
def get_by_name(ws: Workspace, args: Args) -> dict[str, Any]:
    """An experiment by name, deleted ones too."""
    ensure_default(ws)
    name = args.text("experiment_name", required=True)

    def read(c: sa.Connection) -> dict[str, Any]:
        found = rows(c, f"select {_COLUMNS} from tracking_experiment e where e.name = ?", (name,))  # noqa: S608 - columns of this file; values are bound
        if not found:
            raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name}'", 404)
        return _shaped(c, found)[0]

    return {"experiment": ws.db.read(read)}


@rpc("POST", "2.0/mlflow/experiments/update", permission="tracking:write", audit=True)
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Rename an experiment."""
    ensure_default(ws)
    wanted = experiment_id_of(args.text("experiment_id", required=True))
    name = check_length(args.text("new_name", required=True), "name", NAME_CHARS)

    def rename(c: sa.Connection) -> None:
        if _row(c, wanted)[2] != "active":
            raise ForeignError("INVALID_STATE", "Cannot rename a non-active experiment.", 400)
        if rows(c, "select 1 from tracking_experiment where name = ? and id <> ?", (name, wanted)):
            raise ForeignError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={name}) already exists.", 400)
        change(c, "update tracking_experiment set name = ?, updated_ms = ? where id = ?", (name, now_ms(), wanted))

    ws.db.write(rename)
    return {}


@rpc("POST", "2.0/mlflow/experiments/delete", permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Hide an experiment and its runs."""
    return _move(ws, args, "active", "deleted")


@rpc("POST", "2.0/mlflow/experiments/restore", permission="tracking:write", audit=True)
def restore(ws: Workspace, args: Args) -> dict[str, Any]:
    """Bring an experiment and its runs back."""
    return _move(ws, args, "deleted", "active")


@rpc("POST", "2.0/mlflow/experiments/set-experiment-tag", permission="tracking:write")
def set_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set one tag."""
    ensure_default(ws)
    wanted = experiment_id_of(args.text("experiment_id", required=True))
    key, value = _tag({"key": args.text("key", required=True), "value": args.values.get("value")})
    ws.db.write(lambda c: put_tags(c, _active(c, wanted), {key: value}))
    return {}


@rpc("POST", "2.0/mlflow/experiments/delete-experiment-tag", permission="tracking:write")
def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take one tag off."""
    wanted, key = experiment_id_of(args.text("experiment_id", required=True)), args.text("key", required=True)

    def take(c: sa.Connection) -> None:
        if not drop_tag(c, _active(c, wanted), key):
            message = f"No tag with name: {key} in experiment with id {wanted}"
            raise ForeignError("RESOURCE_DOES_NOT_EXIST", message, 404)

    ws.db.write(take)
    return {}


@rpc("GET", "2.0/mlflow/experiments/search", permission="tracking:read")
@rpc("POST", "2.0/mlflow/experiments/search", permission="tracking:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """Experiments that pass a filter, in an order, page by page."""
    ensure_default(ws)
    limit = args.integer("max_results")
    if limit < 1:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer")
    if limit > _LARGEST:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most {_LARGEST}")
    stages = view_of(args, "view_type")
    tree = parse_filter(args.text("filter"), _LANGUAGE)
    clauses = [parse_order(clause, _LANGUAGE) for clause in args.texts("order_by")]
    start = offset_of(args.text("page_token"))

    def read(c: sa.Connection) -> dict[str, Any]:
        where, bound = f"e.lifecycle in ({marks(len(stages))})", list[Any](stages)
        if tree is not None:
            sql, more = condition(c, tree, _WHERE)
            where, bound = f"{where} and {sql}", [*bound, *more]
        query = (
            f"select {_COLUMNS} from tracking_experiment e where {where}"  # noqa: S608 - columns of this file; values are bound
            f" order by {ordered(c, clauses, _WHERE, _NEWEST, ('name',), 'e.id desc')} limit ? offset ?"
        )
        found = rows(c, query, [*bound, limit + 1, start])
        answer: dict[str, Any] = {"experiments": _shaped(c, found[:limit])} if found else {}
        if len(found) > limit:
            answer["next_page_token"] = token_of(start + limit)
        return answer

    return ws.db.read(read)


def _place(where: str) -> str:
    """Where artifacts shall lie; a folder named from here is named whole, so that every client means the same one."""
    if len(where) > _LONGEST_PLACE:
        raise invalid(
            "Invalid artifact path length. The length of the artifact path cannot be greater than"
            f" {_LONGEST_PLACE} characters."
        )
    if "#" in where or ";" in where:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if not where or ":" in where or where.startswith(("/", "\\")):
        return where
    return str(Path.cwd() / where)


def _row(c: sa.Connection, wanted: int) -> Any:
    found = rows(c, f"select {_COLUMNS} from tracking_experiment e where e.id = ?", (wanted,))  # noqa: S608 - columns of this file; values are bound
    if not found:
        raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={wanted} exists", 404)
    return found[0]


def _active(c: sa.Connection, wanted: int) -> int:
    lifecycle = _row(c, wanted)[2]
    if lifecycle != "active":
        raise invalid(f"The experiment {wanted} must be in the 'active' state. Current state is {lifecycle}.")
    return wanted


def _move(ws: Workspace, args: Args, before: str, after: str) -> dict[str, Any]:
    ensure_default(ws)
    wanted = experiment_id_of(args.text("experiment_id", required=True))

    def move(c: sa.Connection) -> None:
        now = now_ms()
        query = "update tracking_experiment set lifecycle = ?, updated_ms = ? where id = ? and lifecycle = ?"
        if not change(c, query, (after, now, wanted, before)):
            raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={wanted} exists", 404)
        change(
            c,
            "update tracking_run set lifecycle = ?, deleted_ms = ? where experiment_id = ?",
            (after, now if after == "deleted" else None, wanted),
        )

    ws.db.write(move)
    return {}


def _shaped(c: sa.Connection, found: list[Any]) -> list[dict[str, Any]]:
    tags = tags_of(c, [row[0] for row in found])
    return [shapes.experiment(row, tags.get(row[0], {})) for row in found]


def _tag(item: dict[str, Any]) -> tuple[str, str]:
    key = check_key(Args(item).text("key", required=True), "key", "key")
    value = text_of(item.get("value"), "value")
    if len(value) > TAG_CHARS:
        raise invalid(f"'value' exceeds the maximum length of {TAG_CHARS} characters")
    return key, value
