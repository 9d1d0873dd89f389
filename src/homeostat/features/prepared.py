"""A view over its source, sorted and summed once, then asked for any keys and moments: thousands, or one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from homeostat.features.columns import column, number
from homeostat.features.model import FeatureView, Latest, Windows, milliseconds
from homeostat.features.timeline import Ints, Timeline
from homeostat.features.window_sums import Counts, Floats, Fractions, Wholes, wholes

Ask = Callable[[Timeline, Ints, Ints, Ints], dict[str, Floats]]


class PreparedView:
    """The features of `view` over `source`. Never changed: a newer source is another one.

    >>> from homeostat.features import FeatureView, Windows
    >>> delays = Windows(name="delay", key=["origin"], value="minutes", over=["1h"], what=["mean"])
    >>> view = FeatureView(name="recent", source="departures", known_at="left_ms", features=[delays])
    >>> left = pl.DataFrame({"origin": ["JFK", "JFK"], "minutes": [10, 30], "left_ms": [0, 1_800_000]})
    >>> found, there = PreparedView(view, left).of_keys({"origin": ["JFK", "LGA"]}, 1_800_000)
    >>> found["delay_mean_1h"].tolist(), there.tolist()
    ([20.0, nan], [True, False])
    """

    def __init__(self, view: FeatureView, source: pl.DataFrame) -> None:
        self.view = view
        where = f"the source '{view.source}'"
        if view.known_at:
            column(source, view.known_at, where)
        self._lines: dict[tuple[str, ...], Timeline] = {}
        self._asks: list[tuple[tuple[str, ...], Ask]] = []
        for feature in view.features:
            key = tuple(feature.key)
            if key not in self._lines:
                for name in key:
                    column(source, name, where)
                self._lines[key] = Timeline(source, feature.key, view.known_at)
            made = _windows if isinstance(feature, Windows) else _latest
            self._asks.append((key, made(feature, view, source, self._lines[key])))  # pyright: ignore[reportArgumentType]

    def of_frame(self, spine: pl.DataFrame, at: Ints) -> dict[str, Floats]:
        """The features for the keys and moments of every row of `spine`; NaN where there is none."""
        for key in self._lines:
            for name in key:
                column(spine, name, "the spine")
        return self._found(lambda line: line.keys_of(spine), at)[0]

    def of_keys(self, keys: dict[str, list[Any]], at_ms: int) -> tuple[dict[str, Floats], np.ndarray]:
        """The features as of one moment for rows of keys, given column by column, and which rows have every key in the
        source at all. Costs a look into a dictionary for each row and key, and a binary search."""
        rows = len(next(iter(keys.values()))) if keys else 1
        return self._found(lambda line: line.codes_of(keys, rows), np.full(rows, at_ms, np.int64))

    def _found(self, codes: Callable[[Timeline], Ints], at: Ints) -> tuple[dict[str, Floats], np.ndarray]:
        places = {key: (keys := codes(line), line.known_by(keys, at)) for key, line in self._lines.items()}
        found: dict[str, Floats] = {}
        for key, ask in self._asks:
            keys, end = places[key]
            found.update(ask(self._lines[key], keys, at, end))
        there = np.ones(at.size, bool)
        for keys, _ in places.values():
            there &= keys >= 0
        return found, there


def _windows(feature: Windows, view: FeatureView, source: pl.DataFrame, line: Timeline) -> Ask:
    value = number(source, feature.value, f"the source '{view.source}'")
    whole = value.dtype.is_integer() or value.dtype == pl.Boolean
    if value.dtype.is_float():
        value = value.fill_nan(None)
    present = Counts(value.is_not_null().to_numpy()[line.rows])
    filled = value.fill_null(0).cast(pl.Int64 if whole else pl.Float64).to_numpy()[line.rows]
    exact = wholes(filled) if whole else None
    spans = [(length, milliseconds(length)) for length in feature.over]
    sums: list[Wholes | Fractions] = [
        exact or Fractions(filled.astype(np.float64), line.codes, line.known, span) for _, span in spans
    ]

    def ask(line: Timeline, keys: Ints, at: Ints, end: Ints) -> dict[str, Floats]:
        columns: dict[str, Floats] = {}
        for (length, span), summed in zip(spans, sums, strict=True):
            begin = line.known_by(keys, at - span)
            many = present.between(begin, end)
            total = summed.between(begin, end)
            mean = np.divide(total, many, out=np.full(total.size, np.nan), where=many > 0)
            found = {"count": many.astype(np.float64), "sum": total, "mean": mean}
            columns.update({f"{feature.name}_{what}_{length}": found[what] for what in feature.what})
        return columns

    return ask


def _latest(feature: Latest, view: FeatureView, source: pl.DataFrame, line: Timeline) -> Ask:
    where = f"the source '{view.source}'"
    values = {
        name: number(source, value, where).cast(pl.Float64).fill_null(np.nan).to_numpy()[line.rows]
        for name, value in zip(feature.columns, feature.values, strict=True)
    }
    within = milliseconds(feature.within) if feature.within else None

    def ask(line: Timeline, keys: Ints, at: Ints, end: Ints) -> dict[str, Floats]:
        if not line.rows.size:
            return {name: np.full(at.size, np.nan) for name in values}
        there = end > line.starts(keys)
        row = np.where(there, end - 1, 0)
        if within is not None:
            there &= at - line.known[row] <= within
        return {name: np.where(there, column[row], np.nan) for name, column in values.items()}

    return ask
