"""Features for a spine: as many rows out as in, in the same order, and from nothing that was not known by then."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
import polars as pl

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.features.model import FeatureSet, FeatureView, Latest, Windows, checked, milliseconds
from homeostat.features.timeline import Ints, Timeline
from homeostat.features.window_sums import counts, fraction_sums, whole_sums


def compute(features: FeatureSet, spine: pl.DataFrame, sources: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The features of every spine row: (n_spine, n_features) Float64, columns as `features.columns`.

    `sources` gives each table by the name the views use. Missing is null. Every value survives a trip through 32-bit
    floats unchanged, so that a served float32 tensor says the same as the training table. The same input gives the
    same bits, and a source row known only after a spine row's moment has no influence on it whatever its values.

    Raises: InvalidInput for a column that is not there or is no number; NotFound for a source that was not given.

    >>> from homeostat.features import FeatureSet, FeatureView, Windows
    >>> delays = Windows(name="delay", key=["origin"], value="minutes", over=["1h"])
    >>> view = FeatureView(name="recent", source="departures", known_at="left_ms", features=[delays])
    >>> left = pl.DataFrame({"origin": ["JFK", "JFK"], "minutes": [10, 30], "left_ms": [0, 1_800_000]})
    >>> asked = pl.DataFrame({"origin": ["JFK", "JFK", "LGA"], "at_ms": [1_000, 1_800_000, 1_800_000]})
    >>> compute(FeatureSet(name="demo", at="at_ms", views=[view]), asked, {"departures": left}).rows()
    [(10.0, 1.0), (20.0, 2.0), (None, 0.0)]
    """
    checked(features)
    at = _moments(features, spine)
    columns = {name: _number(spine, name, "the spine") for name in features.given}
    for view in features.views:
        if view.source not in sources:
            raise NotFound(f"the view '{view.name}' reads '{view.source}', which was not given", source=view.source)
        columns.update(_view(view, sources[view.source], spine, at))
    return pl.DataFrame(columns).with_columns(pl.all().cast(pl.Float32).cast(pl.Float64))


def _view(view: FeatureView, source: pl.DataFrame, spine: pl.DataFrame, at: Ints) -> dict[str, pl.Series]:
    columns: dict[str, pl.Series] = {}
    seen: dict[tuple[str, ...], tuple[Timeline, Ints, Ints]] = {}
    if view.known_at:
        _column(source, view.known_at, f"the source '{view.source}'")
    for feature in view.features:
        key = tuple(feature.key)
        if key not in seen:
            for name in key:
                _column(source, name, f"the source '{view.source}'")
                _column(spine, name, "the spine")
            line = Timeline(source, feature.key, view.known_at)
            keys = line.keys_of(spine)
            seen[key] = line, keys, line.known_by(keys, at)
        line, keys, end = seen[key]
        if isinstance(feature, Windows):
            columns.update(_windows(feature, view, source, line, keys, at, end))
        else:
            columns.update(_latest(feature, view, source, line, keys, at, end))
    return columns


def _windows(
    feature: Windows, view: FeatureView, source: pl.DataFrame, line: Timeline, keys: Ints, at: Ints, end: Ints
) -> dict[str, pl.Series]:
    value = _number(source, feature.value, f"the source '{view.source}'")
    whole = value.dtype.is_integer() or value.dtype == pl.Boolean
    if value.dtype.is_float():
        value = value.fill_nan(None)
    present = value.is_not_null().to_numpy()[line.rows]
    filled = value.fill_null(0).cast(pl.Int64 if whole else pl.Float64).to_numpy()[line.rows]
    columns: dict[str, pl.Series] = {}
    for length in feature.over:
        span = milliseconds(length)
        begin = line.known_by(keys, at - span)
        number = counts(present, begin, end)
        total = whole_sums(filled, begin, end) if whole else None
        if total is None:
            total = fraction_sums(filled.astype(np.float64), line.codes, line.known, begin, end, span)
        mean = np.divide(total, number, out=np.full(total.size, np.nan), where=number > 0)
        found = {"count": pl.Series(number), "sum": pl.Series(total), "mean": pl.Series(mean).fill_nan(None)}
        columns.update({f"{feature.name}_{what}_{length}": found[what] for what in feature.what})
    return columns


def _latest(
    feature: Latest, view: FeatureView, source: pl.DataFrame, line: Timeline, keys: Ints, at: Ints, end: Ints
) -> dict[str, pl.Series]:
    found = end > line.starts(keys)
    row = np.where(found, end - 1, 0)
    if feature.within and line.rows.size:
        found &= at - line.known[row] <= milliseconds(feature.within)
    place = pl.Series(line.rows[row] if line.rows.size else row)
    place = pl.select(pl.when(pl.Series(found)).then(place)).to_series()
    columns: dict[str, pl.Series] = {}
    for name, value in zip(feature.columns, feature.values, strict=True):
        column = _number(source, value, f"the source '{view.source}'")
        taken = column.gather(place.fill_null(0)) if source.height else column.extend_constant(None, place.len())
        taken = pl.select(pl.when(place.is_not_null()).then(taken)).to_series()
        columns[name] = taken.cast(pl.Float64).fill_nan(None)
    return columns


def _moments(features: FeatureSet, spine: pl.DataFrame) -> Ints:
    at = _column(spine, features.at, "the spine")
    if not at.dtype.is_integer() or at.null_count():
        raise InvalidInput(
            f"'{features.at}' must hold the moment of every prediction as whole ms UTC, none missing",
            hint=f'it is {at.dtype} with {at.null_count()} missing; .dt.epoch("ms") turns a date into ms',
            column=features.at,
        )
    return at.cast(pl.Int64).to_numpy()


def _column(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    if name not in frame.columns:
        near = difflib.get_close_matches(name, frame.columns, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(frame.columns[:20])}"
        raise InvalidInput(f"{where} has no column '{name}'", hint=hint, column=name)
    return frame[name]


def _number(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    column = _column(frame, name, where)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise InvalidInput(
            f"'{name}' of {where} is {column.dtype}, and a feature is a number",
            hint="turn text into a number first, by a list of its values that is fixed",
            column=name,
        )
    return column
