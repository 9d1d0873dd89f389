"""The reference profile: how each column was distributed, window by window, in additive counts.

A profile holds no rows. Whatever drift needs (shares, missing values, unseen levels, the spread between the
reference's own windows) is a sum of counts, so comparing a new window reads the profile and the window, never the
training data.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.core.records import Record

FEW = 20  # a number with at most so many distinct values is treated as a level
BINS = 20
TAIL = (
    1.0 / 128.0
)  # mass beyond these reference quantiles is watched by itself: a long tail hardly moves total variation
LEVELS = 200  # more levels than this are folded into one called "(other)"

OTHER = "(other)"


class ColumnProfile(Record):
    """One column: `edges` between bins of a number, or the `levels` of anything else; counts by (window, bin).

    `counts[w]` has one entry per bin or level plus a last one for levels never seen (zero in a reference).
    `missing[w]` counts nulls and NaN, `rows[w]` everything.
    """

    name: str
    edges: list[float] = []
    levels: list[str] = []
    counts: list[list[int]] = []
    missing: list[int] = []
    rows: list[int] = []

    @property
    def numeric(self) -> bool:
        """True when the column was cut into bins."""
        return not self.levels


class Profile(Record):
    """Profiles of all columns on the same windows, each `window_ms` long; windows without rows are left out."""

    window_ms: int
    starts_ms: list[int]
    columns: list[ColumnProfile]


def windows(times_ms: NDArray[np.int64], window_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start of each non-empty window and, per row, the number of its window.

    >>> windows(np.array([5, 12, 19, 41]), 10)
    (array([ 0, 10, 40]), array([0, 1, 1, 2]))
    """
    starts, number = np.unique(np.asarray(times_ms) // window_ms, return_inverse=True)
    return starts * window_ms, number.astype(np.int64)


def profile(frame: pl.DataFrame, times_ms: NDArray[np.int64], columns: list[str], window_ms: int) -> Profile:
    """Count `columns` of `frame` (n rows) by window of `times_ms` (n,). At least one row.

    >>> table = pl.DataFrame({"x": [float(i) for i in range(100)], "c": ["a", "b"] * 50})
    >>> made = profile(table, np.arange(100), ["x", "c"], window_ms=50)
    >>> made.starts_ms, made.columns[1].levels, made.columns[1].counts
    ([0, 50], ['a', 'b'], [[25, 25, 0], [25, 25, 0]])
    """
    starts, number = windows(times_ms, window_ms)
    kept: list[ColumnProfile] = []
    for name in columns:
        column = frame.get_column(name)
        shape = _shape(name, column)
        kept.append(_counted(shape, column, number, len(starts)))
    return Profile(window_ms=window_ms, starts_ms=[int(s) for s in starts], columns=kept)


def recount(reference: Profile, frame: pl.DataFrame, times_ms: NDArray[np.int64]) -> Profile:
    """Count a new `frame` on the reference's bins. Columns the frame lacks are counted as wholly missing."""
    starts, number = windows(times_ms, reference.window_ms)
    kept: list[ColumnProfile] = []
    for shape in reference.columns:
        column = frame.get_column(shape.name) if shape.name in frame.columns else pl.Series([None] * frame.height)
        kept.append(_counted(shape, column, number, len(starts)))
    return Profile(window_ms=reference.window_ms, starts_ms=[int(s) for s in starts], columns=kept)


def _shape(name: str, column: pl.Series) -> ColumnProfile:
    """Bins or levels for a column, decided on the reference alone."""
    if column.dtype.is_numeric() and column.n_unique() > FEW:
        values = _numbers(column)
        values = values[~np.isnan(values)]
        inner = np.arange(1, BINS) / BINS
        edges = np.unique(np.quantile(values, [TAIL, *inner, 1.0 - TAIL]))
        return ColumnProfile(name=name, edges=[float(e) for e in edges])
    texts = _texts(column).drop_nulls()
    common = texts.value_counts(sort=True, name="rows").head(LEVELS)
    levels = sorted(common.get_column(common.columns[0]).to_list())
    if texts.n_unique() > LEVELS:
        levels.append(OTHER)
    return ColumnProfile(name=name, levels=levels or [OTHER])


def _counted(shape: ColumnProfile, column: pl.Series, number: NDArray[np.int64], count: int) -> ColumnProfile:
    if shape.numeric:
        values = _numbers(column)
        gone = np.isnan(values)
        where = np.searchsorted(np.asarray(shape.edges), values, side="right")
        bins = len(shape.edges) + 1
    else:
        texts = _texts(column)
        gone = texts.is_null().to_numpy()
        bins = len(shape.levels)
        unseen = bins - 1 if OTHER in shape.levels else bins
        codes = {level: i for i, level in enumerate(shape.levels)}
        distinct = texts.unique().drop_nulls().to_list()
        lookup = {level: codes.get(level, unseen) for level in distinct}
        where = texts.fill_null("").replace_strict(lookup, default=0, return_dtype=pl.Int64).to_numpy()
    width = bins + 1
    flat = number[~gone] * width + where[~gone]
    counts = np.bincount(flat, minlength=count * width).reshape(count, width)
    return ColumnProfile(
        name=shape.name,
        edges=shape.edges,
        levels=shape.levels,
        counts=counts.tolist(),
        missing=np.bincount(number[gone], minlength=count).tolist(),
        rows=np.bincount(number, minlength=count).tolist(),
    )


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)


def _texts(column: pl.Series) -> pl.Series:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.cast(pl.String)
