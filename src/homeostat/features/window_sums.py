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


def counts(present: NDArray[np.bool_], begin: Ints, end: Ints) -> Ints:
    """How many of the rows begin..end-1 are `present`, for each window. `begin`, `end` are (n_windows,) places."""
    before = np.concatenate([[0], np.cumsum(present, dtype=np.int64)])
    return before[end] - before[begin]


def whole_sums(values: Ints, begin: Ints, end: Ints) -> Floats | None:
    """Exact sums of whole numbers; None when they might overflow 63 bits."""
    if values.size and float(np.abs(values).max()) * values.size >= 2**62:
        return None
    before = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return (before[end] - before[begin]).astype(np.float64)


def fraction_sums(values: Floats, keys: Ints, known: Ints, begin: Ints, end: Ints, length_ms: int) -> Floats:
    """Sums of the rows begin..end-1, all of one key and less than `length_ms` apart.

    `values`, `keys`, `known` are (n_rows,) in timeline order; missing values are 0 in `values`.
    """
    total = np.zeros(begin.size)
    some = np.flatnonzero(end > begin)
    if some.size == 0:
        return total
    tile = known // length_ms
    fresh = np.concatenate([[True], (keys[1:] != keys[:-1]) | (tile[1:] != tile[:-1])])
    segment = np.cumsum(fresh) - 1
    upto = pl.DataFrame({"s": segment, "v": values}).select(pl.col("v").cum_sum().over("s"))["v"].to_numpy()
    stop = np.concatenate([np.flatnonzero(fresh)[1:], [values.size]]) - 1
    first, last = begin[some], end[some] - 1
    skipped = np.where(fresh[first], 0.0, upto[first - 1])
    one = segment[first] == segment[last]
    # Where the window crosses a restart, the first part ends before `last`: it is complete by then.
    total[some] = np.where(one, upto[last] - skipped, (upto[stop[segment[first]]] - skipped) + upto[last])
    return total
