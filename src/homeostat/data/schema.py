"""Column types: Polars' types, the types Delta Lake can store, and the names people read.

Delta Lake has no unsigned integers, no categories and no nanoseconds. `storable` gives the nearest type that loses
nothing, and refuses what has none.
"""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.core.records import to_json
from homeostat.data.delta_schema import TYPE_NAMES, shown

_PLAIN: list[tuple[pl.DataType, str]] = [
    (pl.Int8(), "byte"),
    (pl.Int16(), "short"),
    (pl.Int32(), "integer"),
    (pl.Int64(), "long"),
    (pl.Float32(), "float"),
    (pl.Float64(), "double"),
    (pl.Boolean(), "boolean"),
    (pl.String(), "string"),
    (pl.Binary(), "binary"),
    (pl.Date(), "date"),
    (pl.Datetime("us", "UTC"), "timestamp"),
    (pl.Datetime("us"), "timestamp_ntz"),
]
_WIDER = {pl.UInt8: pl.Int16(), pl.UInt16: pl.Int32(), pl.UInt32: pl.Int64(), pl.UInt64: pl.Int64()}


def storable(dtype: pl.DataType, column: str) -> pl.DataType:
    """The type under which a column of type `dtype` is kept.

    Raises: InvalidInput for a type that Delta Lake cannot keep, saying what to convert it to.
    """
    for kind, wider in _WIDER.items():
        if dtype == kind:
            return wider
    if isinstance(dtype, (pl.Categorical, pl.Enum, pl.Null)):
        return pl.String()
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", "UTC" if dtype.time_zone else None)
    if isinstance(dtype, (pl.List, pl.Array)):
        return pl.List(storable(_instance(dtype.inner), column))
    if isinstance(dtype, pl.Struct) and dtype.fields:
        return pl.Struct({field.name: storable(_instance(field.dtype), column) for field in dtype.fields})
    if isinstance(dtype, pl.Decimal) or any(dtype == plain for plain, _ in _PLAIN):
        return dtype
    raise InvalidInput(
        f"column '{column}' has type {dtype}, which a table cannot keep",
        hint=f"convert it first, such as pl.col('{column}').cast(pl.Int64) or .cast(pl.String)",
        column=column,
    )


def _instance(dtype: Any) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype


def to_delta(dtype: pl.DataType) -> Any:
    """A storable type as Delta's schema writes it: text, or an object for lists and structs. Else a TypeError."""
    for plain, delta in _PLAIN:
        if dtype == plain:
            return delta
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    if isinstance(dtype, pl.List):
        return {"type": "array", "elementType": to_delta(_instance(dtype.inner)), "containsNull": True}
    if isinstance(dtype, pl.Struct):
        return {"type": "struct", "fields": [_field(f.name, _instance(f.dtype)) for f in dtype.fields]}
    raise TypeError(f"{dtype} is not storable")


def _field(name: str, dtype: pl.DataType) -> dict[str, Any]:
    return {"name": name, "type": to_delta(dtype), "nullable": True, "metadata": {}}


def schema_string(schema: pl.Schema) -> str:
    """The schema as Delta's `schemaString`.

    >>> schema_string(pl.Schema({"a": pl.Int64}))
    '{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}}]}'
    """
    return to_json({"type": "struct", "fields": [_field(name, dtype) for name, dtype in schema.items()]})


def from_delta(kind: Any) -> pl.DataType:
    """The Polars type of a Delta type, the inverse of `to_delta`."""
    if isinstance(kind, dict):
        if kind["type"] == "array":
            return pl.List(from_delta(kind["elementType"]))
        return pl.Struct({field["name"]: from_delta(field["type"]) for field in kind["fields"]})
    if kind.startswith("decimal("):
        precision, scale = kind[8:-1].split(",")
        return pl.Decimal(int(precision), int(scale))
    return next(plain for plain, delta in _PLAIN if delta == kind)


def polars_schema(text: str) -> pl.Schema:
    """The Polars schema that a `schemaString` stands for."""
    return pl.Schema({field["name"]: from_delta(field["type"]) for field in msgspec.json.decode(text)["fields"]})


def type_name(dtype: pl.DataType) -> str:
    """A type as people read it; Polars' own name for one that a table cannot keep.

    >>> type_name(pl.List(pl.Int32()))
    'list<int32>'
    """
    try:
        return shown(to_delta(dtype))
    except TypeError:
        return str(dtype).lower()


def type_of_name(name: str) -> pl.DataType:
    """The type that a plain name ("int64", "datetime[UTC]" …) stands for. Raises: InvalidInput, with all names.

    >>> type_of_name("float32")
    Float32
    """
    for plain, delta in _PLAIN:
        if TYPE_NAMES[delta] == name:
            return plain
    raise InvalidInput(f"{name[:80]!r} is not a column type", hint=f"use {', '.join(TYPE_NAMES.values())}")
