"""MLflow's calls on runs: begun, changed, deleted, restored, described."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.events import publish
from homeostat.core.foreign import Args, ForeignError, invalid, rpc
from homeostat.core.ids import new_hex_id
from homeostat.core.statements import change, change_many, marks, rows
from homeostat.core.turns import turns
from homeostat.core.workspace import Workspace
from homeostat.tracking.attributes import number_of_text
from homeostat.tracking.beginning import Beginning, begin
from homeostat.tracking.experiments import insert_default
from homeostat.tracking.folding import fold_soon
from homeostat.tracking.mlflow import shapes
from homeostat.tracking.mlflow.kept import documents_ahead
from homeostat.tracking.mlflow.wording import (
    PARAM_CHARS,
    TAG_CHARS,
    check_key,
    experiment_id_of,
    not_active,
    pairs,
    run_id,
    status_of,
)
from homeostat.tracking.model import RunFinished
from homeostat.tracking.store import DEFAULT, DEFAULT_ID

T = TypeVar("T")

# Where experiments were last found, and their names, of each workspace: to look again costs an exchange with a database
# elsewhere, which sees for itself whether it still holds.
_held: WeakKeyDictionary[Workspace, dict[int, tuple[str, str]]] = WeakKeyDictionary()
_MOST_HELD = 1000

PUT_TAG = (
    "insert into tracking_tag (run_seq, key, value) values (?, ?, ?)"
    " on conflict (run_seq, key) do update set value = excluded.value"
)
_ADJECTIVES = (
    "amber bold brisk calm clever crisp eager fair fleet gentle keen lucid merry noble quick quiet sunny swift"
)
_NOUNS = (
    "badger crane falcon finch fox gull hare heron ibis lark lynx marten otter owl raven robin seal stork swan wren"
)


async def written(ws: Workspace, fn: Callable[[sa.Connection], T]) -> T:
    """`fn(connection)` inside a transaction, awaited without holding a thread; its result once that is committed."""
    return await turns(ws.db).write(fn)


@rpc("POST", "2.0/mlflow/runs/create", permission="tracking:write")
async def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Begin a run; without a name it gets one."""
    experiment = experiment_id_of(args.text("experiment_id"))
    tags = dict(pairs(args.items("tags"), "tags", named=False))
    name, told = args.text("run_name"), tags.pop(shapes.RUN_NAME, "")
    if name and told and name != told:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values"
            f" (run_name='{name}', mlflow.runName='{told}')."
        )
    name = name or told or some_name()
    owner, start = args.text("user_id", longest=256), args.integer("start_time", default=0)
    made = new_hex_id()
    held, looked = _held.setdefault(ws, {}), False

    def put(c: sa.Connection) -> tuple[str, str]:
        nonlocal looked
        believed = None if looked or c.dialect.name == "sqlite" else held.get(experiment)
        if looked:  # this is done over: what was held may not hold
            held.pop(experiment, None)
        looked = True
        where, label = believed or _active_experiment(c, experiment)
        parent = tags.get("mlflow.parentRunId", "")
        known = parent and rows(c, "select id from tracking_run where id = ?", (parent,))
        source, commit = tags.get("mlflow.source.name", ""), tags.get("mlflow.source.git.commit", "")
        run = Beginning(
            made, experiment, label, name, owner, start, parent_id=parent if known else None,
            source=source, code_version=commit,
        )  # fmt: skip
        begin(ws, c, run, tags, believed=where if believed else None)
        return where, label

    where, _ = held[experiment] = await written(ws, put)
    if len(held) > _MOST_HELD:
        held.pop(next(iter(held)))
    info = shapes.run_info((0, made, experiment, name, "running", "active", owner, start, None, where))
    shown = [*tags.items(), (shapes.RUN_NAME, name)]
    return {"run": {"info": info, "data": {"tags": [{"key": k, "value": v} for k, v in shown]}, "inputs": {}}}


@rpc("POST", "2.0/mlflow/runs/update", permission="tracking:write")
async def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set the status, the end or the name of a run."""
    wanted, status, name = run_id(args), status_of(args), args.text("run_name")
    end = args.integer("end_time") if args.has("end_time") else None

    def put(c: sa.Connection) -> tuple[Any, bool]:
        row = active_row(c, wanted)
        ends = status in ("finished", "failed", "killed") and status != row[4]
        change(
            c,
            "update tracking_run set status = ?, end_ms = ?, name = ? where seq = ?",
            (status or row[4], row[8] if end is None else end, name or row[3], row[0]),
        )
        if ends:
            publish(ws, c, RunFinished(run_id=wanted, status=status or ""))
        return shapes.run_row(c, wanted), ends

    row, ended = await written(ws, put)
    if ended:
        fold_soon(ws, wanted)
    return {"run_info": shapes.run_info(row)}


@rpc("GET", "2.0/mlflow/runs/get", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A run with its data, inputs and outputs."""
    wanted = run_id(args)

    def read(c: sa.Connection) -> bytes:
        documents = documents_ahead(ws, c)
        return documents([shapes.run_row(c, wanted)[0]])[0]

    return {"run": msgspec.Raw(ws.db.read(read))}


