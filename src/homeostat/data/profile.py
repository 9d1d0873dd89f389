"""Profiling: each column of a frame in figures that a person can look over."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from homeostat.core.records import finite
from homeostat.data.model import Bin, ColumnProfile, Level
from homeostat.data.schema import type_name

_BINS = 20
_LEVELS = 10


def profile(rows: pl.DataFrame) -> list[ColumnProfile]:
    """The figures of every column. NaN counts as a value but takes no part in range, mean or histogram.

    >>> [column] = profile(pl.DataFrame({"late": [5, 7, None, 6]}))
    >>> column.count, column.nulls, column.min, column.max, column.mean, len(column.histogram)
    (4, 1, '5', '7', 6.0, 20)
    """
    return [_column(rows.get_column(name)) for name in rows.columns]


def _column(values: pl.Series) -> ColumnProfile:
    dtype = values.dtype
    present = values.drop_nulls()
    figures: dict[str, Any] = {
        "name": values.name, "type": type_name(dtype), "count": len(values), "nulls": values.null_count(),
        "distinct": _distinct(present),
    }  # fmt: skip
    if dtype.is_nested() or dtype == pl.Binary or present.is_empty():
        return ColumnProfile(**figures)
    if dtype.is_numeric() or dtype.is_temporal():
        numbers = present.cast(pl.Datetime("ms")).dt.timestamp("ms") if dtype.is_temporal() else present
        numbers = numbers.cast(pl.Float64)
        numbers = numbers.filter(numbers.is_finite())
        ordered = present.filter(present.is_finite()) if dtype.is_float() else present
        mean: Any = numbers.mean()
        return ColumnProfile(
            **figures,
            min=_text(ordered.min()),
            max=_text(ordered.max()),
            mean=None if mean is None or dtype.is_temporal() else finite(mean),
            histogram=_histogram(numbers),
        )
    counts = present.value_counts(name="n").sort(["n", values.name], descending=[True, False]).head(_LEVELS)
    levels = [Level(value=_text(value) or "", count=count) for value, count in counts.iter_rows()]
    return ColumnProfile(**figures, min=_text(present.min()), max=_text(present.max()), levels=levels)


def _distinct(present: pl.Series) -> int:
    try:
        return present.n_unique()
    except pl.exceptions.PolarsError:
        return 0  # nested types that cannot be compared


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:200]


def _histogram(numbers: pl.Series) -> list[Bin]:
    """Equal-width bars from the smallest to the largest value; one bar when all are equal."""
    if numbers.is_empty():
        return []
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]  # not empty, all numbers
    width = (high - low) / _BINS
    if width <= 0 or not math.isfinite(width):
        return [Bin(low=low, high=high, count=len(numbers))]
    position = ((numbers - low) / width).floor().clip(0, _BINS - 1).cast(pl.Int32)
    counts = dict(position.alias("bin").value_counts(name="n").iter_rows())
    return [Bin(low=low + i * width, high=low + (i + 1) * width, count=counts.get(i, 0)) for i in range(_BINS)]
