"""Calibration error: how far a stated probability is from the share that comes true, with the noise taken out.

The usual expected calibration error is never zero: with 200 rows in a bin, a perfect model shows 0.03 by luck. Here
the variance of each bin's gap is subtracted before the root, so that a perfect model shows about zero whatever the
number of rows: the debiased root-mean-square estimator of Kumar, Liang, Ma (2019), with the variance counted by block
(day).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.monitoring.blocks import block_numbers, block_weights
from homeostat.monitoring.interval import Interval, nothing


class Calibration(NamedTuple):
    """The error with its interval; the mean of score minus label (plus: it promises too much); and the bins (b,)."""

    error: Interval
    bias: float
    promised: NDArray[np.float64]
    happened: NDArray[np.float64]
    rows: NDArray[np.int64]


def calibration_error(
    labels: ArrayLike,
    scores: ArrayLike,
    blocks: ArrayLike,
    *,
    bins: int = 15,
    level: float = 0.90,
    resamples: int = 400,
    seed: int = 0,
) -> Calibration:
    """Root mean square of (mean score - share positive) over bins of equal numbers of rows, noise removed.

    `labels` (n,) 0/1, `scores` (n,) probabilities, `blocks` (n,) what belongs together. Bins follow the scores'
    quantiles; with many equal scores there are fewer of them. The interval is the bootstrap's over blocks, centred on
    the debiased value. Fewer than two blocks or twenty rows: unknown.

    >>> rng = np.random.default_rng(5)
    >>> p = rng.beta(2, 5, 20000); y = rng.random(20000) < p; day = np.arange(20000) // 1000
    >>> calibration_error(y, p, day).error.value < 0.01
    True
    >>> off = calibration_error(y, p + 0.06, day)
    >>> abs(off.error.value - 0.06) < 0.01, off.error.lo > 0.03, round(off.bias, 2)
    (True, True, 0.06)
    """
    y = (np.asarray(labels) > 0.5).astype(np.float64)
    p = np.asarray(scores, dtype=np.float64)
    block = block_numbers(blocks)
    b = int(block.max()) + 1 if block.size else 0
    if b < 2 or y.size < 20:
        empty = np.zeros(0)
        return Calibration(nothing(y.size), math.nan, empty, empty, np.zeros(0, np.int64))
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    where = np.searchsorted(edges, p, side="right")
    k = edges.size + 1

    def by_block(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(block * k + where, weights=values, minlength=b * k).astype(np.float64).reshape(b, k)

    gaps, rows = by_block(p - y), by_block(np.ones_like(p))
    n_bin = rows.sum(axis=0)
    gap = gaps.sum(axis=0) / np.maximum(n_bin, 1)
    noise = np.square(gaps - rows * gap).sum(axis=0) * b / (b - 1) / np.square(np.maximum(n_bin, 1))
    share = n_bin / n_bin.sum()
    square = float((share * (np.square(gap) - noise)).sum())

    weights = block_weights(b, resamples, seed)
    drawn = weights @ rows
    drawn_gap = (weights @ gaps) / np.maximum(drawn, 1)
    # A resample's squared gap carries the noise twice: once from the data, once from the drawing.
    squares = (drawn / drawn.sum(axis=1, keepdims=True) * (np.square(drawn_gap) - 2 * noise)).sum(axis=1)
    lo, hi = (_root(float(q)) for q in np.quantile(squares, [0.5 - level / 2, 0.5 + level / 2]))
    value = _root(square)
    error = Interval(value, min(lo, value), max(hi, value), float(np.sqrt(np.maximum(squares, 0)).std(ddof=1)), y.size)
    promised, happened = (by_block(v).sum(axis=0) / np.maximum(n_bin, 1) for v in (p, y))
    return Calibration(error, float((p - y).mean()), promised, happened, n_bin.astype(np.int64))


def _root(square: float) -> float:
    return math.sqrt(max(0.0, square))
