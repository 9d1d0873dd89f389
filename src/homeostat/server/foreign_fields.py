"""What the arguments of a foreign call are, read from the function that reads them.

A handler asks its arguments for what it needs: `args.text("run_id", required=True)`. These askings are found in its
source, and in that of the functions it hands the arguments on to, so that nobody keeps a list beside them. Where there
is no source, a call is described without its arguments.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from homeostat.core.syntax import parsed

_DEPTH = 4
# What each getter of `Args` takes; numbers and truths may be written as text.
_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": ["integer", "string"]},
    "number": {"type": ["number", "string"]},
    "flag": {"type": ["boolean", "string"]},
    "items": {"type": "array", "items": {"type": "object"}},
    "texts": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
    "has": {},
}


class Fields:
    """Names of arguments with their JSON schemas; `required` in the order they are read."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.required: list[str] = []

    def add(self, name: str, kind: dict[str, Any], required: bool) -> None:
        """One asking; a closer one than before counts."""
        if not self.known.get(name):
            self.known[name] = kind
        if required and name not in self.required:
            self.required.append(name)

    def schema(self) -> dict[str, Any]:
        """An object that has them, and may have more."""
        shown: dict[str, Any] = {"type": "object", "properties": self.known}
        return {**shown, "required": self.required} if self.required else shown


def fields_of(handler: Callable[..., Any]) -> Fields:
    """The arguments that `handler(ws, args)` reads."""
    fields = Fields()
    function = inspect.unwrap(handler)
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) > 1:
        _Reader(function, {parameters[1]: fields}, {}, _DEPTH).read()
    return fields


class _Reader:
    """Reads one function, in which names of `standing` are arguments, or objects among them."""

    def __init__(
        self, function: Any, standing: dict[str, Fields], told: dict[str, str], depth: int, surely: bool = True
    ) -> None:
        self._function = function
        self._standing = standing
        # What texts its own parameters and its module's names stand for.
        self._texts = {**function.__globals__, **_defaults(function), **told}
        self._depth = depth
        self._surely = surely  # whether whoever hands the arguments on always does so

    def read(self) -> None:
        try:
            tree = parsed(textwrap.dedent(inspect.getsource(self._function)))
        except (OSError, TypeError, SyntaxError):
            return
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        # `a or args.text("b", required=True)` needs the one or the other.
        branches = [node for node in ast.walk(tree) if isinstance(node, ast.BoolOp | ast.IfExp | ast.If)]
        perhaps = {id(inner) for node in branches for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                self._name_object(node.targets[0], node.value)
        for call in calls:
            surely = self._surely and id(call) not in perhaps
            self._asking(call, surely)
            if self._depth:
                self._handed_on(call, surely)

    def _name_object(self, target: ast.expr, call: ast.Call) -> None:
        owner, getter, name = self._parts(call)
        if owner is not None and name is not None and getter == "object" and isinstance(target, ast.Name):
            inner = Fields()
            owner.add(name, {"type": "object", "properties": inner.known, "required": inner.required}, False)
            self._standing[target.id] = inner

    def _asking(self, call: ast.Call, surely: bool) -> None:
        owner, getter, name = self._parts(call)
        if owner is not None and name is not None and getter in _KINDS:
            given = [key.value for key in call.keywords if key.arg == "required"]
            required = any(isinstance(value, ast.Constant) and value.value is True for value in given)
            owner.add(name, _KINDS[getter], required and surely)

    def _parts(self, call: ast.Call) -> tuple[Fields | None, str, str | None]:
        """Of `args.text("name")`: the arguments, the getter, the name."""
        asked = call.func
        if not (isinstance(asked, ast.Attribute) and isinstance(asked.value, ast.Name) and call.args):
            return None, "", None
        return self._standing.get(asked.value.id), asked.attr, self._text(call.args[0])

    def _text(self, node: ast.expr) -> str | None:
        found = node.value if isinstance(node, ast.Constant) else self._texts.get(getattr(node, "id", ""))
        return found if isinstance(found, str) else None

    def _handed_on(self, call: ast.Call, surely: bool) -> None:
        function = self._called(call.func)
        if function is None or not function.__module__.startswith("homeostat."):
            return
        try:
            keywords = {key.arg: key.value for key in call.keywords if key.arg}
            bound = inspect.signature(function).bind_partial(*call.args, **keywords)
        except TypeError:
            return
        handed = {
            name: self._standing[node.id]
            for name, node in bound.arguments.items()
            if isinstance(node, ast.Name) and node.id in self._standing
        }
        if handed:
            nodes = {name: node for name, node in bound.arguments.items() if isinstance(node, ast.expr)}
            told = {name: text for name, node in nodes.items() if (text := self._text(node)) is not None}
            _Reader(function, handed, told, self._depth - 1, surely).read()

    def _called(self, named: ast.expr) -> Any:
        names = self._function.__globals__
        if isinstance(named, ast.Name):
            found = names.get(named.id)
        elif isinstance(named, ast.Attribute) and isinstance(named.value, ast.Name):
            found = getattr(names.get(named.value.id), named.attr, None)
        else:
            return None
        found = inspect.unwrap(found) if callable(found) else None
        return found if inspect.isfunction(found) else None


def _defaults(function: Any) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if isinstance(one.default, str)}
