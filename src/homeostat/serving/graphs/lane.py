"""The lane of a graph: takes questions as a model's lane does, and has them answered by the members' lanes.

A member computes what arrives in one pass of the event loop together, from clients and graphs alike. Its answers to a
batch come back together too, and so a graph's requests go on in groups: those that end together are written, counted
and logged as one batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

import numpy as np

from homeostat.core.errors import HomeostatError
from homeostat.serving.catalog import Catalog
from homeostat.serving.contract import Contract, TensorSpec
from homeostat.serving.delivery import Delivery
from homeostat.serving.graphs.feeding import Columns, Given
from homeostat.serving.graphs.lookups import LookupTable
from homeostat.serving.graphs.member import ColumnsForm, MemberStep
from homeostat.serving.graphs.nodes import Member, walk
from homeostat.serving.graphs.nodes_told import NodesTold
from homeostat.serving.graphs.opening import OpenedGraph
from homeostat.serving.graphs.run import Run
from homeostat.serving.graphs.steps import Step, as_typed, build
from homeostat.serving.lane import Lane
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.oip import Outputs
from homeostat.serving.one_line import one_line
from homeostat.serving.question import Question
from homeostat.serving.shadow import read_again
from homeostat.serving.tensors import Array

log = logging.getLogger("homeostat.serving")
# Mirrored requests that a graph has on their way at once; what comes beyond that is dropped.
MAX_MIRRORED = 256


class GraphLane(Lane):
    """Answers the questions of one version of a graph. All methods run on the event loop."""

    def __init__(self, opened: OpenedGraph, loop: asyncio.AbstractEventLoop, catalog: Catalog) -> None:
        self._traced = catalog.deliveries is not Delivery
        self._told = NodesTold(opened.graph, opened.loaded.counts, self._traced)
        self._runs: dict[Question, Run] = {}
        self._shadow = catalog.shadow
        delivery = GraphDelivery(opened.loaded, catalog, self._told, self._runs)
        super().__init__(opened.loaded, loop, delivery, catalog.server.polling.soon)
        self.lookups: list[LookupTable] = list(opened.lookups.values())
        self.members = opened.members
        self._catalog = catalog
        catalog.shadow.graphs[self.loaded] = self
        self._outputs = opened.checked.signature.outputs
        self._ended: list[tuple[Run, list[Array]]] = []
        self._form = ColumnsForm()
        self._insisted = {path: node for path, node in walk(opened.graph) if isinstance(node, Member)}
        self._own = {path: catalog.new_lane(loaded, loop) for path, loaded in opened.own.items()}
        # Requests are joined when they are logged where the outputs of one have the form of another's.
        self._joined = opened.loaded.contract.batchable and not any(
            -1 in field.shape[1:] for field in self._outputs
        )  # fmt: skip
        self._graph = self._built(opened, catalog)

    def _built(self, opened: OpenedGraph, catalog: Catalog) -> Step:
        told = self._told
        asked = [(path, node) for path, node in walk(opened.graph) if isinstance(node, Member)]
        numbers = {path: number for number, (path, _) in enumerate(asked)}
        names = [node.name for _, node in asked]

        def member(path: str, node: Member) -> Step:
            number = numbers[path]
            suffix = f"#{number}" if names.count(node.name) > 1 else ""
            return MemberStep(
                node, opened.checked.places[path], opened.loaded.contract, opened.checked.rowwise, catalog, self,
                self._form, path, told.numbers[path], suffix, self._own.get(path), self._go_on,
            )  # fmt: skip

        return build(opened.graph, opened.checked, opened.loaded.model, member, opened.lookups, told.timed)

    def log_as(self, policy: LogPolicy) -> None:
        """As `Lane.log_as`, also for the versions that the graph insists on, whose requests are all its own."""
        super().log_as(policy)
        self._log_own()

    def _log_own(self) -> None:
        """Have them log what both the graph and the member's own deployment, if there is one, let through."""
        policy = self.loaded.log_policy
        for path, lane in self._own.items():
            node, loaded = self._insisted[path], lane.loaded
            served = self._catalog.models.get(node.name)
            own = None if served is None else served.deployment
            hidden = {name for name in loaded.contract.names if node.inputs.get(name, name) in policy.redacted}
            share = policy.share if own is None else min(policy.share, own.log_share)
            lane.log_as(LogPolicy(share=share, redacted=sorted(hidden.union([] if own is None else own.redacted))))

    def put(self, question: Question) -> None:
        """Send `question` through the graph; its members compute at the end of this pass."""
        if len(self._runs) >= self._max_waiting:
            self._turn_away(question)
            return
        self._send(question)
        self._hand_out()

    def mirror(self, questions: list[Question], alike: bool, there: Contract) -> None:
        """Have answered questions go through the graph too, for the log alone. See `Shadow`.

        Dropped, and counted as such, is what is beyond `MAX_MIRRORED` at once, and what comes while half of those wait
        for a member who may: whoever waits for an answer goes first.
        """
        crowded = any(lane.crowded for lane in self._members_lanes())
        for question in questions:
            if crowded or len(self._runs) >= min(MAX_MIRRORED, self._max_waiting):
                self._shadow.dropped += 1
                continue
            rows, payload = question.rows, question.payload
            if not alike:
                try:
                    accepted = read_again(self.loaded, question, there)
                except HomeostatError as error:  # it does not fit the shadow's signature: there are no rows to log
                    self.loaded.counts.failures += 1
                    log.warning("shadow %s version %s: %s", self.loaded.model, self.loaded.version, error)
                    continue
                rows, payload = accepted.rows, accepted.payload
            mirrored = Question(NOBODY, self._form, question.id, "shadow", rows, payload, question.key, question.times,
                                [], time.perf_counter_ns())  # fmt: skip
            mirrored.parameters = question.parameters
            self._send(mirrored)
        self._hand_out()

    def _members_lanes(self) -> Iterator[Lane]:
        for name in self.members:
            served = self._catalog.models.get(name)
            if served is not None and served.table is not None:
                yield from served.table.versions.values()
        yield from self._own.values()

    def _send(self, question: Question) -> None:
        deadline = question.deadline_ns or question.started_ns + self.timeout_ns
        run = self._runs[question] = Run(question, deadline, self._told.nothing.copy(), self._run_failed)
        if self._traced:
            run.span = getattr(question.exchange, "span", None)
        self._go_on(run, lambda: self._graph.start(run, self._given(question), lambda found: self._end(run, found)))

    def write_ready(self) -> None:
        """A batch of members' answers is there: go on with the requests that waited for them."""
        arrived, self._form.arrived = self._form.arrived, []
        for call in arrived:
            self._go_on(call.run, lambda call=call: call.then(call))
        self._hand_out()

    def sweep(self, now_ns: int) -> None:
        """As `Lane.sweep`, for what is on its way."""
        for question in list(self._runs):
            self._delivery.expire_running(question, now_ns)
        if self._own:
            self._log_own()  # a member's own deployment may have changed
        for lane in self._own.values():
            lane.sweep(now_ns)

    @property
    def crowded(self) -> bool:
        """As `Lane.crowded`."""
        return 2 * len(self._runs) > self._max_waiting

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._runs

    def _open(self) -> set[Question]:
        return set(self._runs)

    def _close(self) -> None:
        self._shadow.graphs.pop(self.loaded, None)
        for lane in self._own.values():
            lane.retire()
        super()._close()

    def _given(self, question: Question) -> Given:
        return Given(self.loaded.contract, question.payload, question.rows)

    def _go_on(self, run: Run, step: Callable[[], None]) -> None:
        if run.ended:
            return
        try:
            step()
        except HomeostatError as error:
            extra = b"Retry-After: 1\r\n" if error.status == 503 else b""
            run.fail(error.status, one_line(error), extra)
        except Exception as error:  # members are the user's, and so is what their answers do to each other
            run.fail(500, f"{type(error).__name__}: {error}")

    def _end(self, run: Run, found: Columns) -> None:
        if run.ended:
            return
        if len(found) == 1:  # of another name where branches differ in it
            found = {self._outputs[0].name: next(iter(found.values()))}
        arrays = [as_typed(found[field.name], field) for field in self._outputs]
        run.ended = True
        del self._runs[run.question]
        self._ended.append((run, arrays))

    def _run_failed(self, run: Run, status: int, message: str, extra: bytes) -> None:
        self._told.failed(run, status)
        told = f"graph '{self.loaded.model}' version {self.loaded.version}: {message}"
        self._delivery.give_up([run.question], status, told, extra)
        del self._runs[run.question]

    def _hand_out(self) -> None:
        ended, self._ended = self._ended, []
        if not ended:
            return
        alike = [[one for one in ended if (one[0].question.role == "shadow") == mirrored] for mirrored in (False, True)]
        for group in alike if self._joined else [[one] for one in ended]:
            if not group:
                continue
            questions = [run.question for run, _ in group]
            arrays = group[0][1]
            if len(group) > 1:
                arrays = [np.concatenate(parts) for parts in zip(*(parts for _, parts in group), strict=True)]
            payload = self.loaded.contract.merge([question.payload for question in questions])
            outputs = GraphOutputs(self.loaded.outputs, arrays, [run for run, _ in group])
            if questions[0].role == "shadow":
                self.loaded.counts.shadow += len(questions)
                self._delivery.log(questions, payload, outputs, time.perf_counter_ns(), 200)
                self._delivery.settle(questions)
            else:
                self._delivery.deliver(questions, payload, outputs, min(question.started_ns for question in questions))


