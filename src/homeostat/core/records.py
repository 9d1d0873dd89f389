"""Records: frozen, typed, JSON-shaped facts that every face of the product shows alike."""

from __future__ import annotations

import math
from typing import Any, TypeVar, dataclass_transform

import msgspec

from homeostat.core.errors import InvalidInput

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _RecordMeta(msgspec.StructMeta):
    # msgspec hands `frozen` down to subclasses but not `kw_only`; a record is both without having to say so.
    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        options = {"frozen": True, "kw_only": True, **options}
        return super().__new__(cls, name, bases, namespace, **options)


class Record(msgspec.Struct, metaclass=_RecordMeta):
    """Base of every record: immutable, compared by value, encoded field by field as JSON.

    >>> class Point(Record):
    ...     x: int
    >>> Point(x=1) == Point(x=1), to_json(Point(x=1))
    (True, '{"x":1}')
    """


def to_json(value: Any) -> str:
    """`value` (records, containers, numbers, text) as compact JSON with a stable key order for records.

    NaN and infinities have no JSON form and become null.
    """
    return msgspec.json.encode(value).decode()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys: equal values give equal text, which may be hashed.

    >>> canonical_json({"b": 1, "a": 2})
    '{"a":2,"b":1}'
    """
    return msgspec.json.encode(value, order="sorted").decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """The value of type `kind` that `text` encodes; InvalidInput names the field that does not fit."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"not a valid {getattr(kind, '__name__', kind)}: {error}") from error


def convert(value: Any, kind: Any, what: str) -> Any:
    """`value` (plain JSON types) as `kind`, strictly; `what` names it in the error."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{what}: {error}") from error


def plain(value: Any) -> Any:
    """`value` as dicts, lists, numbers and text only."""
    return msgspec.to_builtins(value)


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it (NaN, ±inf).

    >>> finite(1.5), finite(float("nan"))
    (1.5, None)
    """
    return value if math.isfinite(value) else None
