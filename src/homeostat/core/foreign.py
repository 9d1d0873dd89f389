"""The frame of protocols that are not ours: what their calls declare, how they read arguments, how they fail.

A slice maps a foreign protocol in modules of its own, named in `core.slices.PROTOCOLS`: functions marked with `@rpc`.
`homeostat/server/foreign.py` mounts them. The wording of the errors follows what clients of MLflow look for.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, TypeVar, cast

import msgspec

from homeostat.core.errors import HomeostatError
from homeostat.core.records import Record

F = TypeVar("F", bound=Callable[..., Any])

# Anybody may call it, logged in or not.
PUBLIC = "public"

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_MAX_DEPTH = 64
_SEE = "See the API docs for more information about request parameters."

# Wire codes and statuses of our own errors, the first class that fits.
_CODES = {
    "not_found": ("RESOURCE_DOES_NOT_EXIST", 404),
    "already_exists": ("RESOURCE_ALREADY_EXISTS", 400),
    "invalid_input": ("INVALID_PARAMETER_VALUE", 400),
    "too_large": ("INVALID_PARAMETER_VALUE", 413),
    "refused": ("INVALID_PARAMETER_VALUE", 400),
    "conflict": ("RESOURCE_CONFLICT", 409),
    "permission_denied": ("PERMISSION_DENIED", 403),
    "unauthenticated": ("UNAUTHENTICATED", 401),
    "too_many_requests": ("REQUEST_LIMIT_EXCEEDED", 429),
    "missing_extra": ("NOT_IMPLEMENTED", 501),
    "unavailable": ("TEMPORARILY_UNAVAILABLE", 503),
    "storage_full": ("RESOURCE_EXHAUSTED", 507),
}


class ForeignError(Exception):
    """A failure in the protocol's own words: `code` such as "INVALID_PARAMETER_VALUE", `message`, HTTP `status`.

    `retry_after_s` above 0 says when asking again makes sense.
    """

    def __init__(self, code: str, message: str, status: int = 400, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


class First(Exception):
    """What an `at_once` call needs done before it can be answered at once: `do()`, in a thread; then it begins anew."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__("something is to be done first")
        self.do = do


def foreign(error: HomeostatError) -> ForeignError:
    """One of our errors as the protocol says it; what is our own fault is told without details.

    >>> from homeostat.core.errors import AlreadyExists
    >>> error = foreign(AlreadyExists("the name is taken"))
    >>> error.code, error.status
    ('RESOURCE_ALREADY_EXISTS', 400)
    """
    if error.code not in _CODES:
        return ForeignError("INTERNAL_ERROR", "something went wrong here; the server's log has the details", 500)
    code, status = _CODES[error.code]
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    return ForeignError(code, message, status, error.facts.get("retry_after_s", 0))


class Rpc(Record):
    """One call of a foreign protocol.

    `path` is below the protocol's root ("2.0/mlflow/runs/create"), or from the server's own when it begins with "/".
    Segments in braces are arguments; a last "{name:path}" takes the rest. `handler(ws, args)` gives the JSON object to
    answer with (a dict, or its bytes): a plain function runs in a thread, an `async` one on the event loop, where it
    must not wait for anything but the loop. With `raw`, `async handler(ws, request)` gives a response itself.
    `audit` says whether the call is written to the audit log.
    `at_once`: a plain function that only asks the database, little, and nothing that waits in its inbox. It needs no
    thread of its own, and what it changes is one transaction, the entry in the audit log included. It may raise
    `First`.
    `form`: a body that fits this type, of a call without a query, is handed on as one instead of `Args`, which saves
    most of the work for large bodies; any other goes as `Args`, so that the handler can say what is wrong with it. A
    form is for what is not audited.
    """

    method: str
    path: str
    permission: str
    handler: Callable[..., Any]
    raw: bool = False
    audit: bool = False
    form: type[msgspec.Struct] | None = None
    at_once: bool = False


def rpc(
    method: str,
    path: str,
    *,
    permission: str,
    raw: bool = False,
    audit: bool | None = None,
    form: type[msgspec.Struct] | None = None,
    at_once: bool = False,
) -> Callable[[F], F]:
    """Declare the decorated function a foreign call. May be repeated for calls that answer at several places.

    Changes are audited unless they are part of a run's ordinary life (permission "tracking:write"); `audit` overrides.
    """
    logged = not permission.endswith(":read") and permission not in (PUBLIC, "tracking:write")

    def mark(function: F) -> F:
        declared: list[Rpc] = function.__dict__.setdefault("__rpcs__", [])
        declared.append(
            Rpc(method=method, path=path, permission=permission, handler=function, raw=raw,
                audit=logged if audit is None else audit, form=form, at_once=at_once)
        )  # fmt: skip
        return function

    return mark


def rpcs_of(module: ModuleType) -> list[Rpc]:
    """The calls declared in `module`."""
    return [
        declared
        for value in vars(module).values()
        if inspect.isfunction(value) and value.__module__ == module.__name__
        for declared in cast("list[Rpc]", getattr(value, "__rpcs__", []))
    ]


def present(values: Mapping[str, Any], empty: Iterable[str] = ()) -> dict[str, Any]:
    """`values` without None, empty lists, empty objects and empty text; `empty` names those kept though empty.

    >>> present({"a": None, "b": [], "c": "", "d": 0, "e": ""}, empty=["e"])
    {'d': 0, 'e': ''}
    """
    kept = set(empty)
    return {k: v for k, v in values.items() if k in kept or not (v is None or v == "" or v == [] or v == {})}


