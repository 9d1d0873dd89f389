"""The nodes of a graph made ready to answer: each asks or computes, then hands its outputs on. On the event loop.

A step is started with what stands at its place and calls `then` with its outputs, at once or when a member has
answered. A step that cannot go on raises where it is started; afterwards it is the lane's business (`lane.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from homeostat.registry import Field
from homeostat.serving.graphs import combining
from homeostat.serving.graphs.checking import Checked, collected_name
from homeostat.serving.graphs.conditions import ends_of, is_met, rows_that_meet, share_of
from homeostat.serving.graphs.feeding import Columns, Given
from homeostat.serving.graphs.lookups import LookupTable
from homeostat.serving.graphs.nodes import (
    Ensemble,
    Lookup,
    Member,
    Node,
    Sequence,
    Splitter,
    Switch,
    children,
)
from homeostat.serving.graphs.run import Run
from homeostat.serving.tensors import NUMPY, Array

Then = Callable[[Columns], None]


class Step(ABC):
    """One node."""

    @abstractmethod
    def start(self, run: Run, given: Given, then: Then) -> None:
        """Have the node's outputs made and given to `then`."""


class SequenceStep(Step):
    """One after the other."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def start(self, run: Run, given: Given, then: Then) -> None:
        self._go(run, given, then, 0)

    def _go(self, run: Run, given: Given, then: Then, at: int) -> None:
        step = self._steps[at]
        if at + 1 == len(self._steps):
            step.start(run, given, then)
            return
        named_only = isinstance(step, LookupStep)
        step.start(run, given, lambda outputs: self._go(run, given.after(outputs, not named_only), then, at + 1))


class EnsembleStep(Step):
    """All at once; their answers are put together when the last is there."""

    def __init__(self, members: list[Step], join: Callable[[list[Columns]], Columns]) -> None:
        self._members = members
        self._join = join

    def start(self, run: Run, given: Given, then: Then) -> None:
        answers: list[Columns | None] = [None] * len(self._members)
        missing = len(self._members)

        def put(at: int, outputs: Columns) -> None:
            nonlocal missing
            answers[at] = outputs
            missing -= 1
            if not missing:
                then(self._join([answer for answer in answers if answer is not None]))

        for at, member in enumerate(self._members):
            member.start(run, given, lambda outputs, at=at: put(at, outputs))


class BranchStep(Step):
    """Rows go different ways, in groups, and are put together in their order."""

    def __init__(self, branches: list[Step], outputs: list[Field]) -> None:
        self._branches = branches
        self._outputs = outputs

    @abstractmethod
    def ways(self, run: Run, given: Given) -> int | Array:
        """The branch that each row takes, or the one that all take."""

    def start(self, run: Run, given: Given, then: Then) -> None:
        ways = self.ways(run, given)
        taken = np.unique(ways)
        if len(taken) == 1:
            self._branches[int(taken[0])].start(run, given, lambda outputs: then(self._named(outputs)))
            return
        found: Columns = {}
        missing = len(taken)

        def put(rows: Array, outputs: Columns) -> None:
            nonlocal missing
            for name, array in self._named(outputs).items():
                whole = found.get(name)
                if whole is None:
                    whole = found[name] = np.empty((given.rows, *array.shape[1:]), array.dtype)
                whole[rows] = array
            missing -= 1
            if not missing:
                then(found)

        for way in taken.tolist():
            rows = np.flatnonzero(ways == way)
            self._branches[way].start(run, given.choose(rows), lambda outputs, rows=rows: put(rows, outputs))

    def _named(self, outputs: Columns) -> Columns:
        """The outputs of a branch as all branches give them."""
        if len(outputs) == 1:  # may have another name here
            (array,) = outputs.values()
            return {self._outputs[0].name: as_typed(array, self._outputs[0])}
        return {field.name: as_typed(outputs[field.name], field) for field in self._outputs}


class SwitchStep(BranchStep):
    """By the first condition that holds."""

    def __init__(self, node: Switch, branches: list[Step], outputs: list[Field]) -> None:
        super().__init__(branches, outputs)
        self._conditions = [case.when for case in node.cases]
        self._by_request = all(when.column is None for when in self._conditions)

    def ways(self, run: Run, given: Given) -> int | Array:
        parameters = run.question.parameters or {}
        if self._by_request:
            for way, when in enumerate(self._conditions):
                if is_met(when, parameters):
                    return way
            return len(self._conditions)
        ways = np.full(given.rows, len(self._conditions), "<i8")
        # From the last to the first: what an earlier case takes stands.
        for way in range(len(self._conditions) - 1, -1, -1):
            when = self._conditions[way]
            if when.column is not None:
                ways[rows_that_meet(when, given.column(when.column))] = way
            elif is_met(when, parameters):
                ways[:] = way
        return ways


class SplitterStep(BranchStep):
    """By a salted hash."""

    def __init__(self, node: Splitter, salt: str, branches: list[Step], outputs: list[Field]) -> None:
        super().__init__(branches, outputs)
        self._ends = ends_of([share.weight for share in node.shares])
        self._salt = salt
        self._by_key = node.sticky == "key"

    def ways(self, run: Run, given: Given) -> int | Array:
        keys = run.keys_of(given) if self._by_key else None
        if keys is None:
            return share_of(self._ends, self._salt, run.question.id)
        return np.fromiter((share_of(self._ends, self._salt, str(key)) for key in keys), "<i8", len(keys))


class LookupStep(Step):
    """Columns of a table, or features."""

    def __init__(self, table: LookupTable) -> None:
        self._table = table

    def start(self, run: Run, given: Given, then: Then) -> None:
        then(self._table.find([given.column(name).tolist() for name in self._table.key]))


def build(
    graph: Node,
    checked: Checked,
    model: str,
    member: Callable[[str, Member], Step],
    lookups: dict[str, LookupTable],
    told: Callable[[str, Step], Step],
) -> Step:
    """The graph ready to answer. `member` makes the step of a member at a path; `lookups` are by path; `told` makes
    that of any node one that tells of itself."""

    def of(node: Node, path: str) -> Step:
        return told(path, made(node, path))

    def made(node: Node, path: str) -> Step:
        below = [of(child, f"{path}.{name}") for name, child in children(node)]
        match node:
            case Member():
                return member(path, node)
            case Lookup():
                return LookupStep(lookups[path])
            case Sequence():
                return SequenceStep(below)
            case Ensemble():
                return EnsembleStep(below, _join_of(node, checked, path))
            case Switch():
                return SwitchStep(node, below, checked.outputs_of[path])
            case Splitter():
                return SplitterStep(node, node.salt or f"{model}/{path}", below, checked.outputs_of[path])

    return of(graph, "graph")


def as_typed(array: Array, field: Field) -> Array:
    """`array` in the datatype that the graph gives it in."""
    target: Any = NUMPY[field.dtype]
    return array if array.dtype == target else array.astype(target)


def _join_of(node: Ensemble, checked: Checked, path: str) -> Callable[[list[Columns]], Columns]:
    outputs = checked.outputs_of[path]
    if node.combine == "collect":
        named = [
            [(field.name, collected_name(child, name, field.name)) for field in checked.outputs_of[f"{path}.{name}"]]
            for name, child in children(node)
        ]
        return lambda answers: {
            new: answer[old] for names, answer in zip(named, answers, strict=True) for old, new in names
        }
    weights = node.weights or [1.0] * len(node.members)

    def one(arrays: list[Array], field: Field) -> Array:
        match node.combine:
            case "mean":
                return combining.mean(arrays, weights, field.dtype)
            case "max":
                return combining.largest(arrays, field.dtype)
            case _:
                return as_typed(combining.vote(arrays, weights), field)

    if len(outputs) == 1:
        return lambda answers: {outputs[0].name: one([next(iter(a.values())) for a in answers], outputs[0])}
    return lambda answers: {field.name: one([a[field.name] for a in answers], field) for field in outputs}
