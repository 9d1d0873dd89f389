"""Queues of traces that people are to review: who reviews, what they are asked, and what they have looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, InvalidInput, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, trace_store
from homeostat.tracking.scorers import check_experiment

PENDING = "pending"
_QUEUE, _ITEM, _AT_ONCE = trace_store.review_queue, trace_store.review_item, 500


class ReviewQueue(Record):
    """One queue. `type` is "user" (of one person, who is asked every question of the experiment) or "custom"; names
    are told apart without regard to case; times are in milliseconds.
    """

    id: str
    experiment_id: str
    name: str
    type: str
    created_ms: int
    updated_ms: int
    created_by: str | None = None
    users: list[str] = []
    schema_ids: list[str] = []


class ReviewItem(Record):
    """A trace in a queue. `status` is "pending", "complete" or "declined", and then by whom and when."""

    queue_id: str
    item_id: str
    created_ms: int
    updated_ms: int
    status: str = PENDING
    by: str | None = None
    done_ms: int | None = None


class NewQueue(NamedTuple):
    """What a queue is made of."""

    name: str
    type: str
    users: list[str]
    schema_ids: list[str]


def create_queue(ws: Workspace, experiment_id: int, new: NewQueue, created_by: str | None) -> ReviewQueue:
    """Keep a queue. Raises: NotFound, AlreadyExists, InvalidInput for questions of another experiment."""

    def put(c: sa.Connection) -> ReviewQueue:
        check_experiment(c, experiment_id)
        _check_questions(c, experiment_id, new.schema_ids)
        return _insert(c, experiment_id, new, created_by)

    return ws.db.write(put)


def queue_of_user(ws: Workspace, experiment_id: int, new: NewQueue) -> ReviewQueue:
    """The queue of a person, made with the first look. Raises: NotFound, InvalidInput, AlreadyExists."""

    def put(c: sa.Connection) -> ReviewQueue:
        check_experiment(c, experiment_id)
        found = _named(c, experiment_id, new.name)
        if found is None:
            return _insert(c, experiment_id, new, new.name)
        if found.type != new.type:
            raise AlreadyExists(
                f"A non-user queue named '{new.name}' already exists; cannot get-or-create a user queue with that name."
            )
        return found

    return ws.db.write(put)


def get_queue(ws: Workspace, queue_id: str) -> ReviewQueue:
    """A queue by id. Raises NotFound."""
    return ws.db.read(lambda c: _found(c, queue_id))


def find_queue(ws: Workspace, experiment_id: int, name: str) -> ReviewQueue:
    """A queue of an experiment by name. Raises: NotFound, InvalidInput."""

    def read(c: sa.Connection) -> ReviewQueue:
        check_experiment(c, experiment_id)
        found = _named(c, experiment_id, name)
        if found is None:
            raise NotFound(f"Review queue with name '{name[:250]}' not found for experiment '{experiment_id}'.")
        return found

    return ws.db.read(read)


def list_queues(ws: Workspace, experiment_id: int, user: str | None, item_id: str | None) -> list[ReviewQueue]:
    """The queues of an experiment, the newest first: those of a person, those that hold a trace.

    Raises: NotFound, InvalidInput.
    """
    query = sa.select(_QUEUE.c.body).where(_QUEUE.c.experiment_id == experiment_id)
    if item_id is not None:
        query = query.where(_QUEUE.c.id.in_(sa.select(_ITEM.c.queue_id).where(_ITEM.c.item_id == item_id)))

    def read(c: sa.Connection) -> list[ReviewQueue]:
        check_experiment(c, experiment_id)
        bodies = c.execute(query.order_by(_QUEUE.c.created_ms.desc(), _QUEUE.c.id)).scalars()
        found = [from_json(body, ReviewQueue) for body in bodies]
        return found if user is None else [one for one in found if user in one.users]

    return ws.db.read(read)


def change_queue(ws: Workspace, queue_id: str, change: Callable[[ReviewQueue], ReviewQueue]) -> ReviewQueue:
    """Let `change` alter a queue; its questions only while it holds nothing. Raises: NotFound, AlreadyExists,
    InvalidInput.
    """

    def put(c: sa.Connection) -> ReviewQueue:
        before = _found(c, queue_id, lock=True)
        changed = change(before)
        if changed is before:
            return before
        if changed.schema_ids is not before.schema_ids:
            if c.execute(sa.select(_ITEM.c.item_id).where(_ITEM.c.queue_id == queue_id).limit(1)).first():
                raise InvalidInput(
                    "A review queue's questions are locked once items are assigned to it. Remove the items before"
                    " changing its questions."
                )
            _check_questions(c, int(before.experiment_id), changed.schema_ids)
        if changed.name.lower() != before.name.lower():
            _must_be_free(c, int(before.experiment_id), changed.name)
        row = {"key": changed.name.lower(), "body": to_json(changed)}
        c.execute(sa.update(_QUEUE).where(_QUEUE.c.id == queue_id).values(**row))
        return changed

    return ws.db.write(put)


def delete_queue(ws: Workspace, queue_id: str) -> None:
    """Delete a queue, if it is there; what reviewers have said stays."""

    def delete(c: sa.Connection) -> None:
        c.execute(sa.delete(_ITEM).where(_ITEM.c.queue_id == queue_id))
        c.execute(sa.delete(_QUEUE).where(_QUEUE.c.id == queue_id))

    ws.db.write(delete)


def add_items(ws: Workspace, queue_id: str, ids: Sequence[str]) -> list[ReviewItem]:
    """Put traces of the queue's experiment into it; those that are there already stay as they are. Raises NotFound."""

    def put(c: sa.Connection) -> list[ReviewItem]:
        queue = _found(c, queue_id, lock=True)
        _check_traces(c, queue, ids)
        there, now = _items(c, queue_id, ids), now_ms()
        new = [ReviewItem(queue_id=queue_id, item_id=one, created_ms=now, updated_ms=now)
               for one in ids if one not in there]  # fmt: skip
        if new:
            c.execute(sa.insert(_ITEM), [_item_row(one) for one in new])
        there |= {one.item_id: one for one in new}
        return [there[one] for one in ids]

    return ws.db.write(put)


