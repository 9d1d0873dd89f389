"""A graph of models, as data: what asks what, and what becomes of the answers. No I/O.

A request is a table of columns that passes through the graph. What a step gives are further columns; they hide earlier
ones of the same name, and a later step takes by name what it needs, from the steps before it or from the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from homeostat.core.records import Record

Combine = Literal["mean", "vote", "max", "collect"]
Op = Literal["==", "!=", "<", "<=", ">", ">=", "in", "missing"]
Scalar = str | int | float | bool

MAX_NODES = 200
MAX_DEPTH = 16


class Member(Record, tag="model"):
    """A registered model. Without `version` its own routes say which version answers, so canaries and shadows of it go
    on; with one, the graph loads that version for itself.

    `inputs` says what an input of the model is fed with where that has another name; `outputs` what an output of it is
    called from here on.
    """

    name: str
    version: int | None = None
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}


class Sequence(Record, tag="sequence"):
    """One step after the other; it gives what the last one gives.

    A model takes the output of the step before it as a whole, whatever that is called, where it is the only one and a
    matrix of as many columns as the model has inputs; or one column for a model of one input that no step has named.
    """

    steps: list[Node]


class Ensemble(Record, tag="ensemble"):
    """Members asked at once, with the same columns, and their answers put together.

    "mean" and "max" are of numbers, element by element; "vote" gives, row by row, the class that most members gave (of
    equally many the one that comes first among the members); "collect" gives all answers, each named MEMBER.OUTPUT.
    `weights`, one for each member, count for "mean" and "vote".
    """

    members: list[Node]
    combine: Combine = "mean"
    weights: list[float] = []


class When(Record):
    """A condition on an input column or on a parameter of the request, whichever is named.

    A missing number (NaN) or parameter meets "missing" and "!=", nothing else; a missing text is an empty one.
    """

    column: str | None = None
    parameter: str | None = None
    op: Op = "=="
    value: Scalar | list[Scalar] | None = None


class Case(Record):
    """Rows that meet `when` go to `then`."""

    when: When
    then: Node


class Switch(Record, tag="switch"):
    """Each row goes to the first case whose condition it meets, else to `otherwise`. All give the same outputs."""

    cases: list[Case]
    otherwise: Node


class Share(Record):
    """A part of the requests, and what answers it."""

    weight: float
    node: Node


class Splitter(Record, tag="splitter"):
    """Requests shared by weight, always the same way: by a salted hash of the request's id, or of each row's key.

    Weights add up to 1. Another `salt` shares them anew.
    """

    shares: list[Share]
    sticky: Literal["request", "key"] = "request"
    salt: str = ""


class Lookup(Record, tag="lookup"):
    """Columns from the newest version of a table, found by the columns `key`, which the request and the table share; or
    features of a registered `view`, as of the moment of the request, found by the keys that the view has.

    Of several rows of a table with one key the last counts. A key that is not there gives what `defaults` says for a
    column; without that a missing value: NaN for numbers (whole numbers and booleans are FP64 then), an empty text.
    With `missing` "refuse" a request with such a key is answered 404 instead.

    Of a view, `version` is the newest one when the graph is deployed, `columns` are all its features unless some are
    named, and these are FP32. A feature may be missing though its key is known, as when a window holds nothing:
    `defaults` stand in for it too.
    """

    table: str = ""
    key: list[str] = []
    columns: list[str] = []
    defaults: dict[str, Scalar] = {}
    view: str = ""
    version: int | None = None
    missing: Literal["default", "refuse"] = "default"

    @property
    def source(self) -> str:
        """The table or view that it reads."""
        return self.view or self.table


Node: TypeAlias = Member | Sequence | Ensemble | Switch | Splitter | Lookup


def children(node: Node) -> list[tuple[str, Node]]:
    """The nodes right below, each with the part of its path that it adds.

    >>> [name for name, _ in children(Sequence(steps=[Member(name="a"), Member(name="b")]))]
    ['steps[0]', 'steps[1]']
    """
    match node:
        case Sequence():
            return [(f"steps[{at}]", step) for at, step in enumerate(node.steps)]
        case Ensemble():
            return [(f"members[{at}]", member) for at, member in enumerate(node.members)]
        case Switch():
            cases: list[tuple[str, Node]] = [(f"cases[{at}]", case.then) for at, case in enumerate(node.cases)]
            return [*cases, ("otherwise", node.otherwise)]
        case Splitter():
            return [(f"shares[{at}]", share.node) for at, share in enumerate(node.shares)]
        case _:
            return []


def walk(node: Node, path: str = "graph") -> Iterator[tuple[str, Node]]:
    """Every node with its path, in the order in which they are written."""
    yield path, node
    for name, child in children(node):
        yield from walk(child, f"{path}.{name}")


def members_of(node: Node) -> list[str]:
    """The models that a graph asks, each once: NAME, or NAME/VERSION where it insists on one.

    >>> members_of(Ensemble(members=[Member(name="a"), Member(name="b", version=3), Member(name="a")]))
    ['a', 'b/3']
    """
    found = [
        one.name if one.version is None else f"{one.name}/{one.version}"
        for _, one in walk(node)
        if isinstance(one, Member)
    ]
    return list(dict.fromkeys(found))
