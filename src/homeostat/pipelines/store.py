"""Tables and queries of pipelines. Nothing here decides; the supervisor does."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.records import Record, from_json, to_json
from homeostat.pipelines.graph import Graph, predecessors
from homeostat.pipelines.model import KeyParts, PipelineRun, StepRun, StepStatus, Value

runs = sa.Table(
    "pipelines_run",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("pipeline", sa.String(255), nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("once", sa.String(255), unique=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("graph", sa.Text),
    sa.Column("outputs", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger),
    # Who supervises it, until when; `fence` grows with every supervisor, and only the newest may write.
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("lease_until_ms", sa.BigInteger, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("stop", sa.Boolean, nullable=False),
    sa.Index("pipelines_run_start", "start_ms", "id"),
    sa.Index("pipelines_run_status", "status"),
)
tasks = sa.Table(
    "pipelines_task",
    metadata,
    sa.Column("run", sa.String(32), sa.ForeignKey("pipelines_run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("function", sa.String(255), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("parts", sa.Text),
    sa.Column("output", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("not_before_ms", sa.BigInteger, nullable=False),
    sa.Column("start_ms", sa.BigInteger),
    sa.Column("end_ms", sa.BigInteger),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("against", sa.String(32)),
    sa.Column("run_id", sa.String(32)),
    sa.Column("error", sa.Text),
    sa.Column("cpu_ms", sa.BigInteger, nullable=False),
    sa.Column("peak_kb", sa.BigInteger, nullable=False),
    sa.Index("pipelines_task_function", "function", "end_ms"),
)
outputs = sa.Table(
    "pipelines_output",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("reads", sa.Text, nullable=False),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("run_id", sa.String(32)),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)


class Read(Record):
    """One version of an asset that a step read out of the workspace. `latest`: it asked for the newest one."""

    kind: str
    asset: str
    version: str
    latest: bool = True


class Output(Record):
    """A kept output: what a step with this key gave, and what it read besides its arguments."""

    key: str
    value: Value
    reads: list[Read]
    run: str
    run_id: str | None


class Task(Record):
    """A row of `pipelines_task`, decoded."""

    run: str
    name: str
    position: int
    function: str
    status: StepStatus = "waiting"
    key: str = ""
    parts: KeyParts | None = None
    output: Value | None = None
    attempt: int = 0
    failures: int = 0
    not_before_ms: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    why: str = ""
    against: str | None = None
    run_id: str | None = None
    error: str | None = None
    cpu_ms: int = 0
    peak_kb: int = 0


# Built once: taking statements apart for SQLAlchemy's cache would cost more than running them.
_UPDATE_TASK = (
    sa.update(tasks)
    .where(tasks.c.run == sa.bindparam("of_run"), tasks.c.name == sa.bindparam("of_name"))
    .where(tasks.c.attempt == sa.bindparam("at_attempt"))
    .values({name: sa.bindparam(name) for name in Task.__struct_fields__ if name not in ("run", "name")})
)
_FIND_OUTPUT = sa.select(outputs).where(outputs.c.key == sa.bindparam("key"))


def insert_tasks(connection: sa.Connection, new: list[Task]) -> None:
    """Add rows."""
    if new:
        connection.execute(sa.insert(tasks), [_row(task) for task in new])


def update_task(connection: sa.Connection, task: Task, attempt: int) -> bool:
    """Write `task` over the row that stands at `attempt`; False when another attempt was started since."""
    row = _row(task)
    row.update(of_run=row.pop("run"), of_name=row.pop("name"), at_attempt=attempt)
    return bool(connection.execute(_UPDATE_TASK, row).rowcount)


def delete_tasks(connection: sa.Connection, run: str, names: list[str]) -> None:
    """Remove rows: steps that the pipeline no longer has."""
    connection.execute(sa.delete(tasks).where(tasks.c.run == run, tasks.c.name.in_(names)))


def read_tasks(connection: sa.Connection, run: str) -> list[Task]:
    """The tasks of a run in their order."""
    rows = connection.execute(sa.select(tasks).where(tasks.c.run == run).order_by(tasks.c.position)).mappings()
    return [_task(dict(row)) for row in rows]


def last_task(connection: sa.Connection, function: str, name: str, before_run: str) -> Task | None:
    """The newest task of another run that ended well with the same function and step name."""
    query = (
        sa.select(tasks)
        .where(
            tasks.c.function == function,
            tasks.c.name == name,
            tasks.c.run != before_run,
            tasks.c.status.in_(("done", "cached")),
        )
        .order_by(tasks.c.end_ms.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return _task(dict(row)) if row else None


def find_output(connection: sa.Connection, key: str) -> Output | None:
    """The kept output of `key`."""
    row = connection.execute(_FIND_OUTPUT, {"key": key}).first()
    if row is None:
        return None
    return Output(
        key=row.key,
        value=from_json(row.value, Value),
        reads=from_json(row.reads, list[Read]),
        run=row.run,
        run_id=row.run_id,
    )


def keep_output(connection: sa.Connection, output: Output, now: int) -> None:
    """Keep an output; one that is there under the same key is replaced (it was no longer fresh)."""
    connection.execute(sa.delete(outputs).where(outputs.c.key == output.key))
    connection.execute(
        sa.insert(outputs).values(
            key=output.key,
            value=to_json(output.value),
            reads=to_json(output.reads),
            run=output.run,
            run_id=output.run_id,
            created_ms=now,
        )
    )


def read_run(connection: sa.Connection, run: str) -> sa.Row[Any] | None:
    """The row of a run."""
    return connection.execute(sa.select(runs).where(runs.c.id == run)).first()


def run_record(row: sa.Row[Any], found: list[Task]) -> PipelineRun:
    """A run as others see it."""
    graph = from_json(row.graph, Graph) if row.graph else None
    after = {node.name: predecessors(node) for node in graph.steps} if graph else {}
    return PipelineRun(
        id=row.id,
        pipeline=row.pipeline,
        project=row.project,
        status=row.status,
        params=from_json(row.params, dict[str, Any]),
        steps=[_step(task, after.get(task.name, [])) for task in found],
        outputs={n: shown(value) for n, value in from_json(row.outputs or "{}", dict[str, Value]).items()},
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        run_id=row.id,
        once=row.once,
        error=row.error,
    )


def shown(value: Value) -> Any:
    """A value at rest as a JSON value: itself where it is one, else what is kept under which digest."""
    if value.codec == "json" and not value.digest:
        return value.data
    if value.codec in ("list", "tuple"):
        return [shown(item) for item in value.items]
    if value.codec == "dict":
        return {key: shown(item) for key, item in zip(value.keys, value.items, strict=True)}
    return {"codec": value.codec, "digest": value.digest, "size": value.size, "note": value.note}


def _step(task: Task, after: list[str]) -> StepRun:
    return StepRun(
        name=task.name,
        status=task.status,
        key=task.key,
        attempt=task.attempt,
        start_ms=task.start_ms,
        end_ms=task.end_ms,
        cached=task.status == "cached",
        why=task.why,
        run_id=task.run_id,
        error=task.error,
        after=after,
        cpu_ms=task.cpu_ms,
        peak_kb=task.peak_kb,
    )


def _row(task: Task) -> dict[str, Any]:
    row = {name: getattr(task, name) for name in task.__struct_fields__}
    row["parts"] = to_json(task.parts) if task.parts else None
    row["output"] = to_json(task.output) if task.output else None
    return row


def _task(row: dict[str, Any]) -> Task:
    row["parts"] = from_json(row["parts"], KeyParts) if row["parts"] else None
    row["output"] = from_json(row["output"], Value) if row["output"] else None
    return Task(**row)
