"""MLflow's calls on review queues: traces that people are to look at."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor
from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.foreign_search import offset_of, token_of
from homeostat.core.workspace import Workspace
from homeostat.tracking import review_queues
from homeostat.tracking.mlflow.wording import experiment_id_of
from homeostat.tracking.review_queues import PENDING, NewQueue, ReviewItem, ReviewQueue

_ROOT = "3.0/mlflow/review-queues"
_MOST, _PAGE, _LONGEST, _LONGEST_SCHEMA, _LONGEST_ITEM, _MOST_USERS = 50_000, 100, 250, 36, 50, 10
_TYPES, _STATUSES = ("USER", "CUSTOM"), ("PENDING", "COMPLETE", "DECLINED")
_RESERVED = "default"


@rpc("POST", _ROOT + "/create", permission="tracking:write")
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Keep a queue."""
    experiment, name = args.text("experiment_id", required=True), args.text("name", required=True)
    if (kind := args.text("queue_type")) not in _TYPES:
        raise invalid(f"`queue_type` must be one of USER or CUSTOM; got '{kind[:40]}'.")
    new = _new(name, kind.lower(), _users(args.texts("users")), _schema_ids(args.texts("schema_ids")))
    return {"review_queue": _shape(
        review_queues.create_queue(ws, experiment_id_of(experiment), new, _caller()))}  # fmt: skip


@rpc("POST", _ROOT + "/get-or-create-user", permission="tracking:write")
def get_or_create_user(ws: Workspace, args: Args) -> dict[str, Any]:
    """The queue of a person, made with the first look."""
    experiment, user = args.text("experiment_id", required=True), args.text("user", required=True)
    new = _new(user, "user", [], [])
    return {"review_queue": _shape(review_queues.queue_of_user(ws, experiment_id_of(experiment), new))}