def invalid(message: str) -> ForeignError:
    """The error for an argument that cannot be meant."""
    return ForeignError("INVALID_PARAMETER_VALUE", message, 400)


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request's body; no body is an empty object. NaN and Infinity are let through.

    Raises: ForeignError.
    """
    if not raw:
        return {}
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = _lenient(raw)
    if isinstance(value, str):  # some clients encode twice
        return decode(value.encode())
    if not isinstance(value, dict):
        raise ForeignError("BAD_REQUEST", "the body is not a JSON object", 400)
    found = cast("dict[str, Any]", value)
    if raw.count(b"{") + raw.count(b"[") > _MAX_DEPTH:
        _check_depth(found)
    return found


def _lenient(raw: bytes) -> Any:
    # JSON has no NaN; Python's writer says it all the same.
    try:
        if b"NaN" not in raw and b"Infinity" not in raw:
            raise ValueError
        value = json.loads(raw)
        msgspec.json.encode(value)  # what cannot be written again (lone surrogates) cannot be kept either
    except (ValueError, RecursionError, msgspec.MsgspecError, UnicodeError):
        raise ForeignError("BAD_REQUEST", "the body is not a JSON object", 400) from None
    return value


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise ForeignError("BAD_REQUEST", f"the body is nested deeper than {_MAX_DEPTH} levels", 400)
    children = value.values() if isinstance(value, dict) else cast("list[Any]", value)
    for child in cast("Iterable[Any]", children):
        if isinstance(child, dict | list):
            _check_depth(child, depth + 1)


class Args:
    """The arguments of one call: path segments, the query (a repeated key is a list) and the body, merged.

    Every getter raises ForeignError("INVALID_PARAMETER_VALUE") in MLflow's wording. An argument of null is not there.

    >>> args = Args({"step": "3", "name": "x"})
    >>> args.integer("step"), args.text("name"), args.text("gone"), args.has("gone")
    (3, 'x', '', False)
    """

    __slots__ = ("values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def has(self, name: str) -> bool:
        """Whether it was given at all."""
        return self.values.get(name) is not None

    def text(self, name: str, required: bool = False, default: str = "", longest: int | None = None) -> str:
        """A text; `required` refuses a missing or empty one, `longest` one of more characters."""
        value = self.values.get(name)
        if value is None or value == "":
            if required:
                raise self.missing(name)
            return default if value is None else value
        if not isinstance(value, str):
            raise _unfit(name, value)
        if longest is not None and len(value) > longest:
            raise invalid(
                f"'{name}' exceeds the maximum length of {longest} characters: it has {len(value)} characters"
            )
        if "\0" in value:
            raise invalid(f"Invalid value for parameter '{name}' supplied: it contains a NUL character. {_SEE}")
        return value

    def integer(
        self, name: str, default: int = 0, required: bool = False, least: int = _INT_MIN, most: int = _INT_MAX
    ) -> int:
        """A whole number of 64 bits, as a number or as text."""
        value = self.values.get(name)
        if value is None:
            if required:
                raise self.missing(name)
            return default
        number: int | None = None
        if isinstance(value, bool):
            pass
        elif isinstance(value, int):
            number = value
        elif (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and len(value) <= 20):
            try:
                number = int(value)
            except ValueError:
                number = None
        if number is None or not _INT_MIN <= number <= _INT_MAX:
            raise _unfit(name, value)
        if not least <= number <= most:
            raise invalid(
                f"Invalid value {number} for parameter '{name}' supplied: It must be at least {least}"
                f" and at most {most}."
            )
        return number

    def number(self, name: str, required: bool = False, default: float = 0.0) -> float:
        """A float; "NaN", "Infinity" and "-Infinity" as text too."""
        value = self.values.get(name)
        if value is None:
            if required:
                raise self.missing(name)
            return default
        return number_of(value, name)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false, as JSON or as text."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise _unfit(name, value)

    def items(self, name: str, required: bool = False) -> list[dict[str, Any]]:
        """A list of objects, empty when it was not given."""
        values = self._list(name, required)
        if not all(isinstance(value, dict) for value in values):
            raise _unfit(name, self.values[name])
        return cast("list[dict[str, Any]]", values)

    def texts(self, name: str, required: bool = False) -> list[str]:
        """A list of texts, empty when it was not given; a lone text is a list of one."""
        values = self._list(name, required)
        if not all(isinstance(value, str) and "\0" not in value for value in values):
            raise _unfit(name, self.values[name])
        return cast("list[str]", values)

    def object(self, name: str, required: bool = False) -> Args | None:
        """A nested object as arguments of its own; None when it was not given."""
        value = self.values.get(name)
        if value is None:
            if required:
                raise self.missing(name)
            return None
        if not isinstance(value, dict):
            raise _unfit(name, value)
        return Args(cast("dict[str, Any]", value))

    def missing(self, name: str) -> ForeignError:
        """The error for an argument that is needed and not there."""
        return invalid(f"Missing value for required parameter '{name}'. {_SEE}")

    def _list(self, name: str, required: bool) -> list[Any]:
        value = self.values.get(name)
        if value is None:
            value = []
        elif not isinstance(value, list):
            value = [value]
        if required and not value:
            raise self.missing(name)
        return cast("list[Any]", value)


def number_of(value: Any, name: str) -> float:
    """A float from JSON's number or from text.

    >>> number_of("Infinity", "value")
    inf
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    if isinstance(value, str) and len(value) <= 64:
        try:
            return float(value)
        except ValueError:
            pass
    raise _unfit(name, value)


def _unfit(name: str, value: Any) -> ForeignError:
    shown = msgspec.json.encode(value).decode()[:200]
    return invalid(
        f"Invalid value {shown} for parameter '{name}' supplied: "
        f" Hint: Value was of type '{type(value).__name__}'. {_SEE}"
    )
