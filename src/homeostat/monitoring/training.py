"""Where a model's training rows lie, and how to read those whose truth was known at a moment."""

from __future__ import annotations

import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.core.workspace import Workspace
from homeostat.data import get_table, scan_table
from homeostat.monitoring.model import TrainingTable

_KEPT = 4
_columns: dict[tuple[str, str, int, str | None, str], pl.DataFrame] = {}


def training_rows(
    ws: Workspace, source: TrainingTable, columns: list[str], since_ms: int = 0, until_ms: int | None = None
) -> pl.DataFrame | None:
    """Rows with time from `since_ms` on whose truth was known before `until_ms`: `columns`, label, time_ms; by time.

    None when the table lacks one of the columns: then it is not what the model was taught with.
    """
    lazy = scan_table(ws, source.table, source.version)
    there = set(lazy.collect_schema().names())
    needed = {source.time, source.target, *columns, *([source.known] if source.known else [])}
    if not needed <= there:
        return None
    known = pl.col(source.known) if source.known else _ms(pl.col(source.time), lazy, source.time) + source.within_ms
    if source.known:
        known = _ms(known, lazy, source.known)
    rows = lazy.select(
        *columns,
        pl.col(source.target).cast(pl.Float64).alias("label"),
        _ms(pl.col(source.time), lazy, source.time).alias("time_ms"),
        known.alias("known_ms"),
    ).filter(pl.col("label").is_not_null() & (pl.col("time_ms") >= since_ms))
    if until_ms is not None:
        rows = rows.filter(pl.col("known_ms") < until_ms)
    return rows.drop("known_ms").sort("time_ms", maintain_order=True).collect()


def column_by_key(ws: Workspace, source: TrainingTable, column: str) -> pl.DataFrame:
    """`column` of the table for each key (as text): columns key and the column, each key once.

    Raises InvalidInput when the table has no key named or no such column.
    """
    number = get_table(ws, source.table).version if source.version is None else source.version
    return _by_key(ws, source, column, number)


def _by_key(ws: Workspace, source: TrainingTable, column: str, number: int) -> pl.DataFrame:
    # A version of a table never changes, and a look at a model asks for the same column every time.
    asked = (ws.url, source.table, number, source.key, column)
    if asked in _columns:
        return _columns[asked]
    lazy = scan_table(ws, source.table, number)
    there = lazy.collect_schema().names()
    if source.key is None or column not in there or source.key not in there:
        raise InvalidInput(
            f"neither the prediction log nor the table '{source.table}' has a column '{column}'",
            hint=f"slice by one of {', '.join(there)[:200]}",
        )
    key = pl.col(source.key).cast(pl.String).alias("key")
    found = lazy.select(key, pl.col(column)).unique("key", keep="last").collect()
    while len(_columns) >= _KEPT:
        _columns.pop(next(iter(_columns)))
    _columns[asked] = found
    return found


def _ms(column: pl.Expr, lazy: pl.LazyFrame, name: str) -> pl.Expr:
    """A time column as ms since 1970, whether it is kept as a number or as a timestamp."""
    kind = lazy.collect_schema()[name]
    return column.dt.epoch("ms") if kind.is_temporal() else column.cast(pl.Int64)
