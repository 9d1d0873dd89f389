"""The decision part of a supervisor: given what has ended, what is recorded and what starts next.

All of it happens inside one transaction and touches nothing but the database, so that it may be run again.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from msgspec import structs

from homeostat.core.clock import now_ms
from homeostat.core.context import acting_run
from homeostat.core.lineage_facts import record_read
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.pipelines import freshness, key, store, tracks
from homeostat.pipelines.codecs import blobs_of
from homeostat.pipelines.graph import Graph, Node, predecessors
from homeostat.pipelines.model import Change, KeyParts, Value
from homeostat.pipelines.store import Output, Task

_LONGEST_WAIT_S = 60.0
OVER = ("done", "cached")


class Ended(Record):
    """How one attempt of a step ended: with a value, an error, or `stale` code (then it is planned again)."""

    name: str
    attempt: int
    value: Value | None = None
    error: str | None = None
    stale: bool = False
    interrupted: bool = False
    cpu_ms: int = 0
    peak_kb: int = 0


class Advance:
    """One move of a run. After `record` and `start`, `tasks` holds the new state and `started` what is to be begun."""

    def __init__(
        self, ws: Workspace, connection: sa.Connection, graph: Graph, run: str, tasks: Mapping[str, Task]
    ) -> None:
        self._ws, self._connection, self._graph, self._run = ws, connection, graph, run
        self._nodes = {node.name: node for node in graph.steps}
        self.tasks = dict(tasks)
        self.started: list[Task] = []

    def record(self, ended: Ended) -> None:
        """Write down how an attempt ended. One that is no longer the current attempt changes nothing."""
        task = self.tasks[ended.name]
        if task.attempt != ended.attempt or task.status != "running":
            return
        task = structs.replace(task, cpu_ms=ended.cpu_ms, peak_kb=ended.peak_kb)
        if ended.stale or ended.interrupted:
            self._put(structs.replace(task, status="waiting"))
        elif ended.value is not None:
            self._succeed(task, ended.value)
        else:
            self._fail(task, ended.error or "it gave no result")

    def start(self, capacity: int) -> None:
        """Settle every step that can be answered from what is kept, and claim as many others as may run."""
        outputs = {name: task.output for name, task in self.tasks.items() if task.status in OVER and task.output}
        running = sum(task.status == "running" for task in self.tasks.values())
        if any(task.status == "failed" for task in self.tasks.values()):
            return
        for node in self._graph.steps:
            task = self.tasks[node.name]
            if task.status != "waiting" or any(name not in outputs for name in predecessors(node)):
                continue
            try:
                parts = key.key_parts(node, self._graph, outputs)
            except LookupError as error:
                self._fail(structs.replace(task, failures=node.options.retries), str(error).strip("'\""))
                return
            found, why = self._kept(node, key.key_of(node.function, parts))
            if found is not None:
                outputs[node.name] = self._reuse(task, found, parts)
            elif running < capacity and task.not_before_ms <= now_ms():
                self._claim(task, node, parts, why)
                running += 1

    def stop(self) -> None:
        """Give up what runs."""
        for task in self.tasks.values():
            if task.status == "running":
                self._put(structs.replace(task, status="stopped", end_ms=now_ms()))
                tracks.end(self._ws, task.run_id, "stopped")

    def _kept(self, node: Node, wanted: str) -> tuple[Output | None, str]:
        """The kept output under the key `wanted` if it may be used, else why not (as far as that is known here)."""
        if not node.options.cache:
            return None, "its cache is off"
        output = store.find_output(self._connection, wanted)
        if output is None:
            return None, ""
        moved = freshness.moved_on(self._ws, output.reads)
        if moved:
            return None, key.sentence(moved)
        if not all(self._ws.blobs.exists(digest) for digest in blobs_of(output.value)):
            return None, "the bytes of its kept output are gone"
        return output, ""

    def _reuse(self, task: Task, found: Output, parts: KeyParts) -> Value:
        now = now_ms()
        with acting_run(self._run):  # what made the kept output made this run's as well
            for read in found.reads:
                record_read(self._ws, read.kind, read.asset, read.version, self._connection)
        self._put(
            structs.replace(
                task, status="cached", key=found.key, parts=parts, output=found.value, start_ms=now, end_ms=now,
                run_id=found.run_id, against=found.run, error=None,
                why="nothing it depends on has changed",
            )
        )  # fmt: skip
        return found.value

    def _claim(self, task: Task, node: Node, parts: KeyParts, why: str) -> None:
        against = None
        wanted = key.key_of(node.function, parts)
        if task.key == wanted and task.why:
            why, against = task.why, task.against  # a further attempt, for the same reason
        elif not why:
            before = store.last_task(self._connection, node.function, node.name, self._run)
            if before is None or before.parts is None:
                why = "it has not run before"
            else:
                found: list[Change] = key.changes(before.parts, parts)
                why = key.sentence(found) or "its earlier output is not kept"
                against = before.run
        claimed = structs.replace(
            task, status="running", key=wanted, parts=parts, attempt=task.attempt + 1,
            start_ms=now_ms(), end_ms=None, error=None, why=why, against=against,
            run_id=tracks.step_run_id(self._run, task.name, wanted),
        )  # fmt: skip
        self._put(claimed)
        tracks.begin_step(self._ws, self._graph.pipeline, claimed, node)
        self.started.append(claimed)

    def _succeed(self, task: Task, value: Value) -> None:
        now = now_ms()
        reads = freshness.reads_of(self._ws, self._connection, task.run_id or "", task.start_ms or now)
        if self._node(task.name).options.cache:
            output = Output(key=task.key, value=value, reads=reads, run=self._run, run_id=task.run_id)
            store.keep_output(self._connection, output, now)
        self._put(structs.replace(task, status="done", output=value, end_ms=now, error=None))
        tracks.end(self._ws, task.run_id, "done")

    def _fail(self, task: Task, error: str) -> None:
        options = self._node(task.name).options
        failures = task.failures + 1
        if failures <= options.retries:
            wait_s = min(_LONGEST_WAIT_S, options.retry_wait_s * 2 ** (failures - 1))
            again = structs.replace(
                task, status="waiting", failures=failures, error=error, not_before_ms=now_ms() + int(wait_s * 1000)
            )
            self._put(again)
            return
        self._put(structs.replace(task, status="failed", failures=failures, error=error, end_ms=now_ms()))
        tracks.end(self._ws, task.run_id, "failed", error)

    def _put(self, task: Task) -> None:
        store.update_task(self._connection, task, self.tasks[task.name].attempt)
        self.tasks[task.name] = task

    def _node(self, name: str) -> Node:
        return self._nodes[name]
