"""What can be done with pipelines."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, HomeostatError, InvalidInput, NotFound, StepFailed
from homeostat.core.faults import fault
from homeostat.core.ids import new_hex_id
from homeostat.core.liveness import this_process
from homeostat.core.records import canonical_json, from_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.pipelines import codecs, files, key, store, tracks
from homeostat.pipelines.model import PipelineRun, PipelineRunPage, StepLog, Value, Why
from homeostat.pipelines.ownership import LEASE_MS, Superseded, claim, no_run, release
from homeostat.pipelines.supervisor import Supervisor

_LOOK_S = 0.2


@verb(permission="pipelines:admin")  # it runs whatever code lies in a folder of the server's machine
def run_pipeline(
    ws: Workspace,
    pipeline: str,
    params: dict[str, Any] = {},  # noqa: B006 - read, never written
    project: str = ".",
    once: str | None = None,
    wait: bool = True,
) -> PipelineRun:
    """Run the pipeline "module:function" of the folder `project`.

    Steps whose code, arguments and inputs are as in an earlier run are not executed: their kept output is used. With
    `once`, the same text always means the same run: called again it goes on where it was cut short, and gives the
    finished run when there is nothing left to do. Without `wait` it returns at once; look with `get_pipeline_run`.

    Raises: NotFound for a project, module or function that is not there; InvalidInput for parameters that do not fit;
    StepFailed when a step failed for good, with the last lines of its output; Conflict when `once` was used with
    another pipeline or other parameters.
    """
    owner = this_process()
    run = _create(ws, pipeline, params, project, once, owner)
    fault("pipeline.created")
    return _carry_on(ws, run, wait=wait, owner=owner)


@verb(permission="pipelines:write")
def resume_pipeline_run(ws: Workspace, run: str, wait: bool = True) -> PipelineRun:
    """Go on with a run that failed, was stopped or was cut short. Steps that are done stay done, unless their code or
    inputs have changed since. A finished run is given back as it is.

    Raises: NotFound; StepFailed when a step fails again.
    """
    return _carry_on(ws, run, wait=wait)


@verb(permission="pipelines:write")
def stop_pipeline_run(ws: Workspace, run: str) -> PipelineRun:
    """Ask for the end of a run: its running steps are ended within a second or two, nothing new starts."""

    def ask(connection: sa.Connection) -> None:
        where = (store.runs.c.id == run, store.runs.c.status == "running")
        connection.execute(sa.update(store.runs).where(*where).values(stop=True))

    ws.db.write(ask)
    return get_pipeline_run(ws, run)


@verb(permission="pipelines:read")
def get_pipeline_run(ws: Workspace, run: str) -> PipelineRun:
    """A run with its steps."""
    return ws.db.read(lambda c: _read(c, run))


@verb(permission="pipelines:read")
def list_pipeline_runs(
    ws: Workspace, pipeline: str | None = None, limit: int = 50, after: str | None = None
) -> PipelineRunPage:
    """Runs, newest first, of one pipeline or of all. `after` continues where a page ended."""
    limit = max(1, min(limit, 500))
    query = sa.select(store.runs.c.id, store.runs.c.start_ms)
    if pipeline is not None:
        query = query.where(store.runs.c.pipeline == pipeline)
    if after is not None:
        at, _, last = after.partition("-")
        if not at.isdigit():
            raise InvalidInput(f"{after[:80]!r} is not a page", hint="pass `next` of the page before")
        columns = store.runs.c
        query = query.where(sa.or_(columns.start_ms < int(at), sa.and_(columns.start_ms == int(at), columns.id < last)))
    query = query.order_by(store.runs.c.start_ms.desc(), store.runs.c.id.desc()).limit(limit + 1)

    def look(connection: sa.Connection) -> PipelineRunPage:
        rows = connection.execute(query).all()
        shown = rows[:limit]
        following = f"{shown[-1].start_ms}-{shown[-1].id}" if len(rows) > limit else None
        return PipelineRunPage(runs=[_read(connection, row.id) for row in shown], next=following)

    return ws.db.read(look)


@verb(permission="pipelines:read")
def why_step(ws: Workspace, run: str, step: str) -> Why:
    """Why a step was executed, or why its kept output could be used; what differs from the run before, part by part."""

    def look(connection: sa.Connection) -> Why:
        task = next((task for task in store.read_tasks(connection, run) if task.name == step), None)
        if task is None:
            raise _no_step(connection, run, step)
        changes = []
        if task.against is not None and task.parts is not None and task.status != "cached":
            other = next((t for t in store.read_tasks(connection, task.against) if t.name == step), None)
            changes = key.changes(other.parts, task.parts) if other and other.parts else []
        told = {"waiting": "it waits for other steps", "cached": "its kept output is used: " + task.why}
        text = told.get(task.status) or f"it was executed: {task.why}"
        return Why(run=run, step=step, status=task.status, text=text, changes=changes, against=task.against)

    return ws.db.read(look)


@verb(permission="pipelines:read")
def step_log(ws: Workspace, run: str, step: str, offset: int = 0, limit: int = 65536) -> StepLog:
    """What a step has printed, from byte `offset` on, at most `limit` bytes; "plan" is the loading of the pipeline."""
    record = get_pipeline_run(ws, run)
    state = next((one.status for one in record.steps if one.name == step), None)
    if state is None and step != files.PLAN:
        raise ws.db.read(lambda c: _no_step(c, run, step))
    try:
        with open(files.log_of(ws, run, step), "rb") as file:
            file.seek(max(0, offset))
            data = file.read(max(1, min(limit, 1 << 20)))
            ended = state not in ("running", "waiting") and not file.read(1)
    except FileNotFoundError:
        return StepLog(text="", offset=0, ended=state not in ("running", "waiting"))
    return StepLog(text=data.decode("utf-8", "replace"), offset=max(0, offset) + len(data), ended=ended)


def load_output(ws: Workspace, run: str, name: str = "result", *, unpickle: bool = False) -> Any:
    """An output of a finished run as the value that the step returned: a data frame, an array, a path.

    A pickled value runs code of whoever wrote it when it is read; `unpickle` says that this is meant.

    Raises: NotFound for a run or an output that is not there, Refused for a pickle.
    """
    row = ws.db.read(lambda c: store.read_run(c, run))
    if row is None:
        raise no_run(run)
    outputs = from_json(row.outputs or "{}", dict[str, Value])
    if name not in outputs:
        raise NotFound(
            f"pipeline run {run} has no output '{name}'",
            hint=f"it has {', '.join(outputs)}" if outputs else f"it is {row.status}; outputs come at its end",
        )
    return codecs.decode(outputs[name], ws.blobs, files.folder_of(ws, run) / "outputs", unpickle=unpickle)


def _create(ws: Workspace, pipeline: str, params: dict[str, Any], project: str, once: str | None, owner: str) -> str:
    folder = Path(project).expanduser().resolve()
    if not folder.is_dir():
        raise NotFound(f"the project folder {folder} is not there", hint="name the folder that holds the pipeline")
    if pipeline.count(":") != 1:
        raise InvalidInput(f"{pipeline[:80]!r} does not name a pipeline", hint="write it as 'module:function'")
    if not codecs.is_json(params):
        raise InvalidInput("a pipeline's params are plain JSON values", hint="pass tables and files by name or path")
    text, now, run = canonical_json(params), now_ms(), new_hex_id()

    def create(connection: sa.Connection) -> str:
        if once is not None:
            row = connection.execute(sa.select(store.runs).where(store.runs.c.once == once)).first()
            if row is not None:
                if (row.pipeline, row.params) != (pipeline, text):
                    raise Conflict(
                        f"once={once!r} already means {row.pipeline} with {row.params}",
                        hint="use another text for another run",
                        run=row.id,
                    )
                return row.id
        connection.execute(
            sa.insert(store.runs).values(
                id=run, pipeline=pipeline, project=str(folder), params=text, once=once, status="running",
                start_ms=now, owner=owner, lease_until_ms=now + LEASE_MS, fence=0, stop=False,
            )
        )  # fmt: skip
        tracks.begin_pipeline(ws, run, pipeline, params)
        return run

    try:
        return ws.db.write(create)
    except exc.IntegrityError:  # another process used the same `once` at the same moment: now it is there
        return ws.db.write(create)


def _carry_on(ws: Workspace, run: str, *, wait: bool, owner: str = "") -> PipelineRun:
    """Supervise the run here, or wait for whoever does; again when that one dies."""
    again = True
    while True:
        fence = claim(ws, run, again=again, owner=owner)
        if fence is not None and not wait:
            supervise_in_background(ws, run, fence)
            return get_pipeline_run(ws, run)
        if fence is not None:
            _supervise(ws, run, fence)
        record = get_pipeline_run(ws, run)
        if record.status != "running" or not wait:
            return _checked(record) if wait else record
        again = False  # whoever holds it now may end it; that end counts here too
        time.sleep(_LOOK_S)


def supervise_in_background(ws: Workspace, run: str, fence: int) -> None:
    """Carry a claimed run on in a thread of its own. How it ends is in its record."""

    def carry_on() -> None:
        with contextlib.suppress(HomeostatError):
            _supervise(ws, run, fence)

    threading.Thread(target=carry_on, name=f"pipeline-{run[:8]}", daemon=True).start()


def _supervise(ws: Workspace, run: str, fence: int) -> None:
    try:
        Supervisor(ws, run, fence).carry_on()
    except Superseded:
        return  # whoever took it over carries it on
    finally:
        release(ws, run, fence)


def _checked(record: PipelineRun) -> PipelineRun:
    failed = next((step for step in record.steps if step.status == "failed"), None)
    if record.status != "failed":
        return record
    told = f"step '{failed.name}' of {record.pipeline} failed: {failed.error}" if failed else str(record.error)
    log = f"`homeostat pipelines step-log {record.id} {failed.name}` shows all it printed; " if failed else ""
    raise StepFailed(
        told,
        hint=f"{log}mend it, then `homeostat pipelines resume-pipeline-run {record.id}` goes on from here",
        run=record.id,
        step=failed.name if failed else None,
    )


def _read(connection: sa.Connection, run: str) -> PipelineRun:
    row = store.read_run(connection, run)
    if row is None:
        raise no_run(run)
    return store.run_record(row, store.read_tasks(connection, run))


def _no_step(connection: sa.Connection, run: str, step: str) -> NotFound:
    names = [task.name for task in store.read_tasks(connection, run)]
    if store.read_run(connection, run) is None:
        return no_run(run)
    return NotFound(f"pipeline run {run} has no step '{step[:80]}'", hint=f"it has {', '.join(names) or 'none yet'}")
