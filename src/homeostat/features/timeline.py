"""A source in the order in which it became known, and the place of a moment in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.core.errors import TooLarge

Ints = NDArray[np.int64]

_ALWAYS = -(2**62)


class Timeline:
    """The rows of a source, sorted by (key, known_at), and where spine rows stand in it.

    `rows` (n,) are the source's row numbers in that order, `known` their times, `codes` their keys as numbers. Rows
    without a time, or with a missing part of the key, were never known and are left out. Equal times keep the order of
    the source.
    """

    def __init__(self, source: pl.DataFrame, key: list[str], known_at: str | None) -> None:
        self._key = key
        codes, self._codes = _encode(source, key)
        self._by_key: dict[tuple[Any, ...], int] | None = None
        # What was always known has one moment, before every other.
        always = pl.Series(np.full(source.height, _ALWAYS))
        times = source[known_at].cast(pl.Int64) if known_at else always
        present = (times.is_not_null() & (codes >= 0)).to_numpy()
        rows = np.flatnonzero(present)
        known = times.fill_null(0).to_numpy()[rows]
        code = codes.to_numpy()[rows]
        self._first = int(known.min()) if rows.size else 0
        # One number orders (key, time): each key owns a stretch of `stride`, with a place before its first row.
        self._stride = (int(known.max()) - self._first + 2) if rows.size else 2
        if self._stride * (len(self._codes) + 1) >= 2**62:
            raise TooLarge("too many keys over too long a time for one source", hint="split the source by time")
        place = code * self._stride + (known - self._first + 1)
        order = np.argsort(place, kind="stable")
        self.rows: Ints = rows[order]
        self.known: Ints = known[order]
        self.codes: Ints = code[order]
        self._place: Ints = place[order]

    def keys_of(self, spine: pl.DataFrame) -> Ints:
        """The number of each spine row's key (n_spine,); -1 where the source has no such key."""
        if not self._key:
            return np.zeros(spine.height, dtype=np.int64)
        found = spine.select(self._key).join(self._codes, on=self._key, how="left", maintain_order="left")
        return found["code"].fill_null(-1).to_numpy()

    def codes_of(self, keys: dict[str, list[Any]], rows: int) -> Ints:
        """As `keys_of` for a few rows, whose keys are given column by column."""
        if not self._key:
            return np.zeros(rows, dtype=np.int64)
        if self._by_key is None:
            columns = [self._codes[name].to_list() for name in self._key]
            self._by_key = {key: code for code, key in enumerate(zip(*columns, strict=True))}
        find = self._by_key.get
        wanted = zip(*[keys[name] for name in self._key], strict=True)
        return np.fromiter((find(key, -1) for key in wanted), np.int64, rows)

    def known_by(self, keys: Ints, at: Ints) -> Ints:
        """For each (key, moment), one past the place of the last row known by then: known_at <= at.

        Where nothing of the key is known yet, or there is no such key, this is where the key's rows begin (or 0).
        """
        # Clipped before the difference is taken: a moment may be as far from the first row as numbers go.
        last = self._first + self._stride - 2
        inside = np.clip(at, self._first - 1, last) - self._first + 1
        place = np.where(keys < 0, -1, keys * self._stride + inside)
        return np.searchsorted(self._place, place, side="right").astype(np.int64)

    def starts(self, keys: Ints) -> Ints:
        """The place of the first row of each key."""
        place = np.where(keys < 0, -1, keys * self._stride)
        return np.searchsorted(self._place, place, side="right").astype(np.int64)


def _encode(source: pl.DataFrame, key: list[str]) -> tuple[pl.Series, pl.DataFrame]:
    if not key:
        return pl.Series(np.zeros(source.height, dtype=np.int64)), pl.DataFrame({"code": [0]})
    table = source.select(key).unique(maintain_order=True).drop_nulls()
    table = table.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("code"))
    coded = source.select(key).join(table, on=key, how="left", maintain_order="left")
    return coded["code"].fill_null(-1), table
