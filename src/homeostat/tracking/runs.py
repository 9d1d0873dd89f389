"""Runs: begun, described, ended, read."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor, current_run
from homeostat.core.errors import Conflict, InvalidInput, NotFound
from homeostat.core.events import publish
from homeostat.core.ids import new_hex_id
from homeostat.core.statements import rows_of
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.attributes import (
    PARAM_CHARS,
    add_params,
    add_tags,
    checked_params,
    checked_tags,
    drop_tag,
)
from homeostat.tracking.beginning import Beginning, begin
from homeostat.tracking.experiments import check_experiment_name, id_for
from homeostat.tracking.folding import fold
from homeostat.tracking.model import EndStatus, Run, RunFinished, RunKind
from homeostat.tracking.reading import one

_THERE = "select r.seq, e.name from tracking_run r join tracking_experiment e on e.id = r.experiment_id where r.id = ?"
_EXPERIMENT = "select id from tracking_experiment where name = ? and lifecycle = 'active'"
_PARENT = "select 1 from tracking_run where id = ?"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


@verb(permission="tracking:write")
def create_run(
    ws: Workspace,
    experiment: str = "Default",
    name: str | None = None,
    kind: RunKind = "run",
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    parent_id: str | None = None,
    id: str | None = None,
    source: str = "",
    code_version: str = "",
    start_ms: int | None = None,
) -> Run:
    """Begin a run.

    With an `id` of your own the call may be repeated: a run of that id that is already there is given back, running
    again if it had ended, and the new parameters and tags are added to it. `parent_id` defaults to the run that is
    open around the call, if it is known here. Parameter and tag values are kept as text.

    Raises: InvalidInput for a malformed id or name; NotFound for a parent that does not exist; Conflict when an
    existing run has another experiment or another value of a parameter.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     run = ws.tracking.create_run(name="first", params={"lr": 0.1})
    ...     run.status, run.params
    ('running', {'lr': '0.1'})
    """
    check_experiment_name(experiment)
    if id is not None and not _ID.match(id):
        raise InvalidInput(
            f"{id[:80]!r} is not a run id", hint="letters, digits, '_' and '-', at most 64, the first a letter or digit"
        )
    run_id, owner = id or new_hex_id(), current_actor()
    shown = (name or f"{kind}-{run_id[:8]}")[:255]
    start = now_ms() if start_ms is None else start_ms
    kept_params, kept_tags = checked_params(params or {}), checked_tags(tags or {})

    def put(c: sa.Connection) -> Run:
        there, known, parent = _before(c, run_id, experiment, parent_id)
        if there is not None:
            return _again(c, run_id, experiment, there, kept_params, kept_tags)
        where = known if known is not None else id_for(c, experiment)
        run = Beginning(run_id, where, experiment, shown, owner, start, kind, parent, source, code_version)
        begin(ws, c, run, kept_tags, kept_params)
        return Run(
            id=run_id, experiment=experiment, name=shown, status="running", kind=kind, start_ms=start,
            parent_id=parent, source=source, code_version=code_version, owner=owner,
            params=dict(sorted(kept_params.items())), tags=dict(sorted(kept_tags.items())),
        )  # fmt: skip

    try:
        return ws.db.write(put)
    except exc.IntegrityError:  # another process began the same run meanwhile: now it is there
        return ws.db.write(put)


@verb(permission="tracking:write")
def finish_run(
    ws: Workspace, id: str, status: EndStatus = "finished", error: str | None = None, end_ms: int | None = None
) -> Run:
    """End a run. Ending it again with the same status changes nothing."""

    def end(c: sa.Connection) -> Run:
        before = one(c, id)
        if before.status != status:
            ended = now_ms() if end_ms is None else end_ms
            c.execute(
                sa.update(store.run)
                .where(store.run.c.id == id)
                .values(status=status, end_ms=ended, error=error and error[:PARAM_CHARS])
            )
            publish(ws, c, RunFinished(run_id=id, status=status))
        return one(c, id)

    ended = ws.db.write(end)
    fold(ws, id)
    return ended


@verb(permission="tracking:write")
def log_params(ws: Workspace, id: str, params: dict[str, Any]) -> None:
    """Record what a run was given. A parameter never changes: the same value again is fine, another is a Conflict."""
    ws.db.write(lambda c: add_params(c, id, store.seq_of(c, id), params))


@verb(permission="tracking:write")
def set_tags(ws: Workspace, id: str, tags: dict[str, Any]) -> None:
    """Set tags of a run; a tag that is there is overwritten."""
    ws.db.write(lambda c: add_tags(c, store.seq_of(c, id), tags))


@verb(permission="tracking:write")
def delete_tag(ws: Workspace, id: str, key: str) -> None:
    """Take a tag off a run. Raises NotFound."""

    def take(c: sa.Connection) -> None:
        if not drop_tag(c, store.seq_of(c, id), key):
            raise NotFound(f"run {id[:80]} has no tag '{key[:80]}'", hint="see its `tags`", run=id[:80])

    ws.db.write(take)


@verb(permission="tracking:write")
def delete_run(ws: Workspace, id: str) -> Run:
    """Hide a run: searches leave it out, nothing is erased. Raises NotFound."""
    return ws.db.write(lambda c: _move(c, id, "deleted"))


@verb(permission="tracking:write")
def restore_run(ws: Workspace, id: str) -> Run:
    """Bring a deleted run back. Raises NotFound."""
    return ws.db.write(lambda c: _move(c, id, "active"))


@verb(permission="tracking:read")
def get_run(ws: Workspace, id: str) -> Run:
    """A run with its parameters, tags and the last value of each metric."""
    return ws.db.read(lambda c: one(c, id))


def _move(c: sa.Connection, run_id: str, lifecycle: str) -> Run:
    deleted = now_ms() if lifecycle == "deleted" else None
    c.execute(sa.update(store.run).where(store.run.c.id == run_id).values(lifecycle=lifecycle, deleted_ms=deleted))
    return one(c, run_id)


def _before(
    c: sa.Connection, run_id: str, experiment: str, parent_id: str | None
) -> tuple[tuple[int, str] | None, int | None, str | None]:
    """What is there when a run begins: number and experiment of one with its id, the experiment if it is active, its
    parent. Raises NotFound for a parent that is not."""
    around = current_run() if parent_id is None else parent_id
    wanted = None if around == run_id and parent_id is None else around
    there, known, parent = rows_of(c, [(_THERE, (run_id,)), (_EXPERIMENT, (experiment,)), (_PARENT, (wanted or "",))])
    if parent_id is not None and not parent:
        raise store.unknown_run(parent_id)
    return (there[0] if there else None), (known[0][0] if known else None), (wanted if parent else None)


def _again(
    c: sa.Connection, run_id: str, experiment: str, there: tuple[int, str], params: dict[str, str], tags: dict[str, str]
) -> Run:
    seq, name = there
    if name != experiment:
        raise Conflict(
            f"run {run_id} belongs to experiment '{name}', not '{experiment}'",
            hint="give the run another id",
            run=run_id,
        )
    c.execute(sa.update(store.run).where(store.run.c.seq == seq).values(status="running", end_ms=None, error=None))
    add_params(c, run_id, seq, params)
    add_tags(c, seq, tags)
    return one(c, run_id)