class GraphDelivery(Delivery):
    """Ends the requests of a graph. `runs` are those on their way."""

    def __init__(self, loaded: LoadedVersion, catalog: Catalog, told: NodesTold, runs: dict[Question, Run]) -> None:
        super().__init__(loaded, catalog.predictions, catalog.shadow)
        self._told = told
        self._runs = runs

    def log(self, group: list[Question], payload: object, outputs: Outputs | None, ended_ns: int, status: int) -> None:
        """To the prediction log, with columns that tell which versions of the members have answered, how long each
        node took, and of a failure which node it was."""
        if isinstance(outputs, GraphOutputs):
            logged = Outputs([*outputs.specs, *self._told.specs], [*outputs.arrays, *self._told.columns(outputs.runs)])
        else:
            (question,) = group  # those of a graph fail alone
            logged = self._told.of_failure(self._runs[question])
        super().log(group, payload, logged, ended_ns, status)


class _Nobody:
    """In the place of a client, where none waits."""

    @property
    def connection(self) -> _Nobody:
        return self

    def write_ready(self) -> None:
        return

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        return


NOBODY = _Nobody()


class GraphOutputs(Outputs):
    """A graph's answers to a group of requests, and the way of each through it."""

    __slots__ = ("runs",)

    def __init__(self, specs: list[TensorSpec], arrays: list[Array], runs: list[Run]) -> None:
        super().__init__(specs, arrays)
        self.runs = runs
