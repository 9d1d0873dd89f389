"""What is kept of the nodes of a graph that do something, its members and lookups: how long each took, which failed."""

from __future__ import annotations

import time

import numpy as np

from homeostat.serving.contract import TensorSpec
from homeostat.serving.counts import NodeCounts, VersionCounts
from homeostat.serving.graphs.feeding import Columns, Given
from homeostat.serving.graphs.nodes import Lookup, Member, Node, walk
from homeostat.serving.graphs.run import Run
from homeostat.serving.graphs.steps import Step, Then
from homeostat.serving.model import FAILED_NODE, MEMBERS, NODE_TIME
from homeostat.serving.oip import Outputs

_MOST_US = (1 << 31) - 1


class NodesTold:
    """The nodes of one version of a graph: their numbers by path, what they have counted, their columns in the log."""

    def __init__(self, graph: Node, counts: VersionCounts, traced: bool) -> None:
        leaves = [(path, node) for path, node in walk(graph) if isinstance(node, (Member, Lookup))]
        self.numbers = {path: number for number, (path, _) in enumerate(leaves)}
        self.paths = list(self.numbers)
        known = counts.nodes
        counts.nodes = {
            path: known.get(path) or NodeCounts(node.name if isinstance(node, Member) else node.source)
            for path, node in leaves
        }
        self._counts = list(counts.nodes.values())
        self._traced = traced
        self.nothing = [-1] * len(leaves)  # what a run begins with
        self._times = [TensorSpec(name=f"{NODE_TIME}{path}", datatype="INT32", shape=[-1]) for path in self.paths]
        self.specs = [TensorSpec(name=MEMBERS, datatype="BYTES", shape=[-1]), *self._times]
        self._of_failure = [*self.specs, TensorSpec(name=FAILED_NODE, datatype="BYTES", shape=[-1])]

    def timed(self, path: str, step: Step) -> Step:
        """`step`, which stands at `path`, with its time taken where that is kept."""
        if path in self.numbers:
            number = self.numbers[path]
            return LeafStep(step, path, number, self._counts[number], self._traced)
        return SpanStep(step, path) if self._traced else step

    def failed(self, run: Run, status: int) -> None:
        """Count the failure of the node that has ended `run`, if one has."""
        if run.failed < 0:
            return
        failures = self._counts[run.failed].failures
        failures[status] = failures.get(status, 0) + 1
        span = run.spans.get(self.paths[run.failed])
        if span is not None:
            span.failed = True
            span.end()

    def columns(self, runs: list[Run]) -> list[np.ndarray]:
        """The columns of `specs` for answered or failed requests, a row for each row of a request."""
        rows = [run.question.rows for run in runs]
        told = [" ".join(run.answered[number] for number in sorted(run.answered)) for run in runs]
        took = np.repeat(np.array([run.took for run in runs], "<i4").reshape(len(runs), -1), rows, axis=0)
        return [np.repeat(np.array(told, dtype=object), rows), *took.T]

    def of_failure(self, run: Run) -> Outputs:
        """What the log keeps of a request that has failed."""
        node = self.paths[run.failed] if run.failed >= 0 else ""
        column = np.full(run.question.rows, node, dtype=object)
        return Outputs(self._of_failure, [*self.columns([run]), column])


class LeafStep(Step):
    """A member or a lookup, timed from when it is asked until its answer is there."""

    def __init__(self, inner: Step, path: str, number: int, counts: NodeCounts, traced: bool) -> None:
        self._inner = inner
        self._path = path
        self._number = number
        self._counts = counts
        self._traced = traced

    def start(self, run: Run, given: Given, then: Then) -> None:
        began = time.perf_counter_ns()
        span = run.begin(self._path, self._counts.name) if self._traced else None

        def ended(outputs: Columns) -> None:
            took = time.perf_counter_ns() - began
            self._counts.observe(took)
            run.took[self._number] = min(took // 1000, _MOST_US)
            if span is not None:
                span.end()
            then(outputs)

        try:
            self._inner.start(run, given, ended)
        except Exception:
            if run.took[self._number] < 0:  # else it is a later node, which is started from its answer
                run.blame(self._number)
            raise


class SpanStep(Step):
    """A node that has others below it, in the trace of a request."""

    def __init__(self, inner: Step, path: str) -> None:
        self._inner = inner
        self._path = path

    def start(self, run: Run, given: Given, then: Then) -> None:
        span = run.begin(self._path, "")
        if span is None:
            self._inner.start(run, given, then)
            return

        def ended(outputs: Columns) -> None:
            span.end()
            then(outputs)

        self._inner.start(run, given, ended)
