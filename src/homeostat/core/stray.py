"""Fields that a record does not have, in what somebody has written by hand: `{"wieght": 0.5}` must not mean nothing."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

import msgspec.inspect as mi

from homeostat.core.records import Record


class Stray(Record):
    """The first field that nothing reads: what is wrong, and what was meant."""

    message: str
    hint: str


def stray_field(value: Any, kind: Any) -> Stray | None:
    """The first field of plain `value` (lists, dicts, texts, numbers) that no record of the type `kind` has; None when
    there is none. The value fits the type otherwise.

    >>> class Point(Record):
    ...     x: int
    >>> stray_field([{"x": 1}], list[Point]) is None
    True
    >>> stray_field([{"x": 1, "z": 2}], list[Point]).message
    "[0] has no field 'z'"
    """
    if not isinstance(value, list | dict):
        return None
    return _find(value, _type_of(kind), "")


@cache
def _type_of(kind: Any) -> mi.Type:
    return mi.type_info(kind)


def _find(value: Any, kind: mi.Type, path: str) -> Stray | None:
    inner: list[tuple[Any, mi.Type, str]] = []
    match kind:
        case mi.UnionType():
            inner = [(value, one, path) for one in kind.types if _fits(value, one)]
        case mi.ListType() if isinstance(value, list):
            inner = [(one, kind.item_type, f"{path}[{place}]") for place, one in enumerate(value)]
        case mi.DictType() if isinstance(value, dict):
            inner = [(one, kind.value_type, f"{path}.{name}") for name, one in value.items()]
        case mi.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in kind.fields}
            for name in value:
                if name not in fields and name != kind.tag_field:
                    near = difflib.get_close_matches(str(name), fields, 1)
                    hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(fields)}"
                    return Stray(message=f"{path.lstrip('.') or 'it'} has no field '{str(name)[:80]}'", hint=hint)
            inner = [(value[name], fields[name], f"{path}.{name}") for name in value if name in fields]
        case _:
            pass
    for one in inner:
        if found := _find(*one):
            return found
    return None


def _fits(value: Any, kind: mi.Type) -> bool:
    """Whether this part of a union is what the value was read as: by its tag, if it is one of several records."""
    if isinstance(kind, mi.StructType) and isinstance(value, dict):
        return kind.tag_field is None or value.get(kind.tag_field) == kind.tag
    return True
