"""Experiments: named groups of runs, with tags of their own. Deleting one hides its runs, restoring shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import exc

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Refused
from homeostat.core.statements import change
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.attributes import check_key
from homeostat.tracking.model import Experiment

NAME_CHARS, TAG_CHARS = 500, 20_000
# Says how long things of an experiment are kept (`retention.py`): nobody sets it as a tag.
KEEP_TAG = "homeostat.keep"

_TABLE = store.experiment


@verb(permission="tracking:write")
def create_experiment(
    ws: Workspace, name: str, artifact_location: str = "", tags: dict[str, Any] | None = None
) -> Experiment:
    """Make an experiment. A run makes the one it names by itself.

    Raises: AlreadyExists, also when a deleted experiment has the name; InvalidInput for a malformed one.
    """
    check_experiment_name(name)
    ensure_default(ws)

    def make(c: sa.Connection) -> Experiment:
        if c.execute(sa.select(_TABLE.c.id).where(_TABLE.c.name == name)).first() is not None:
            raise _taken(name)
        made = insert(c, name, artifact_location)
        put_tags(c, made, tags or {})
        return one(c, made)

    try:
        return ws.db.write(make)
    except exc.IntegrityError:  # another process took the name meanwhile
        raise _taken(name) from None


@verb(permission="tracking:read")
def get_experiment(ws: Workspace, experiment: str) -> Experiment:
    """An experiment by name, or by id. Raises NotFound."""
    ensure_default(ws)
    return ws.db.read(lambda c: one(c, find(c, experiment)))


@verb(permission="tracking:write")
def rename_experiment(ws: Workspace, experiment: str, name: str) -> Experiment:
    """Give an experiment another name. Raises NotFound, AlreadyExists, InvalidInput; Conflict when it is deleted."""
    check_experiment_name(name)

    def rename(c: sa.Connection) -> Experiment:
        found = find(c, experiment)
        if one(c, found).lifecycle != "active":
            raise Conflict(f"experiment '{experiment[:80]}' is deleted", hint="restore it first")
        other = c.execute(sa.select(_TABLE.c.id).where(_TABLE.c.name == name, _TABLE.c.id != found)).first()
        if other is not None:
            raise _taken(name)
        c.execute(sa.update(_TABLE).where(_TABLE.c.id == found).values(name=name, updated_ms=now_ms()))
        return one(c, found)

    return ws.db.write(rename)


@verb(permission="tracking:write")
def delete_experiment(ws: Workspace, experiment: str) -> Experiment:
    """Hide an experiment and its runs. Nothing is erased; its name stays taken. Raises NotFound."""
    return ws.db.write(lambda c: _move(c, find(c, experiment), "deleted"))


@verb(permission="tracking:write")
def restore_experiment(ws: Workspace, experiment: str) -> Experiment:
    """Bring a deleted experiment and its runs back. Raises NotFound."""
    return ws.db.write(lambda c: _move(c, find(c, experiment), "active"))


@verb(permission="tracking:write")
def set_experiment_tags(ws: Workspace, experiment: str, tags: dict[str, Any]) -> Experiment:
    """Set tags of an experiment; a tag that is there is overwritten. Raises NotFound, InvalidInput."""

    def put(c: sa.Connection) -> Experiment:
        found = find(c, experiment)
        put_tags(c, found, tags)
        return one(c, found)

    return ws.db.write(put)


@verb(permission="tracking:write")
def delete_experiment_tag(ws: Workspace, experiment: str, key: str) -> Experiment:
    """Take a tag off an experiment. Raises NotFound."""

    def take(c: sa.Connection) -> Experiment:
        found = find(c, experiment)
        if not drop_tag(c, found, key):
            raise NotFound(f"experiment '{experiment[:80]}' has no tag '{key[:80]}'", hint="see its `tags`")
        return one(c, found)

    return ws.db.write(take)


def check_experiment_name(name: str) -> str:
    """`name` if it may name an experiment. Raises InvalidInput."""
    if not name.strip() or len(name) > NAME_CHARS or any(ord(char) < 32 for char in name):
        raise InvalidInput(f"{name[:80]!r} is not an experiment name", hint=f"1 to {NAME_CHARS} printable characters")
    return name


_with_default: WeakSet[Workspace] = WeakSet()


def ensure_default(ws: Workspace) -> None:
    """Make the experiment that runs belong to which name none, if it is not there."""
    if ws in _with_default:
        return
    query = sa.select(_TABLE.c.id).where(_TABLE.c.id == store.DEFAULT_ID)
    if ws.db.read(lambda c: c.execute(query).first()) is None:
        ws.db.write(insert_default)
    _with_default.add(ws)


def insert_default(c: sa.Connection) -> int:
    """As `ensure_default`, within the open transaction; its id."""
    now = now_ms()
    change(
        c,
        "insert into tracking_experiment (id, name, lifecycle, artifact_location, created_ms, updated_ms)"
        " values (?, ?, 'active', '', ?, ?) on conflict do nothing",
        (store.DEFAULT_ID, store.DEFAULT, now, now),
    )
    return store.DEFAULT_ID


def insert(c: sa.Connection, name: str, artifact_location: str = "") -> int:
    """A new row; its id. The caller has looked whether the name is free."""
    now = now_ms()
    row = {"name": name, "lifecycle": "active", "artifact_location": artifact_location, "created_ms": now}
    return c.execute(sa.insert(_TABLE).values({**row, "updated_ms": now}).returning(_TABLE.c.id)).scalar_one()


def id_for(c: sa.Connection, name: str) -> int:
    """The id of the experiment of that name, made when there is none. Raises Conflict when it is deleted."""
    found = c.execute(sa.select(_TABLE.c.id, _TABLE.c.lifecycle).where(_TABLE.c.name == name)).first()
    if found is None:
        return insert_default(c) if name == store.DEFAULT else insert(c, name)
    if found.lifecycle != "active":
        raise Conflict(
            f"experiment '{name[:80]}' is deleted", hint="`homeostat tracking restore-experiment`, or rename"
        )
    return found.id


def find(c: sa.Connection, experiment: str) -> int:
    """The id of the experiment that `experiment` names, by name or by id. Raises NotFound."""
    found = c.execute(sa.select(_TABLE.c.id).where(_TABLE.c.name == experiment)).scalar_one_or_none()
    if found is None and experiment.isdecimal() and len(experiment) < 19:
        found = c.execute(sa.select(_TABLE.c.id).where(_TABLE.c.id == int(experiment))).scalar_one_or_none()
    if found is None:
        raise NotFound(
            f"there is no experiment '{experiment[:80]}'", hint="`homeostat tracking list-experiments` lists them"
        )
    return found


def one(c: sa.Connection, experiment_id: int) -> Experiment:
    """The experiment of that id, which exists."""
    row = c.execute(sa.select(_TABLE).where(_TABLE.c.id == experiment_id)).one()
    last, count = c.execute(
        sa.select(sa.func.max(store.run.c.start_ms), sa.func.count()).where(
            store.run.c.experiment_id == experiment_id, store.run.c.lifecycle == "active"
        )
    ).one()
    return Experiment(
        id=str(row.id), name=row.name, lifecycle=row.lifecycle, artifact_location=row.artifact_location,
        created_ms=row.created_ms, updated_ms=row.updated_ms, runs=count, last_start_ms=last or 0,
        tags=tags_of(c, [experiment_id]).get(experiment_id, {}),
    )  # fmt: skip


def tags_of(c: sa.Connection, ids: list[int]) -> dict[int, dict[str, str]]:
    """The tags of experiments, by id."""
    table = store.experiment_tag
    found: dict[int, dict[str, str]] = {}
    for start in range(0, len(ids), 500):
        query = sa.select(table).where(table.c.experiment_id.in_(ids[start : start + 500]))
        for row in c.execute(query.order_by(table.c.experiment_id, table.c.key)):
            found.setdefault(row.experiment_id, {})[row.key] = row.value
    return found


def put_tags(c: sa.Connection, experiment_id: int, tags: dict[str, Any]) -> None:
    """Set tags within the open transaction. Raises InvalidInput, Refused."""
    _refuse_kept(tags)
    rows = [{"experiment_id": experiment_id, "key": check_key(k), "value": _tag_text(k, v)} for k, v in tags.items()]
    store.upsert(c, store.experiment_tag, rows, ["experiment_id", "key"])


def drop_tag(c: sa.Connection, experiment_id: int, key: str) -> bool:
    """Take a tag off within the open transaction; whether it was there. Raises Refused."""
    _refuse_kept([key])
    table = store.experiment_tag
    gone = c.execute(sa.delete(table).where(table.c.experiment_id == experiment_id, table.c.key == key))
    return gone.rowcount > 0


def _refuse_kept(keys: Iterable[str]) -> None:
    if KEEP_TAG in keys:
        raise Refused(
            f"the tag '{KEEP_TAG}' says what is erased", hint="an administrator sets it by `tracking.set_retention`"
        )


def _move(c: sa.Connection, experiment_id: int, lifecycle: str) -> Experiment:
    now = now_ms()
    c.execute(sa.update(_TABLE).where(_TABLE.c.id == experiment_id).values(lifecycle=lifecycle, updated_ms=now))
    c.execute(
        sa.update(store.run)
        .where(store.run.c.experiment_id == experiment_id)
        .values(lifecycle=lifecycle, deleted_ms=now if lifecycle == "deleted" else None)
    )
    return one(c, experiment_id)


def _tag_text(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    if len(text) > TAG_CHARS or "\0" in text:
        raise InvalidInput(f"tag '{key[:80]}' has {len(text)} characters", hint=f"at most {TAG_CHARS} and no NUL")
    return text


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"experiment '{name[:80]}' already exists", hint="a deleted one keeps its name: restore or rename it"
    )