@rpc("POST", "2.0/mlflow/runs/delete", permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Hide a run."""
    return _move(ws, run_id(args), "deleted", now_ms())


@rpc("POST", "2.0/mlflow/runs/restore", permission="tracking:write", audit=True)
def restore(ws: Workspace, args: Args) -> dict[str, Any]:
    """Bring a deleted run back."""
    return _move(ws, run_id(args), "active", None)


@rpc("POST", "2.0/mlflow/runs/set-tag", permission="tracking:write")
async def set_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set one tag; the tag of the name sets the name."""
    wanted = run_id(args)
    key = check_key(args.text("key", required=True), "key", "key")
    value = args.text("value")[:TAG_CHARS]
    await written(ws, lambda c: put_tags(c, active_row(c, wanted)[0], [(key, value)]))
    return {}


@rpc("POST", "2.0/mlflow/runs/delete-tag", permission="tracking:write")
async def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take one tag off."""
    wanted, key = run_id(args), args.text("key", required=True)

    def take(c: sa.Connection) -> None:
        seq = active_row(c, wanted)[0]
        # A run is named by its name, which that tag only repeats: it stays, as in MLflow.
        gone = change(c, "delete from tracking_tag where run_seq = ? and key = ?", (seq, key))
        if not gone and key != shapes.RUN_NAME:
            raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"No tag with name: {key} in run with id {wanted}", 404)

    await written(ws, take)
    return {}


@rpc("POST", "2.0/mlflow/runs/log-parameter", permission="tracking:write")
async def log_parameter(ws: Workspace, args: Args) -> dict[str, Any]:
    """Record one parameter; the same value again is fine."""
    wanted = run_id(args)
    key = check_key(args.text("key", required=True), "key", "Param key")
    value = args.text("value")[:PARAM_CHARS]

    def put(c: sa.Connection) -> None:
        for key_, old, new in put_params(c, active_row(c, wanted)[0], [(key, value)]):
            raise invalid(
                f"Changing param values is not allowed. Param with key='{key_}' was already logged with"
                f" value='{old}' for run ID='{wanted}'. Attempted logging new value '{new}'."
            )

    await written(ws, put)
    return {}


def active_row(c: sa.Connection, wanted: str) -> Any:
    """The row of a run that may be changed. Raises ForeignError."""
    row = shapes.run_row(c, wanted)
    if row[5] != "active":
        raise not_active(wanted, row[5])
    return row


def put_tags(c: sa.Connection, seq: int, tags: list[tuple[str, str]]) -> None:
    """Set tags within the open transaction."""
    for key, value in tags:
        if key == shapes.RUN_NAME:
            change(c, "update tracking_run set name = ? where seq = ?", (value, seq))
    change_many(c, PUT_TAG, [(seq, key, value) for key, value in tags if key != shapes.RUN_NAME])


def put_params(c: sa.Connection, seq: int, params: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Insert parameters within the open transaction; those that have another value already, with both values."""
    if not params:
        return []
    query = f"select key, value from tracking_param where run_seq = ? and key in ({marks(len(params))})"  # noqa: S608 - only marks
    there = dict(rows(c, query, (seq, *(key for key, _ in params))))
    changed = [(key, there[key], value) for key, value in params if there.get(key, value) != value]
    if not changed:
        new = [(seq, key, value, number_of_text(value)) for key, value in params if key not in there]
        change_many(c, "insert into tracking_param (run_seq, key, value, number) values (?, ?, ?, ?)", new)
    return changed


def _move(ws: Workspace, wanted: str, lifecycle: str, at_ms: int | None) -> dict[str, Any]:
    def move(c: sa.Connection) -> None:
        seq = shapes.run_row(c, wanted)[0]
        change(c, "update tracking_run set lifecycle = ?, deleted_ms = ? where seq = ?", (lifecycle, at_ms, seq))

    ws.db.write(move)
    return {}


def _active_experiment(c: sa.Connection, experiment: int) -> tuple[str, str]:
    found = rows(c, "select lifecycle, artifact_location, name from tracking_experiment where id = ?", (experiment,))
    if not found and experiment == DEFAULT_ID:
        insert_default(c)
        return "", DEFAULT
    if not found:
        raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={experiment} exists", 404)
    lifecycle, where, name = found[0]
    if lifecycle != "active":
        raise invalid(f"The experiment {experiment} must be in the 'active' state. Current state is {lifecycle}.")
    return where, name


def some_name() -> str:
    """A name for what was given none."""
    adjective, noun = random.choice(_ADJECTIVES.split()), random.choice(_NOUNS.split())  # noqa: S311 - not a secret
    return f"{adjective}-{noun}-{random.randint(1, 999)}"  # noqa: S311 - a name, not a secret