@rpc("GET", _ROOT + "/get", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A queue by id."""
    return {"review_queue": _shape(review_queues.get_queue(ws, args.text("queue_id", required=True)))}


@rpc("GET", _ROOT + "/get-by-name", permission="tracking:read")
def get_by_name(ws: Workspace, args: Args) -> dict[str, Any]:
    """A queue of an experiment by name."""
    experiment = experiment_id_of(args.text("experiment_id", required=True))
    return {"review_queue": _shape(review_queues.find_queue(ws, experiment, args.text("name", required=True)))}


@rpc("GET", _ROOT + "/list", permission="tracking:read")
def list_all(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of an experiment's queues, the newest first."""
    experiment = experiment_id_of(args.text("experiment_id", required=True))
    limit, offset = _page(args)
    user = args.text("user").strip().lower() if args.has("user") else None
    found = review_queues.list_queues(ws, experiment, user, args.text("item_id") if args.has("item_id") else None)
    return {
        "review_queues": [_shape(one) for one in found[offset : offset + limit]],
        "next_page_token": token_of(offset + limit) if len(found) > offset + limit else "",
    }


@rpc("POST", _ROOT + "/update", permission="tracking:write")
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Change a queue in what is given; that of a person stays as it is."""

    def change(before: ReviewQueue) -> ReviewQueue:
        if before.type == "user":
            raise invalid("A user queue's name, assigned user, schemas, and owner are fixed and cannot be updated.")
        changed = before
        if args.has("new_owner"):
            owner = args.text("new_owner").strip()
            _fitting(owner, "new_owner", _LONGEST)
            changed = replace(changed, created_by=owner)
        if args.has("name"):
            changed = replace(changed, name=_custom_name(args.text("name")))
        if args.flag("update_users"):
            changed = replace(changed, users=sorted(_users(args.texts("users"))))
        if args.flag("update_schema_ids"):
            changed = replace(changed, schema_ids=sorted(_schema_ids(args.texts("schema_ids"))))
        return changed if changed is before else replace(changed, updated_ms=now_ms())

    return {"review_queue": _shape(review_queues.change_queue(ws, args.text("queue_id", required=True), change))}


@rpc("POST", _ROOT + "/delete", permission="tracking:write")
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete a queue; what reviewers have said stays."""
    review_queues.delete_queue(ws, args.text("queue_id", required=True))
    return {}


@rpc("POST", _ROOT + "/items/add", permission="tracking:write")
def add_items(ws: Workspace, args: Args) -> dict[str, Any]:
    """Put traces into a queue."""
    queue = args.text("queue_id", required=True)
    ids = _item_ids(args)
    if (kind := args.text("item_type", default="TRACE")) not in ("TRACE", "REVIEW_ITEM_TYPE_UNSPECIFIED"):
        raise invalid(f"`item_type` must be TRACE; got '{kind[:40]}'.")
    return {"items": [_item(one) for one in review_queues.add_items(ws, queue, ids)]}


@rpc("POST", _ROOT + "/items/remove", permission="tracking:write")
def remove_items(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take traces out of a queue."""
    review_queues.remove_items(ws, args.text("queue_id", required=True), _item_ids(args))
    return {}


@rpc("GET", _ROOT + "/items/list", permission="tracking:read")
def list_items(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of what a queue holds, what came last first."""
    queue = args.text("queue_id", required=True)
    limit, offset = _page(args)
    status = _status(args) if args.text("status") not in ("", "REVIEW_STATUS_UNSPECIFIED") else None
    found = review_queues.list_items(ws, queue, status, limit + 1, offset)
    return {
        "items": [_item(one) for one in found[:limit]],
        "next_page_token": token_of(offset + limit) if len(found) > limit else "",
    }


@rpc("POST", _ROOT + "/items/set-status", permission="tracking:write")
def set_status(ws: Workspace, args: Args) -> dict[str, Any]:
    """Say that a trace was reviewed, or is to be again. Where callers are known it was the caller."""
    queue, item = args.text("queue_id", required=True), args.text("item_id", required=True).strip()
    status, by = _status(args), None
    if (caller := _caller()) is not None:
        by = None if status == PENDING else caller.strip().lower()
    elif args.has("completed_by"):
        by = args.text("completed_by").strip().lower()
    if status == PENDING and by is not None:
        raise invalid("`completed_by` must not be set when reopening an item to `pending`.")
    if status != PENDING and not by:
        raise invalid(f"`completed_by` is required when setting status to `{status}`.")
    if by is not None and len(by) > _LONGEST:
        raise invalid(f"`completed_by` must be at most {_LONGEST} characters; got {len(by)}.")
    return {"item": _item(review_queues.set_status(ws, queue, item, status, by))}


def _shape(one: ReviewQueue) -> dict[str, Any]:
    return present({
        "queue_id": one.id, "experiment_id": one.experiment_id, "name": one.name, "queue_type": one.type.upper(),
        "created_by": one.created_by, "creation_time_ms": one.created_ms, "last_update_time_ms": one.updated_ms,
        "users": one.users, "schema_ids": one.schema_ids,
    })  # fmt: skip


def _item(one: ReviewItem) -> dict[str, Any]:
    return present({
        "queue_id": one.queue_id, "item_type": "TRACE", "item_id": one.item_id, "status": one.status.upper(),
        "completed_by": one.by, "completed_time_ms": one.done_ms, "creation_time_ms": one.created_ms,
        "last_update_time_ms": one.updated_ms,
    })  # fmt: skip


def _caller() -> str | None:
    """Who asks, where callers are known: not on a server that is open to its own machine."""
    actor = current_actor()
    return None if actor in ("", "local") else actor


def _new(name: str, kind: str, users: list[str], schema_ids: list[str]) -> NewQueue:
    if kind == "custom":
        return NewQueue(_custom_name(name), kind, users, schema_ids)
    name = name.strip().lower()
    _fitting(name, "name", _LONGEST)
    if users not in ([], [name]):
        raise invalid(
            "A user queue must have exactly one assigned user equal to its name; got"
            f" name={name!r} and users={users!r}."
        )
    if schema_ids:
        raise invalid(
            "A user queue cannot have explicitly-attached schemas; it resolves to all of the experiment's label"
            " schemas."
        )
    return NewQueue(name, kind, [name], [])


def _custom_name(name: str) -> str:
    name = name.strip()
    _fitting(name, "name", _LONGEST)
    if name.lower() == _RESERVED:
        raise invalid(f"`{name}` is a reserved queue name and cannot be used for a custom queue.")
    return name


def _users(given: list[str]) -> list[str]:
    users = list(dict.fromkeys(user.strip().lower() for user in given))
    for user in users:
        _fitting(user, "user", _LONGEST)
    if len(users) > _MOST_USERS:
        raise invalid(f"A review queue can have at most {_MOST_USERS} assigned users; got {len(users)}.")
    return users


def _schema_ids(given: list[str]) -> list[str]:
    ids = list(dict.fromkeys(id.strip() for id in given))
    for id in ids:
        _fitting(id, "schema_id", _LONGEST_SCHEMA)
    return ids


def _item_ids(args: Args) -> list[str]:
    ids = list(dict.fromkeys(id.strip() for id in args.texts("item_ids")))
    if not ids:
        raise invalid("`item_ids` must be a non-empty list; got [].")
    for id in ids:
        _fitting(id, "item_id", _LONGEST_ITEM)
    return ids


def _fitting(value: str, field: str, longest: int) -> None:
    if not value:
        raise invalid(f"`{field}` must be a non-empty string; got ''.")
    if len(value) > longest:
        raise invalid(f"`{field}` must be at most {longest} characters; got {len(value)}.")


def _status(args: Args) -> str:
    if (status := args.text("status")) not in _STATUSES:
        raise invalid(f"`status` must be one of PENDING, COMPLETE, or DECLINED; got '{status[:40]}'.")
    return status.lower()


def _page(args: Args) -> tuple[int, int]:
    limit = args.integer("max_results", default=_PAGE)
    if not 1 <= limit <= _MOST:
        raise invalid(f"max_results must be between 1 and {_MOST}.")
    return limit, offset_of(args.text("page_token"))
