"""The supervisor: carries one pipeline run from what is recorded to its end, through any number of crashes.

It holds no state that is not in the database: steps without a committed output are run again, steps with one never
are. Outputs reach the blob store under their digest before the transaction that speaks of them, and every transaction
checks that no other supervisor has taken over; so a step may be executed more than once but counts once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import structs

from homeostat.core.clock import now_ms
from homeostat.core.errors import HomeostatError, StepFailed, from_code
from homeostat.core.executor import Executor, Job, Outcome, open_executor
from homeostat.core.faults import fault
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.pipelines import files, key, store, tracks
from homeostat.pipelines.advance import OVER, Advance, Ended
from homeostat.pipelines.graph import Graph, Node, predecessors, resolve
from homeostat.pipelines.messages import Answer, Request, write_whole
from homeostat.pipelines.model import RunStatus
from homeostat.pipelines.ownership import LEASE_MS, renew
from homeostat.pipelines.store import Task

T = TypeVar("T")

CHILD = "homeostat.pipelines.child"
_LOOK_S = 1.0
_PLANS = 5  # how often code may change under a run before it is given up


class Supervisor:
    """Supervises `run` under `fence`, which `ownership.claim` gave."""

    def __init__(self, ws: Workspace, run: str, fence: int) -> None:
        self._ws, self._run, self._fence = ws, run, fence
        self._executor: Executor = open_executor(ws.settings.executor)
        self._tasks: dict[str, Task] = {}
        self._jobs: dict[str, Task] = {}
        self._deadlines: dict[str, float] = {}
        self._late: set[str] = set()
        self._renewed = time.monotonic()
        self._plans = 0
        row = ws.db.read(lambda c: store.read_run(c, run))
        assert row is not None
        self._project: str = row.project
        self._function: str = row.pipeline
        self._params: dict[str, Any] = from_json(row.params, dict[str, Any])
        self._graph = Graph(pipeline=row.pipeline, steps=[], outputs={})

    def carry_on(self) -> None:
        """Go on until the run has ended. Raises: Superseded when another supervisor took over."""
        try:
            if not self._plan(adopt=True):
                return
            while not self._move():
                pass
        except KeyboardInterrupt:  # whoever pressed Ctrl-C does not want it taken up by a server
            self._write(self._stop)
            raise
        finally:
            self._drop_jobs()

    # -- planning

    def _plan(self, *, adopt: bool = False) -> bool:
        """Describe the pipeline with the project's code as it is now; False when that failed and the run with it."""
        self._plans += 1
        request = self._request("plan", files.PLAN, self._plans, function=self._function, params=self._params)
        job = self._submit(files.PLAN, self._plans, request, isolation="fork")
        outcomes: list[Outcome] = []
        while not outcomes:
            outcomes = self._executor.wait([job], _LOOK_S)
            self._keep_lease()
        answer = self._answer(files.PLAN, self._plans)
        files.clear(self._ws, self._run, files.PLAN, self._plans)
        if answer is None or answer.graph is None:
            self._end_unplanned(answer, outcomes[0])
            return False
        graph = answer.graph
        ended = list(self._left_behind()) if adopt else []
        self._graph, self._tasks = graph, self._write(lambda c: self._settle(c, graph, ended))
        for one in ended:
            files.clear(self._ws, self._run, one.name, one.attempt)
        fault("pipeline.planned")
        return True

    def _left_behind(self) -> Iterable[Ended]:
        """Answers that children of an earlier supervisor had finished and nobody collected."""
        for task in self._ws.db.read(lambda c: store.read_tasks(c, self._run)):
            answer = self._answer(task.name, task.attempt) if task.status == "running" else None
            if answer is not None and answer.value is not None and answer.key == task.key:
                yield Ended(name=task.name, attempt=task.attempt, value=answer.value)

    def _settle(self, connection: sa.Connection, graph: Graph, collected: list[Ended]) -> dict[str, Task]:
        """Bring the recorded tasks in step with `graph`: keep what is done and still the same, reset the rest."""
        there = {task.name: task for task in store.read_tasks(connection, self._run)}
        known = {name: task for name, task in there.items() if name in {node.name for node in graph.steps}}
        early = Advance(self._ws, connection, graph, self._run, known)
        for ended in collected:
            if ended.name in known:
                early.record(ended)
        there.update(early.tasks)
        store.delete_tasks(connection, self._run, list(there))
        tasks: dict[str, Task] = {}
        outputs: dict[str, Any] = {}
        for position, node in enumerate(graph.steps):
            task = there.get(node.name) or Task(
                run=self._run, name=node.name, position=position, function=node.function
            )
            if self._still_done(task, node, graph, outputs):
                outputs[node.name] = task.output
            else:
                failures = 0 if task.status == "failed" else task.failures
                task = structs.replace(task, status="waiting", output=None, failures=failures, error=None)
            tasks[node.name] = structs.replace(task, position=position, function=node.function)
        store.insert_tasks(connection, list(tasks.values()))
        where = store.runs.c.id == self._run
        connection.execute(sa.update(store.runs).where(where).values(graph=to_json(graph)))
        tracks.begin_pipeline(self._ws, self._run, self._function, self._params)
        return tasks

    @staticmethod
    def _still_done(task: Task, node: Node, graph: Graph, outputs: dict[str, Any]) -> bool:
        if task.status not in OVER or any(name not in outputs for name in predecessors(node)):
            return False
        try:
            return key.key_of(node.function, key.key_parts(node, graph, outputs)) == task.key
        except LookupError:
            return False

    def _end_unplanned(self, answer: Answer | None, outcome: Outcome) -> None:
        failure = answer.failure if answer else None
        if failure is not None and failure.code:
            self._end("failed", failure.message)
            raise from_code(failure.code, failure.message, failure.hint)
        told = f"{failure.kind}: {failure.message}" if failure else _how(outcome)
        log = files.log_of(self._ws, self._run, files.PLAN)
        message = f"pipeline {self._function} cannot be loaded: {told}\n{files.tail(log)}"
        self._end("failed", message)
        raise StepFailed(message, hint=f"mend it in {self._project} and run it again", run=self._run)

    # -- running

    def _move(self) -> bool:
        """Wait for something to happen, write it down, start what may start; True when the run has ended."""
        if self._jobs:
            outcomes = self._executor.wait(list(self._jobs), self._pause())
        else:
            outcomes = []
            time.sleep(self._pause() if self._tasks and self._waits() else 0)
        self._end_late()
        ended = [self._ended(outcome) for outcome in outcomes]
        stop = self._stop_wanted()
        if not (ended or stop or self._may_start()):
            self._keep_lease()
            return False
        fault("step.collected")
        started, self._tasks, status = self._write(lambda c: self._advance(c, ended, stop))
        for one in ended:
            fault("step.committed")
            files.clear(self._ws, self._run, one.name, one.attempt)
        for task in started:
            self._begin(task)
        if any(one.stale for one in ended):
            self._drop_jobs()
            return not self._plan()
        return status is not None

    def _advance(
        self, connection: sa.Connection, ended: list[Ended], stop: bool
    ) -> tuple[list[Task], dict[str, Task], RunStatus | None]:
        advance = Advance(self._ws, connection, self._graph, self._run, self._tasks)
        for one in ended:
            advance.record(one)
        if stop:
            advance.stop()
        elif not any(one.stale for one in ended):
            advance.start(self._executor.capacity())
        status = _status(advance.tasks, stop)
        if status is not None:
            self._finish(connection, status, advance.tasks)
        return advance.started, advance.tasks, status

    def _stop(self, connection: sa.Connection) -> None:
        """Stop the run as it is written down: a commit may have been interrupted before its result was heard of."""
        self._tasks = {task.name: task for task in store.read_tasks(connection, self._run)}
        self._advance(connection, [], stop=True)

    def _finish(self, connection: sa.Connection, status: RunStatus, tasks: dict[str, Task]) -> None:
        error = next((f"step '{t.name}': {t.error}" for t in tasks.values() if t.status == "failed"), None)
        values: dict[str, Any] = {"status": status, "end_ms": now_ms(), "error": error, "lease_until_ms": 0}
        if status == "finished":
            given = {name: task.output for name, task in tasks.items() if task.output}
            try:
                outputs = {name: resolve(value, given) for name, value in self._graph.outputs.items()}
                values["outputs"] = to_json(outputs)
            except LookupError as missing:
                values["status"], values["error"] = "failed", str(missing).strip("'\"")
        connection.execute(sa.update(store.runs).where(store.runs.c.id == self._run).values(**values))
        tracks.end(self._ws, self._run, values["status"], values["error"])

    def _begin(self, task: Task) -> None:
        fault("step.claimed")
        node = next(node for node in self._graph.steps if node.name == task.name)
        outputs = {name: other.output for name, other in self._tasks.items() if other.output}
        arguments = {name: resolve(value, outputs) for name, value in node.arguments.items()}
        request = self._request(
            "step", task.name, task.attempt, function=node.function, arguments=arguments, key=task.key,
            run_id=task.run_id, step_key=task.run_id or "", sources=self._graph.sources,
        )  # fmt: skip
        job = self._submit(task.name, task.attempt, request, isolation=node.options.isolation)
        self._jobs[job] = task
        if node.options.timeout_s is not None:
            self._deadlines[job] = time.monotonic() + node.options.timeout_s
        fault("step.started")

    def _ended(self, outcome: Outcome) -> Ended:
        task = self._jobs.pop(outcome.job)
        deadline = self._deadlines.pop(outcome.job, None)
        answer = self._answer(task.name, task.attempt)
        told = Ended(name=task.name, attempt=task.attempt, cpu_ms=outcome.cpu_ms, peak_kb=outcome.peak_kb)
        if answer is not None and answer.value is not None and answer.key == task.key:
            return structs.replace(told, value=answer.value)
        if answer is not None and answer.stale and self._plans < _PLANS:
            return structs.replace(told, stale=True)
        if outcome.cause == "lost":
            return structs.replace(told, interrupted=True)
        if answer is not None and answer.stale:
            error = "the project's files keep changing while it runs"
        elif answer is not None and answer.failure is not None:
            error = f"{answer.failure.kind}: {answer.failure.message}"
        elif outcome.job in self._late and deadline is not None:
            error = "it took longer than its timeout_s and was ended"
        else:
            error = _how(outcome)
        self._late.discard(outcome.job)
        return structs.replace(told, error=_with_log(error, files.tail(files.log_of(self._ws, self._run, task.name))))

    # -- children

    def _request(self, do: Any, name: str, attempt: int, **more: Any) -> Request:
        return Request(
            do=do,
            url=self._ws.url,
            project=self._project,
            answer=str(files.message_of(self._ws, self._run, name, attempt, "answer")),
            scratch=str(files.message_of(self._ws, self._run, name, attempt, "scratch")),
            **more,
        )

    def _submit(self, name: str, attempt: int, request: Request, *, isolation: Any) -> str:
        path = files.message_of(self._ws, self._run, name, attempt, "request")
        files.clear(self._ws, self._run, name, attempt)
        write_whole(path, request)
        job = Job(
            id=f"{self._run}/{name}/{attempt}/{self._fence}",
            module=CHILD,
            arguments=[str(path)],
            folder=self._project,
            log=str(files.log_of(self._ws, self._run, name)),
            environment={"HOMEOSTAT_HOME": str(self._ws.home)},
            isolation=isolation,
        )
        self._executor.submit(job)
        return job.id

    def _answer(self, name: str, attempt: int) -> Answer | None:
        path = files.message_of(self._ws, self._run, name, attempt, "answer")
        try:
            return from_json(path.read_bytes(), Answer)
        except (FileNotFoundError, HomeostatError):
            return None

    def _end_late(self) -> None:
        now = time.monotonic()
        for job, deadline in self._deadlines.items():
            if now >= deadline and job not in self._late:
                self._late.add(job)
                self._executor.cancel(job)

    def _drop_jobs(self) -> None:
        for job in self._jobs:
            self._executor.cancel(job)
        while self._jobs:
            for outcome in self._executor.wait(list(self._jobs), _LOOK_S):
                self._jobs.pop(outcome.job)

    # -- time and turns

    def _pause(self) -> float:
        """How long nothing needs doing, in seconds, at most `_LOOK_S`."""
        now = time.monotonic()
        soonest = [deadline - now for job, deadline in self._deadlines.items() if job not in self._late]
        soonest += [(task.not_before_ms - now_ms()) / 1000 for task in self._waits()]
        return max(0.0, min([_LOOK_S, *soonest]))

    def _waits(self) -> list[Task]:
        return [task for task in self._tasks.values() if task.status == "waiting" and task.not_before_ms]

    def _may_start(self) -> bool:
        """Whether `Advance.start` could change anything: nothing runs, or a waiting time is over."""
        return not self._jobs or any(task.not_before_ms <= now_ms() for task in self._waits())

    def _stop_wanted(self) -> bool:
        row = self._ws.db.read(lambda c: store.read_run(c, self._run))
        return row is not None and row.stop

    def _keep_lease(self) -> None:
        if time.monotonic() - self._renewed > LEASE_MS / 4000:
            self._write(lambda c: None)

    def _write(self, fn: Callable[[sa.Connection], T]) -> T:
        """A transaction that only the current supervisor can commit."""

        def guarded(connection: sa.Connection) -> T:
            renew(connection, self._run, self._fence)
            return fn(connection)

        result = self._ws.db.write(guarded)
        self._renewed = time.monotonic()
        return result

    def _end(self, status: RunStatus, error: str) -> None:
        values = {"status": status, "error": error, "end_ms": now_ms(), "lease_until_ms": 0}

        def end(connection: sa.Connection) -> None:
            connection.execute(sa.update(store.runs).where(store.runs.c.id == self._run).values(**values))
            tracks.end(self._ws, self._run, status, error)

        self._write(end)


def _status(tasks: dict[str, Task], stop: bool) -> RunStatus | None:
    """What the run comes to; None while it goes on."""
    states = [task.status for task in tasks.values()]
    if stop:
        return "stopped"
    if all(state in OVER for state in states):
        return "finished"
    if "failed" in states and "running" not in states:
        return "failed"
    return None


def _how(outcome: Outcome) -> str:
    if outcome.cause == "killed":
        told = " (is memory short?)" if outcome.signal == 9 else ""
        return f"its process was killed by signal {outcome.signal}{told}"
    return f"its process ended with code {outcome.exit_code} and no answer"


def _with_log(error: str, log: str) -> str:
    return f"{error}\n{log}" if log else error