def remove_items(ws: Workspace, queue_id: str, ids: Sequence[str]) -> None:
    """Take traces out of a queue. Raises NotFound."""

    def delete(c: sa.Connection) -> None:
        _found(c, queue_id)
        for part in _parts(ids):
            c.execute(sa.delete(_ITEM).where(_ITEM.c.queue_id == queue_id, _ITEM.c.item_id.in_(part)))

    ws.db.write(delete)


def list_items(ws: Workspace, queue_id: str, status: str | None, limit: int, offset: int) -> list[ReviewItem]:
    """What a queue holds, what came last first. Raises NotFound."""
    query = sa.select(_ITEM.c.body).where(_ITEM.c.queue_id == queue_id)
    if status is not None:
        query = query.where(_ITEM.c.status == status)
    page = query.order_by(_ITEM.c.created_ms.desc(), _ITEM.c.item_id).limit(limit).offset(offset)

    def read(c: sa.Connection) -> list[ReviewItem]:
        _found(c, queue_id)
        return [from_json(body, ReviewItem) for body in c.execute(page).scalars()]

    return ws.db.read(read)


def set_status(ws: Workspace, queue_id: str, item_id: str, status: str, by: str | None) -> ReviewItem:
    """Say that a trace was reviewed, or is to be again. Who came first is remembered. Raises NotFound."""

    def put(c: sa.Connection) -> ReviewItem:
        _found(c, queue_id)
        found = _items(c, queue_id, [item_id]).get(item_id)
        if found is None:
            raise NotFound(f"Item '{item_id[:128]}' is not attached to review queue '{queue_id[:64]}'.")
        if found.status == status:
            return found
        now = now_ms()
        changed = replace(found, status=status, updated_ms=now, by=by, done_ms=None if status == PENDING else now)
        where = (_ITEM.c.queue_id == queue_id) & (_ITEM.c.item_id == item_id)
        c.execute(sa.update(_ITEM).where(where).values(status=status, body=to_json(changed)))
        return changed

    return ws.db.write(put)


