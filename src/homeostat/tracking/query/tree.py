"""What a query says, once read: conditions on a run, made of values that a run has.

A value may be missing (a parameter that the run does not have, an end that has not come, NaN). Whatever compares a
missing value does not hold; `!=` is `not ==`, so it holds of a run without the value, as `None != "x"` does in Python.
Texts are compared by code points. Arithmetic is that of 64-bit floats; what divides by zero is missing.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Kind = Literal["number", "text", "time", "either"]
Part = Literal["last", "min", "max", "first", "count", "step", "at"]


class Constant(NamedTuple):
    """A value that was written. Times are milliseconds since 1970, other numbers floats or integers."""

    value: float | str
    kind: Kind


class Property(NamedTuple):
    """What every run has, by the name it has in queries ("status", "start", "notes"…)."""

    name: str
    kind: Kind


class Param(NamedTuple):
    """A parameter as the number it is ("number": missing when it is none), as its text, or as yet undecided."""

    key: str
    kind: Kind


class Tag(NamedTuple):
    key: str
    kind: Kind = "text"


class Metric(NamedTuple):
    """A figure of a metric; of those logged for a model or on a dataset where these are named.

    `part` is which: "step" the last step, "at" the value at `step`. "first" and "at" need the points themselves.
    """

    key: str
    part: Part = "last"
    step: int = 0
    model: str = ""
    dataset: str = ""
    kind: Kind = "number"


class Arithmetic(NamedTuple):
    """`left operator right`; the operator is one of + - * /."""

    operator: str
    left: Any
    right: Any
    kind: Kind


class Lower(NamedTuple):
    """A text with A to Z as a to z."""

    operand: Any
    kind: Kind = "text"


Value = Constant | Property | Param | Tag | Metric | Arithmetic | Lower


class Compare(NamedTuple):
    """`left operator right` of one kind; the operator is one of == < <= > >=."""

    operator: str
    left: Value
    right: Value


class Among(NamedTuple):
    """`value in (…)`, the options being of its kind."""

    value: Value
    options: tuple[float | str, ...]


class Text(NamedTuple):
    """What holds of a text: `test` is contains, startswith, endswith, like or matches."""

    test: str
    value: Value
    argument: str


class Missing(NamedTuple):
    """`value is None`."""

    value: Value


class Member(NamedTuple):
    """A name is among the run's "datasets" or "artifacts"."""

    group: str
    name: str


class Word(NamedTuple):
    """A text is part of what the run is called or was given, in any case of A to Z."""

    text: str


class Every(NamedTuple):
    """All of these hold; all of none do."""

    members: tuple[Any, ...]


class Some(NamedTuple):
    """One of these holds at least."""

    members: tuple[Any, ...]


class Not(NamedTuple):
    member: Any


Condition = Compare | Among | Text | Missing | Member | Word | Every | Some | Not


class OrderKey(NamedTuple):
    """One thing to order by. What is missing comes last either way."""

    value: Value
    descending: bool
