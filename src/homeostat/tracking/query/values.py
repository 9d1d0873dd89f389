"""The values that a query names: properties, parameters, tags, metrics, and what is computed of them."""

from __future__ import annotations

import ast
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.regular import compiled
from homeostat.tracking.query import names, times
from homeostat.tracking.query.source import Source
from homeostat.tracking.query.tree import Arithmetic, Constant, Kind, Lower, Metric, Param, Property, Tag, Text, Value

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_DEEPEST, _LONGEST_KEY = 30, 255
_ALL = (*names.PROPERTIES, *names.GROUPS, *names.SETS)
_KINDS: dict[Kind, str] = {"number": "a number", "text": "a text", "time": "a time", "either": "a parameter"}


def read(source: Source, node: ast.expr, depth: int = 0) -> Value:
    """The value that `node` names. Raises InvalidInput."""
    if depth > _DEEPEST:
        raise source.wrong(node, f"it is nested deeper than {_DEEPEST} levels", "ask a simpler question")
    match node:
        case ast.Constant(value=bool() | None):
            raise source.wrong(node, f"{node.value} is no value to compute with", 'write a number or a "text"')
        case ast.Constant(value=str(text)):
            return Constant(_checked(source, node, text), "text")
        case ast.Constant(value=int() | float() as number):
            return Constant(_bounded(source, node, number), "number")
        case ast.Attribute() | ast.Subscript() | ast.Name():
            return _property(source, node)
        case ast.Call():
            return _called(source, node, depth)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _computed(source, node, "-", Constant(0, "number"), read(source, operand, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = read(source, left, depth + 1), read(source, right, depth + 1)
            return _computed(source, node, _OPERATORS[type(op)], a, b)
        case _:
            raise source.wrong(node, f"{source.written(node)!r} is not understood here")


def read_text(source: Source, node: ast.expr) -> Value:
    """The value that `node` names, as a text."""
    value = read(source, node)
    if value.kind not in ("text", "either"):
        raise source.wrong(
            node, f"{source.written(node)} is {_KINDS[value.kind]}, not a text", "compare it with <, > or =="
        )
    if isinstance(value, Constant):
        raise source.wrong(node, "nothing of a run is asked here", 'write "night" in run.notes')
    return as_text(value)


def read_test(source: Source, node: ast.Call, of: ast.expr, test: str) -> Text:
    """`of.startswith("…")` and its like."""
    value = read_text(source, of)
    argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
        raise source.wrong(node, f"{test} takes one text", f'{source.written(of)}.{test}("…")')
    if test == "matches":
        try:
            compiled(argument.value)
        except InvalidInput as error:
            raise source.wrong(argument, error.message, error.hint) from None
    return Text(test, value, _checked(source, argument, argument.value))


def pair(source: Source, left: ast.expr, right: ast.expr) -> tuple[Any, Any]:
    """Two values of one kind, to be compared: two parameters stay undecided."""
    a, b = read(source, left), read(source, right)
    if isinstance(a, Constant) and isinstance(b, Constant):
        raise source.wrong(left, "nothing of a run is compared here", "name a value: run.params.lr < 0.1")
    if {a.kind, b.kind} == {"either"} or (a.kind == b.kind):
        return a, b
    kinds = {a.kind, b.kind}
    if kinds == {"either", "number"}:
        return as_number(a), as_number(b)
    if kinds == {"either", "text"}:
        return as_text(a), as_text(b)
    if a.kind == "time" and isinstance(b, Constant):
        return a, _time(source, right, b)
    if b.kind == "time" and isinstance(a, Constant):
        return _time(source, left, a), b
    hint = "compare like with like"
    if isinstance(b, Constant) or isinstance(a, Constant):
        constant = right if isinstance(b, Constant) else left
        written = source.written(constant)
        hint = (
            f'write "{written}" for a text'
            if "text" in kinds and written[0] not in "\"'"
            else "write it without quotes"
        )
    raise source.wrong(
        right, f"{source.written(left)} is {_KINDS[a.kind]} and {source.written(right)} is {_KINDS[b.kind]}", hint
    )


def as_number(value: Any) -> Any:
    """A parameter as a number; anything else as it is."""
    return Param(value.key, "number") if isinstance(value, Param) else value


def as_text(value: Any) -> Any:
    """A parameter as a text; anything else as it is."""
    return Param(value.key, "text") if isinstance(value, Param) else value


def set_of(node: ast.expr) -> str | None:
    """ "datasets" or "artifacts" when that is what `node` names."""
    path = _path(node)
    return path[0] if path is not None and len(path) == 1 and path[0] in names.SETS else None


def _path(node: ast.expr) -> list[Any] | None:
    """The steps from the run to what `node` names: names, and the nodes of what stood in brackets."""
    steps: list[Any] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        steps.append(node.attr if isinstance(node, ast.Attribute) else node.slice)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    if node.id != "run":
        steps.append(node.id)
    return steps[::-1]


def _property(source: Source, node: ast.expr) -> Value:
    path = _path(node)
    if not path:
        raise source.wrong(node, f"{source.written(node)} is not a value of a run", "write run.name, run.params.lr, …")
    first, rest = path[0], path[1:]
    if not isinstance(first, str) or not names.named(first):
        written = first if isinstance(first, str) else source.written(first)
        raise source.wrong(node, f"a run has no '{written[:60]}'", _meant(str(written)))
    if first in names.SETS:
        raise source.wrong(node, f"run.{first} are several", f'write "name" in run.{first}')
    if first in names.PROPERTIES:
        if rest:
            raise source.wrong(node, f"{source.written(node)} is not a value of a run", f"write run.{first}")
        return Property(first, names.PROPERTIES[first])
    if not rest:
        raise source.wrong(node, f"run.{first} are several", f'write run.{first}.KEY or run.{first}["KEY"]')
    if first == "metrics":
        return _metric(source, node, rest)
    key = _key(source, node, rest)
    return Tag(key) if first == "tags" else Param(key, "either")


def _meant(name: str) -> str:
    if near := names.near(name, _ALL):
        return f"did you mean run.{near}?"
    if name.isidentifier():
        return f"write run.metrics.{name}, run.params.{name} or run.tags.{name}"
    return f"it has {', '.join(_ALL)}"


def _key(source: Source, node: ast.expr, steps: list[Any]) -> str:
    """`.a.b` and `["a.b"]` are the same key."""
    parts: list[str] = []
    for step in steps:
        if isinstance(step, ast.Constant) and isinstance(step.value, str) and len(steps) == 1:
            return _checked(source, node, step.value)
        if not isinstance(step, str):
            raise source.wrong(node, "a key in brackets is one text", 'write run.params["learning rate"]')
        parts.append(step)
    return _checked(source, node, ".".join(parts))


def _metric(source: Source, node: ast.expr, steps: list[Any]) -> Metric:
    context: ast.expr | None = None
    figure = "last"
    if not isinstance(steps[0], str):  # ["loss"] or ["loss", {"subset": "val"}], then perhaps a figure
        if len(steps) > 2 or (len(steps) == 2 and steps[1] not in names.FIGURES):
            raise source.wrong(
                node, "a metric in brackets is followed by a figure", f"one of {', '.join(names.FIGURES)}"
            )
        figure = steps[1] if len(steps) == 2 else figure
        slot = steps[0]
        if isinstance(slot, ast.Tuple) and len(slot.elts) == 2:
            slot, context = slot.elts
        key = _key(source, node, [slot])
    else:
        if len(steps) > 1 and steps[-1] in names.FIGURES:
            figure, steps = steps[-1], steps[:-1]
        key = _key(source, node, steps)
    found = Metric(key, figure)
    return found if context is None else _in_context(source, found, context)


def _in_context(source: Source, metric: Metric, node: ast.expr) -> Metric:
    pairs: dict[str, str] = {}
    if isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            if isinstance(name, ast.Constant) and isinstance(value, ast.Constant):
                pairs[str(name.value)] = str(value.value)
    if (
        not isinstance(node, ast.Dict)
        or len(pairs) != len(node.keys)
        or not pairs.keys() <= {"subset", "model", "dataset"}
    ):
        raise source.wrong(node, "a context names subset, model or dataset", '["loss", {"subset": "val"}]')
    subset = pairs.get("subset")
    key = _checked(source, node, f"{subset}/{metric.key}" if subset else metric.key)
    return metric._replace(key=key, model=pairs.get("model", ""), dataset=pairs.get("dataset", ""))


def _called(source: Source, node: ast.Call, depth: int) -> Value:
    match node:
        case ast.Call(func=ast.Name(id="now" | "today" as name), args=[], keywords=[]):
            return Constant(times.now() if name == "now" else times.today(), "time")
        case ast.Call(func=ast.Name(id=name), args=[amount], keywords=[]) if name in names.SPANS:
            seconds = Constant(names.SPANS[name], "number")
            return _computed(source, node, "*", read(source, amount, depth + 1), seconds)
        case ast.Call(func=ast.Attribute(value=of, attr="lower"), args=[], keywords=[]):
            return Lower(read_text(source, of))
        case ast.Call(func=ast.Attribute(value=of, attr="at"), args=[ast.Constant(value=int(step))], keywords=[]):
            value = read(source, of, depth + 1)
            if isinstance(value, Metric) and value.part == "last" and abs(step) < 2**63:
                return value._replace(part="at", step=step)
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in names.TESTS:
            raise source.wrong(node, f"{attr} is a condition, not a value", "join it with and, or, not")
        case _:
            pass
    known = (
        f"{', '.join(f'.{test}()' for test in names.TESTS)}, .lower(), metrics.KEY.at(STEP), now(), today(), days(7)"
    )
    raise source.wrong(node, f"{source.written(node)!r} is not known here", f"there are {known}")


def _computed(source: Source, node: ast.expr, operator: str, a: Value, b: Value) -> Value:
    a, b = as_number(a), as_number(b)
    if "text" in (a.kind, b.kind):
        raise source.wrong(node, "texts are not computed with", "only numbers and times are")
    if a.kind == "time" and b.kind == "time" and operator == "-":
        return _folded(
            source, node, "/", _folded(source, node, "-", a, b, "number"), Constant(1000.0, "number"), "number"
        )
    if a.kind == "time" and b.kind == "number" and operator in "+-":
        span = _folded(source, node, "*", b, Constant(1000, "number"), "number")
        return _folded(source, node, operator, a, span, "time")
    if "time" in (a.kind, b.kind):
        raise source.wrong(node, "times are only subtracted, or a span added", "such as run.start > now() - days(7)")
    return _folded(source, node, operator, a, b, "number")


def _folded(source: Source, node: ast.expr, operator: str, a: Value, b: Value, kind: Kind) -> Value:
    if not isinstance(a, Constant) or not isinstance(b, Constant):
        return Arithmetic(operator, a, b, kind)
    x, y = float(a.value), float(b.value)
    if operator == "/" and y == 0:
        raise source.wrong(node, "this divides by zero")
    result = x + y if operator == "+" else x - y if operator == "-" else x * y if operator == "*" else x / y
    return Constant(round(result) if kind == "time" and abs(result) < 2**62 else result, kind)


def _time(source: Source, node: ast.expr, constant: Constant) -> Constant:
    if isinstance(constant.value, str):
        try:
            return Constant(times.from_iso(constant.value), "time")
        except ValueError:
            raise source.wrong(
                node, f"{constant.value[:40]!r} is not a date or a time", 'such as "2026-01-31" or "2026-01-31T08:00"'
            ) from None
    return Constant(constant.value, "time")


def _bounded(source: Source, node: ast.expr, number: float) -> float:
    if isinstance(number, float) or abs(number) < 2**63:
        return number
    try:
        return float(number)
    except OverflowError:
        raise source.wrong(node, "this number is too large", "numbers have 64 bits here") from None


def _checked(source: Source, node: ast.expr, text: str) -> str:
    if "\0" in text or any(0xD800 <= ord(char) < 0xE000 for char in text):
        raise source.wrong(node, "there is a character that no text has", "write it without")
    return text
