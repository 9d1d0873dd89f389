"""Making a frame fit: into types that can be kept, and into the columns that a table already has."""

from __future__ import annotations

import difflib

import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.data.schema import storable, type_name


def keepable(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` in types that a table can keep; no value changes.

    Raises: InvalidInput for no columns, names that differ only in case, or a type that has no equal.
    """
    if not frame.columns:
        raise InvalidInput("a table needs at least one column", hint="the frame that was given has none")
    seen: dict[str, str] = {}
    for name in frame.columns:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise InvalidInput(
                f"columns '{other}' and '{name}' differ only in case", hint="rename one: Delta Lake takes them for one"
            )
    wanted = {name: storable(dtype, name) for name, dtype in frame.schema.items()}
    changed = {name: dtype for name, dtype in wanted.items() if dtype != frame.schema[name]}
    try:
        return frame.cast(changed) if changed else frame  # pyright: ignore[reportArgumentType]
    except pl.exceptions.InvalidOperationError as error:
        raise InvalidInput(f"a value is too large to be kept: {error}", hint="convert the column first") from error


def fit(frame: pl.DataFrame, schema: pl.Schema, table: str) -> pl.DataFrame:
    """`frame` with the columns of `schema`, in their order and types.

    A column of another numeric type is converted when every value survives unchanged, and a column of nulls fits any
    type. Raises: InvalidInput for a missing, extra or unfitting column, naming it.
    """
    _same_columns(frame.columns, list(schema), table)
    return frame.select(_fitted(frame.get_column(name), dtype, table) for name, dtype in schema.items())


def _same_columns(given: list[str], wanted: list[str], table: str) -> None:
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    if not missing and not extra:
        return
    parts: list[str] = []
    if missing:
        parts.append(f"lacks {_names(missing)}")
    if extra:
        parts.append(f"has {_names(extra)}, which the table does not")
    near = difflib.get_close_matches(extra[0], missing, 1) if extra else []
    raise InvalidInput(
        f"the frame does not fit table '{table}': it {' and '.join(parts)}",
        hint=f"rename '{extra[0]}' to '{near[0]}'?" if near else "mode='overwrite' replaces rows and columns alike",
        table=table,
        missing=missing,
        extra=extra,
    )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + more


def _fitted(column: pl.Series, dtype: pl.DataType, table: str) -> pl.Series:
    if column.dtype == dtype:
        return column
    if column.null_count() == len(column):
        return pl.Series(column.name, [None] * len(column), dtype=dtype)
    if column.dtype.is_numeric() and dtype.is_numeric():
        converted = column.cast(dtype, strict=False)
        # Exact or not at all: 2**53 + 1 as a float, or 1.5 as an integer, must not slip in as something else.
        if column.eq_missing(converted.cast(column.dtype, strict=False)).all():
            return converted
    raise InvalidInput(
        f"column '{column.name}' of table '{table}' is {type_name(dtype)}; the frame has {type_name(column.dtype)}",
        hint=f"convert it: pl.col('{column.name}').cast(…)",
        table=table,
        column=column.name,
    )
