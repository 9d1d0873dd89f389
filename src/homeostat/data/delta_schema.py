"""Delta's schema text, read without any library: column names and types as people read them."""

from __future__ import annotations

from typing import Any

import msgspec

from homeostat.data.model import Column

# Delta's primitive types and the names we show.
TYPE_NAMES = {
    "byte": "int8",
    "short": "int16",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "boolean": "boolean",
    "string": "string",
    "binary": "binary",
    "date": "date",
    "timestamp": "datetime[UTC]",
    "timestamp_ntz": "datetime",
}


def columns_of(text: str) -> list[Column]:
    """The columns that a `schemaString` stands for.

    >>> columns_of('{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}}]}')
    [Column(name='a', type='int64', nullable=True)]
    """
    return [Column(name=field["name"], type=shown(field["type"])) for field in msgspec.json.decode(text)["fields"]]


def shown(kind: Any) -> str:
    """A Delta type as people read it.

    >>> shown({"type": "array", "elementType": "integer", "containsNull": True})
    'list<int32>'
    """
    if isinstance(kind, str):
        return TYPE_NAMES.get(kind, kind)
    if kind["type"] == "array":
        return f"list<{shown(kind['elementType'])}>"
    fields = ", ".join(f"{field['name']}: {shown(field['type'])}" for field in kind["fields"])
    return f"struct<{fields}>"


def needs_timestamp_ntz(text: str) -> bool:
    """Whether a `schemaString` holds times without a zone, which Delta readers must be told of."""
    return '"timestamp_ntz"' in text
