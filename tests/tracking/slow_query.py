"""What a query means, run by run and in plain Python: what the SQL is compared with."""

from __future__ import annotations

import functools
import math
import re
from typing import Any, NamedTuple

from homeostat.tracking.query.names import NOTES
from homeostat.tracking.query.tree import (
    Among,
    Arithmetic,
    Compare,
    Constant,
    Every,
    Lower,
    Member,
    Metric,
    Missing,
    Not,
    OrderKey,
    Param,
    Property,
    Some,
    Tag,
    Text,
    Word,
)

Points = list[tuple[int, int, float]]  # step, time, value: as they were logged


class Seen(NamedTuple):
    """A run as its logger knows it. `facts` are its properties by the names they have in queries."""

    facts: dict[str, Any]
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    points: dict[str, Points] = {}
    datasets: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()


def holds(node: Any, run: Seen) -> bool:
    """Whether `node` holds of `run`."""
    match node:
        case Every(members):
            return all(holds(member, run) for member in members)
        case Some(members):
            return any(holds(member, run) for member in members)
        case Not(member):
            return not holds(member, run)
        case Missing(value):
            return value_of(value, run) is None
        case Word(text):
            return _word(_lower(text), run)
        case Member(group, name):
            return name in (run.datasets if group == "datasets" else run.artifacts)
        case Among(value, options):
            return value_of(value, run) in options
        case Compare(sign, left, right):
            a, b = value_of(left, run), value_of(right, run)
            if a is None or b is None:
                return False
            return {"==": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]
        case Text(test, value, argument):
            text = value_of(value, run)
            return text is not None and _test(test, text, argument)
    raise AssertionError(node)


def value_of(node: Any, run: Seen) -> Any:
    """The value of `node` for `run`; None when it is missing."""
    match node:
        case Constant(value):
            return value
        case Property(name):
            return run.tags.get(NOTES) if name == "notes" else run.facts.get(name)
        case Tag(key):
            return run.tags.get(key)
        case Param(key, kind):
            text = run.params.get(key)
            return _number(text) if kind == "number" and text is not None else text
        case Metric():
            return _figure(node, run.points.get(node.key, []))
        case Lower(operand):
            text = value_of(operand, run)
            return None if text is None else _lower(text)
        case Arithmetic(operator, left, right):
            return _computed(operator, value_of(left, run), value_of(right, run))
    raise AssertionError(node)


def ordered(runs: list[Seen], keys: tuple[OrderKey, ...]) -> list[Seen]:
    """`runs`, the oldest first, in the order asked for: what is missing last, equal ones newest first."""

    def compare(a: tuple[int, Seen], b: tuple[int, Seen]) -> int:
        for key in keys:
            x, y = (_rank(key.value, run) for _, run in (a, b))
            if x[0] != y[0]:
                return x[0] - y[0]
            if x[1] != y[1]:
                return (-1 if x[1] < y[1] else 1) * (-1 if key.descending else 1)
            if x[2] != y[2]:
                return (-1 if x[2] < y[2] else 1) * (-1 if key.descending else 1)
        return b[0] - a[0]

    return [run for _, run in sorted(enumerate(runs), key=functools.cmp_to_key(compare))]


def _rank(value: Any, run: Seen) -> tuple[int, Any, Any]:
    if isinstance(value, Param):
        text = run.params.get(value.key)
        number = None if text is None else _number(text)
        return (2, 0, 0) if text is None else (1, text, 0) if number is None else (0, number, text)
    found = value_of(value, run)
    return (2, 0, 0) if found is None else (0, found, 0)


def _figure(metric: Metric, points: Points) -> float | None:
    if not points:
        return None
    values = [value for _, _, value in points if value == value]
    match metric.part:
        case "count":
            return len(points)
        case "step":
            return max(step for step, _, _ in points)
        case "min" | "max":
            return (min if metric.part == "min" else max)(values, default=None)
        case "at":
            steps = [metric.step]
        case _:
            steps = [(min if metric.part == "first" else max)(step for step, _, _ in points)]
    there = [
        (at, value if value == value else 0.0, number)
        for number, (step, at, value) in enumerate(points)
        if step in steps
    ]
    if not there:
        return None
    found = points[max(there)[2]][2]
    return found if found == found else None


def _computed(operator: str, a: float | None, b: float | None) -> float | None:
    if a is None or b is None or (operator == "/" and b == 0):
        return None
    a, b = float(a), float(b)
    made = a + b if operator == "+" else a - b if operator == "-" else a * b if operator == "*" else a / b
    return None if math.isnan(made) else made


def _test(test: str, text: str, argument: str) -> bool:
    if test == "like":
        pattern = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in argument)
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    if test == "matches":
        return re.search(argument, text) is not None
    return argument in text if test == "contains" else getattr(text, test)(argument)


def _word(low: str, run: Seen) -> bool:
    named = [run.facts.get(name) or "" for name in ("name", "id", "source", "experiment", "status", "kind")]
    return any(low in _lower(text) for text in (*named, *run.params.values(), *run.tags.values()))


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