def _insert(c: sa.Connection, experiment_id: int, new: NewQueue, created_by: str | None) -> ReviewQueue:
    _must_be_free(c, experiment_id, new.name)
    now = now_ms()
    queue = ReviewQueue(
        id=f"rq-{new_hex_id()}", experiment_id=str(experiment_id), name=new.name, type=new.type, created_ms=now,
        updated_ms=now, created_by=created_by, users=sorted(new.users), schema_ids=sorted(new.schema_ids),
    )  # fmt: skip
    row = {"id": queue.id, "experiment_id": experiment_id, "key": queue.name.lower(), "created_ms": now}
    c.execute(sa.insert(_QUEUE).values(**row, body=to_json(queue)))
    return queue


def _item_row(item: ReviewItem) -> dict[str, Any]:
    row = {"queue_id": item.queue_id, "item_id": item.item_id, "status": item.status, "created_ms": item.created_ms}
    return {**row, "body": to_json(item)}


def _found(c: sa.Connection, queue_id: str, lock: bool = False) -> ReviewQueue:
    query = sa.select(_QUEUE.c.body).where(_QUEUE.c.id == queue_id)
    body = c.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if body is None:
        raise NotFound(f"Review queue with id '{queue_id[:64]}' not found.")
    return from_json(body, ReviewQueue)


def _named(c: sa.Connection, experiment_id: int, name: str) -> ReviewQueue | None:
    where = (_QUEUE.c.experiment_id == experiment_id) & (_QUEUE.c.key == name.lower())
    body = c.execute(sa.select(_QUEUE.c.body).where(where)).scalar_one_or_none()
    return None if body is None else from_json(body, ReviewQueue)


def _must_be_free(c: sa.Connection, experiment_id: int, name: str) -> None:
    if _named(c, experiment_id, name) is not None:
        raise AlreadyExists(f"Review queue with name '{name}' already exists (names are case-insensitive).")


def _check_questions(c: sa.Connection, experiment_id: int, ids: Sequence[str]) -> None:
    table = store.label_schema
    query = sa.select(table.c.id).where(table.c.experiment_id == experiment_id, table.c.id.in_(ids))
    there = set(c.execute(query).scalars()) if ids else set[str]()
    if missing := [one for one in ids if one not in there]:
        raise InvalidInput(f"Label schema id(s) {missing} not found for experiment '{experiment_id}'.")


def _check_traces(c: sa.Connection, queue: ReviewQueue, ids: Sequence[str]) -> None:
    table, there = store.trace, set[str]()
    for part in _parts(ids):
        query = sa.select(table.c.id).where(table.c.id.in_(part), table.c.experiment_id == int(queue.experiment_id))
        there.update(c.execute(query).scalars())
    if missing := [one for one in ids if one not in there]:
        raise NotFound(
            f"Cannot attach trace(s) {missing} to review queue '{queue.id}': they do not exist in experiment"
            f" '{queue.experiment_id}'."
        )


def _items(c: sa.Connection, queue_id: str, ids: Sequence[str]) -> dict[str, ReviewItem]:
    found: dict[str, ReviewItem] = {}
    for part in _parts(ids):
        query = sa.select(_ITEM.c.item_id, _ITEM.c.body).where(_ITEM.c.queue_id == queue_id, _ITEM.c.item_id.in_(part))
        found |= {id: from_json(body, ReviewItem) for id, body in c.execute(query)}
    return found


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE)]
