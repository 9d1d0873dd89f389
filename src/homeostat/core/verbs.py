"""One verb, declared once: a typed function whose first argument is the workspace.

From the declaration come the Python call (`ws.tracking.create_run(...)`), the HTTP route with its OpenAPI entry
(`homeostat/server`), the same call against `http://…` (`core/remote.py`) and the command line (`homeostat/cli`).

Arguments and results are what msgspec converts (numbers, text, lists, dicts, records), or one `Frame` (an Arrow
table), or one `bytes`. A permission that ends in ":read" makes a GET, every other one a POST.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import types
import typing
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from homeostat.core.door import offered
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.frames import Frame
from homeostat.core.records import Record
from homeostat.core.slices import SLICES

F = TypeVar("F", bound=Callable[..., Any])

_PERMISSION = re.compile(r"[a-z]+:(read|write|admin)\Z")
_RAW = re.compile(r"\b(Frame|bytes)\b")


class Parameter(Record):
    """One argument of a verb. `body` says that it travels as raw bytes: "frame", "bytes", or "" for JSON."""

    name: str
    kind: Any
    required: bool
    default: Any = None
    body: str = ""


class Verb:
    """A declared verb: `slice.name`, who may call it, what it takes and gives, its help.

    `at_once`: it only asks the database, and little, so that a server needs no thread of its own for it, and makes one
    transaction of what it changes and the entry in the audit log.

    Types and help are read from the function when somebody asks for them: a server has near two hundred verbs, and most
    are never called while it runs.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.slice: str = function.__module__.split(".")[1]
        self.name: str = function.__name__
        self.permission: str = cast(Any, function).__permission__
        self.at_once: bool = cast(Any, function).__at_once__

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it takes after the workspace."""
        return _parameters(self.function)

    @cached_property
    def result(self) -> Any:
        """The type of what it gives."""
        return typing.get_type_hints(self.function).get("return")

    @property
    def description(self) -> str:
        """The whole docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def help(self) -> str:
        """The docstring's first line."""
        return self.description.split("\n", 1)[0]

    @property
    def safe(self) -> bool:
        """True when it changes nothing."""
        return self.permission.endswith(":read")

    @property
    def body(self) -> Parameter | None:
        """The argument that travels as raw bytes, if there is one."""
        written = self.function.__annotations__
        if not any(name != "return" and _RAW.search(str(kind)) for name, kind in written.items()):
            return None  # known without looking at any type
        return next((p for p in self.parameters if p.body), None)

    @property
    def gives(self) -> str:
        """How the result travels: "frame", "bytes" or "" for JSON."""
        return _body_kind(self.result)

    def arguments(self, given: dict[str, Any], *, text: bool = False) -> dict[str, Any]:
        """`given` converted to the declared types; `text` accepts numbers and booleans written as text.

        Raises: InvalidInput for an unknown, missing or unfitting argument, naming it and the nearest right name.
        """
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise InvalidInput(
                    f"{self.slice}.{self.name} takes no argument '{name[:80]}'",
                    hint=f"did you mean '{near[0]}'?" if near else f"it takes {', '.join(known) or 'none'}",
                    argument=name[:80],
                )
        missing = [p.name for p in self.parameters if p.required and p.name not in given]
        if missing:
            raise InvalidInput(f"{self.slice}.{self.name} needs {', '.join(missing)}", missing=missing)
        return {name: self._convert(known[name], value, text) for name, value in given.items()}

    def _convert(self, parameter: Parameter, value: Any, text: bool) -> Any:
        from homeostat.core.stray import stray_field  # which looks into types: not for a start

        if parameter.body:
            return value
        where = f"{self.slice}.{self.name}: {parameter.name}"
        if text and isinstance(value, str):
            value = _from_text(value, parameter.kind, where)
        try:
            converted = msgspec.convert(value, parameter.kind, strict=not text)
        except msgspec.ValidationError as error:
            choices = [choice for one in _options(parameter.kind) for choice in typing.get_args(one)]
            hint = f"one of {', '.join(map(str, choices))}" if "enum value" in str(error) and choices else ""
            read = f" in {value[:80]!r}" if text and isinstance(value, str) and "enum value" not in str(error) else ""
            raise InvalidInput(f"{where}: {error}{read}", hint=hint, argument=parameter.name) from error
        if stray := stray_field(value, parameter.kind):
            raise InvalidInput(f"{where}: {stray.message}", hint=stray.hint, argument=parameter.name)
        return converted


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _from_text(value: str, kind: Any, where: str) -> Any:
    options = _options(kind)
    if str in options or any(typing.get_origin(o) is typing.Literal for o in options):
        # A version or an alias (`int | str`): digits are the number.
        return int(value) if int in options and re.fullmatch(r"-?[0-9]{1,18}", value) else value
    if any(o in (int, float, bool) for o in options):
        return value
    plain_list = any(typing.get_origin(o) is list and typing.get_args(o)[0] in (str, int, float) for o in options)
    try:
        decoded = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        if plain_list:
            return value.split(",") if value else []
        raise InvalidInput(f"{where}: {value[:80]!r} is not JSON: {error}") from error
    return decoded if isinstance(decoded, list | None) or not plain_list else [value]


