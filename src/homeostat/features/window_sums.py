"""Sums over windows from prefix sums, such that no sum depends on a row that comes after its window.

Whole numbers are summed exactly. Sums of fractions depend on the order of the additions, so their prefix sums restart
at every multiple of the window's length: a window then touches two restarts at most, an error cannot travel further
than two lengths, and a value that is changed later cannot reach back, to the last bit.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Counts:
    """How many rows are `present` (n_rows,) in a window."""

    def __init__(self, present: NDArray[np.bool_]) -> None:
        self._before = np.concatenate([[0], np.cumsum(present, dtype=np.int64)])

    def between(self, begin: Ints, end: Ints) -> Ints:
        """Of the rows begin..end-1, for each window; `begin`, `end` are (n_windows,) places."""
        return self._before[end] - self._before[begin]


class Wholes:
    """Exact sums of whole numbers (n_rows,)."""

    def __init__(self, values: Ints) -> None:
        self._before = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])

    def between(self, begin: Ints, end: Ints) -> Floats:
        """Of the rows begin..end-1, for each window."""
        return (self._before[end] - self._before[begin]).astype(np.float64)


def wholes(values: Ints) -> Wholes | None:
    """Their sums; None when these might overflow 63 bits."""
    return None if values.size and float(np.abs(values).max()) * values.size >= 2**62 else Wholes(values)


class Fractions:
    """Sums of rows that are all of one key and less than `length_ms` apart.

    `values`, `keys`, `known` are (n_rows,) in timeline order; missing values are 0 in `values`.
    """

    def __init__(self, values: Floats, keys: Ints, known: Ints, length_ms: int) -> None:
        tile = known // length_ms
        some = values.size > 0
        fresh = np.concatenate([[True] if some else [], (keys[1:] != keys[:-1]) | (tile[1:] != tile[:-1])]).astype(bool)
        self._fresh = fresh
        self._segment = np.cumsum(fresh) - 1
        frame = pl.DataFrame({"s": self._segment, "v": values})
        self._upto = frame.select(pl.col("v").cum_sum().over("s"))["v"].to_numpy()
        self._stop = np.concatenate([np.flatnonzero(fresh)[1:], [values.size]]).astype(np.int64) - 1

    def between(self, begin: Ints, end: Ints) -> Floats:
        """Of the rows begin..end-1, for each window."""
        total = np.zeros(begin.size)
        some = np.flatnonzero(end > begin)
        if some.size == 0:
            return total
        upto, segment = self._upto, self._segment
        first, last = begin[some], end[some] - 1
        skipped = np.where(self._fresh[first], 0.0, upto[first - 1])
        one = segment[first] == segment[last]
        # Where the window crosses a restart, the first part ends before `last`: it is complete by then.
        crossing = (upto[self._stop[segment[first]]] - skipped) + upto[last]
        total[some] = np.where(one, upto[last] - skipped, crossing)
        return total
