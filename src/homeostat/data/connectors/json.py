"""JSON as a frame: an array of objects, or one object a line."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from homeostat.core.errors import InvalidInput


def read_json(data: bytes, name: str) -> pl.DataFrame:
    """The rows of a JSON file: `[{…}, {…}]`, or one `{…}` on each line. A key that an object lacks is null there.

    Raises: InvalidInput, naming the line (or the element) that is cut off or not an object.
    """
    start = data.lstrip()[:1]
    if not start:
        raise InvalidInput(f"{name} is empty", hint="there should be an array, or one object a line", file=name)
    objects = _array(data, name) if start == b"[" else _lines(data, name)
    if not objects:
        raise InvalidInput(f"{name} holds no objects: its columns are not known", file=name)
    try:
        rows = pl.from_dicts(objects, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise InvalidInput(f"{name}: the values of a column are of different kinds: {error}", file=name) from error
    for column in (key for key, dtype in rows.schema.items() if dtype == pl.String):
        # Polars would write numbers among texts as texts.
        for place, value in enumerate(entry.get(column) for entry in objects):
            if value is not None and not isinstance(value, str):
                raise InvalidInput(
                    f"{name}: column '{column}' holds text, but {value!r} in row {place + 1}", file=name, column=column
                )
    return rows


def _array(data: bytes, name: str) -> list[dict[str, Any]]:
    try:
        values = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{name} is not whole JSON: {error}", hint="get the file again", file=name) from error
    for position, value in enumerate(values):
        if not isinstance(value, dict):
            raise InvalidInput(f"{name}: element {position} of the array is not an object", file=name)
    return values


def _lines(data: bytes, name: str) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            objects.append(msgspec.json.decode(line, type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(
                f"{name} line {number} is not a whole JSON object: {error}",
                hint="get the file again, or remove that line",
                file=name,
                line=number,
            ) from error
    return objects