def _body_kind(kind: Any) -> str:
    return "frame" if kind is Frame else "bytes" if kind is bytes else ""


def verb(*, permission: str, at_once: bool = False) -> Callable[[F], F]:
    """Declare the decorated function a verb that needs `permission`, such as "registry:read"; `at_once`: see `Verb`."""
    if not _PERMISSION.match(permission):
        raise InvalidInput(f"{permission!r} is not a permission", hint="write it as 'slice:read', ':write' or ':admin'")

    def mark(function: F) -> F:
        cast(Any, function).__permission__ = permission
        cast(Any, function).__at_once__ = at_once
        return function

    return mark


@cache
def describe(function: Callable[..., Any]) -> Verb:
    """The declaration of a function marked with `@verb`."""
    return Verb(function)


def _parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """What it takes after the workspace. `**options: Unpack[Options]` stands for the fields of a TypedDict that verbs
    share, each of which may be left out."""
    hints, found = typing.get_type_hints(function), list[Parameter]()
    for p in list(inspect.signature(function).parameters.values())[1:]:
        if p.kind is p.VAR_KEYWORD:
            shared = typing.get_type_hints(typing.get_args(hints[p.name])[0])
            found += [Parameter(name=name, kind=kind, required=False) for name, kind in shared.items()]
            continue
        found.append(
            Parameter(
                name=p.name,
                kind=hints[p.name],
                required=p.default is p.empty,
                default=None if p.default is p.empty else p.default,
                body=_body_kind(hints[p.name]),
            )
        )
    return tuple(found)


@cache
def verbs_of(name: str) -> dict[str, Verb]:
    """The verbs a slice offers through its door, by name. Imports the modules that declare them."""
    package = f"homeostat.{name}"
    if name not in SLICES or importlib.util.find_spec(package) is None:
        near = difflib.get_close_matches(name, SLICES, 1)
        raise NotFound(
            f"there is no slice '{name[:80]}'", hint=f"did you mean '{near[0]}'?" if near else ", ".join(SLICES)
        )
    found: dict[str, Verb] = {}
    for exported, module in offered(package).items():
        if exported[0].isupper() or not _declares(module):  # a record, or a function that is no verb
            continue
        value = getattr(importlib.import_module(module), exported)
        if hasattr(value, "__permission__"):
            found[exported] = describe(value)
    return found


@cache
def _declares(module: str) -> bool:
    """Whether a module declares verbs, read from its source: what a server never asks for is not loaded for it."""
    path = Path(__file__).parents[2].joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return b"@verb(" in source.read_bytes()


def find(slice_name: str, name: str) -> Verb:
    """The verb `slice_name.name`, or NotFound with the nearest one there is."""
    verbs = verbs_of(slice_name)
    if name not in verbs:
        near = difflib.get_close_matches(name, verbs, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(sorted(verbs))}"
        raise NotFound(f"'{slice_name}' has no verb '{name[:80]}'", hint=hint)
    return verbs[name]
