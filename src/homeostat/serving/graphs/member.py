"""A member of a graph is asked as any client's request is: through its own lane, by its own routes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from homeostat.core.errors import NotFound, StepFailed, Unavailable
from homeostat.serving.asked_by_mlflow import Asked
from homeostat.serving.catalog import Catalog, Unloaded
from homeostat.serving.contract import Contract
from homeostat.serving.graphs.checking import Place
from homeostat.serving.graphs.feeding import Columns, Feeder, Given, as_request, feeder
from homeostat.serving.graphs.nodes import Member
from homeostat.serving.graphs.run import Run
from homeostat.serving.graphs.steps import Step, Then
from homeostat.serving.lane import Lane
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.oip import Outputs
from homeostat.serving.otlp import Child
from homeostat.serving.question import Line, Question
from homeostat.serving.request_ids import without_id
from homeostat.serving.served import Held

# Versions whose feeders are kept: those of one rollout and some before it.
_FEEDERS = 16


class MemberCall:
    """Waits for a member's answer in a client's place."""

    __slots__ = ("_label", "_node", "connection", "outputs", "run", "span", "then", "version")

    def __init__(
        self, run: Run, line: Line, label: str, node: int, span: Child | None, then: Callable[[MemberCall], None]
    ) -> None:
        self.run = run
        self.span = span  # below which the member tells of itself, as it does for a client's request
        self._node = node
        self.connection = line
        self.then = then
        self.outputs: Columns = {}
        self.version = 0
        self._label = label

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """The member could not answer: so cannot the graph."""
        self.run.blame(self._node)
        self.run.fail(status, f"member '{self._label}': {message}", without_id(extra))


class ColumnsForm:
    """The answer as arrays. `arrived` is what the line of the calls looks through when the whole group is answered."""

    def __init__(self) -> None:
        self.arrived: list[MemberCall] = []

    def put(
        self, question: Question, waiting: MemberCall, loaded: LoadedVersion, outputs: Outputs, start: int,
        stop: int | None,
    ) -> None:  # fmt: skip
        """See `Form.put`."""
        waiting.outputs = {
            spec.name: array if stop is None else array[start:stop]
            for spec, array in zip(loaded.outputs, outputs.arrays, strict=True)
        }
        waiting.version = loaded.version
        self.arrived.append(waiting)


class MemberStep(Step):
    """Asks one member. `own` is the lane of a version that the graph insists on; without it the member's routes say.

    `path` is its place in the graph, `number` that among the nodes that do something; `suffix` tells its predictions
    from those of the same member at another place of the graph.
    """

    def __init__(
        self, node: Member, place: Place, graph: Contract, rowwise: bool, catalog: Catalog, line: Line,
        form: ColumnsForm, path: str, number: int, suffix: str, own: Lane | None,
        go_on: Callable[[Run, Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self._node = node
        self._place = place
        self._graph = graph
        self._rowwise = rowwise
        self._catalog = catalog
        self._line = line
        self._form = form
        self._path = path
        self._number = number
        self._suffix = suffix
        self._own = own
        self._go_on = go_on
        self._feeders: dict[LoadedVersion, Feeder] = {}

    def start(self, run: Run, given: Given, then: Then) -> None:
        try:
            self._ask(run, given, then)
        except Unloaded as away:  # held, as a client's request is, while the member is loaded
            call = self._call(run, lambda call: None)
            resume = partial(self._go_on, run, partial(self.start, run, given, then))
            self._catalog.residency.hold(away.served, Held(resume, call.fail, run.deadline_ns))

    def _ask(self, run: Run, given: Given, then: Then) -> None:
        question = run.question
        lane, role, shadows = self._route(run, given)
        loaded = lane.loaded
        feed = self._feeders.get(loaded) or self._feeder(loaded)
        payload = feed(given)
        if loaded.contract.asks:
            payload = Asked(payload)
            loaded.contract.bind(payload, None, question.parameters)

        def answered(call: MemberCall) -> None:
            run.answered[self._number] = f"{self._node.name}/{call.version}"
            then(self._renamed(run, call.outputs, given.rows))

        call = self._call(run, answered)
        asked = Question(
            call, self._form, question.id + self._suffix, role, given.rows, payload, run.keys_of(given),
            run.times_of(given), [], time.perf_counter_ns(),
        )  # fmt: skip
        asked.parameters = question.parameters
        asked.deadline_ns = min(run.deadline_ns, asked.started_ns + lane.timeout_ns)
        if shadows:
            asked.shadows = [shadow.loaded for shadow in shadows]
            asked.mirror = as_request(asked.id, payload, loaded.contract)
        lane.put(asked)

    def _call(self, run: Run, then: Callable[[MemberCall], None]) -> MemberCall:
        return MemberCall(run, self._line, self._node.name, self._number, run.spans.get(self._path), then)

    def _route(self, run: Run, given: Given) -> tuple[Lane, str, list[Lane]]:
        """The lane that answers, the role it has, and the lanes that its request is mirrored to."""
        lane, role, shadows = self._routed(run, given)
        if run.question.role == "shadow":  # what is computed for a shadow is neither an answer nor mirrored again
            return lane, "shadow", []
        return lane, role, shadows

    def _routed(self, run: Run, given: Given) -> tuple[Lane, str, list[Lane]]:
        if self._own is not None:
            return self._own, "direct", []
        try:
            served = self._catalog.served(self._node.name)
        except NotFound as error:
            raise Unavailable(f"member '{self._node.name}' is not deployed here", hint="deploy it again") from error
        table, deployment = served.table, served.deployment
        if table is None or deployment is None:
            self._catalog.lane(served, None)  # says why there is none
            raise Unavailable(f"member '{self._node.name}' is loading")
        if table.only is not None and not table.mirrored:
            return *table.only, []
        sticky = run.question.id
        if deployment.sticky == "key":
            keys = run.keys_of(given)
            sticky = str(keys[0]) if keys else sticky
        return *table.choose(sticky), table.shadows(sticky)

    def _feeder(self, loaded: LoadedVersion) -> Feeder:
        if len(self._feeders) >= _FEEDERS:
            self._feeders.clear()
        found = self._feeders[loaded] = feeder(self._node, self._place, self._graph, loaded.contract)
        return found

    def _renamed(self, run: Run, outputs: Columns, rows: int) -> Columns:
        if self._rowwise and any(len(array) != rows for array in outputs.values()):
            run.blame(self._number)
            raise StepFailed(f"member '{self._node.name}' gave another number of rows than the {rows} asked for")
        names = self._node.outputs
        return {names.get(name, name): array for name, array in outputs.items()} if names else outputs
