"""Calibration error: how far a stated probability is from the share that comes true, with the noise taken out.

The usual expected calibration error is never zero: with 200 rows in a bin, a perfect model shows 0.03 by luck. Here
the variance of each bin's gap is subtracted before the root, so that a perfect model shows about zero whatever the
number of rows: the debiased root-mean-square estimator of Kumar, Liang, Ma (2019), with the variance counted by block
(day).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.monitoring.blocks import block_numbers
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
    blocks: ArrayLike | None = None,
    *,
    bins: int = 15,
    level: float = 0.90,
    width: float | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> Calibration:
    """Root mean square of (mean score - share positive) over bins of equal numbers of rows, noise removed.

    `labels` (n,) 0/1, `scores` (n,) probabilities. Without `blocks` rows are independent, and the error is that of
    these rows; with `blocks` (n,) it is that of the days they were drawn from, which is much less certain. Bins
    follow the scores' quantiles; with many equal scores there are fewer. The interval comes from `resamples` draws of
    the bins' gaps at `level`, or at the level of a normal `width`. Fewer than two blocks or twenty rows: unknown.

    >>> rng = np.random.default_rng(5)
    >>> p = rng.beta(2, 5, 20000); y = rng.random(20000) < p; day = np.arange(20000) // 1000
    >>> calibration_error(y, p, day).error.value < 0.01
    True
    >>> off = calibration_error(y, p + 0.06)
    >>> abs(off.error.value - 0.06) < 0.01, off.error.lo > 0.03, round(off.bias, 2)
    (True, True, 0.06)
    """
    y = (np.asarray(labels) > 0.5).astype(np.float64)
    p = np.asarray(scores, dtype=np.float64)
    block = np.arange(y.size) if blocks is None else block_numbers(blocks)
    b = int(block.max()) + 1 if block.size else 0
    if b < 2 or y.size < 20:
        empty = np.zeros(0)
        return Calibration(nothing(y.size), math.nan, empty, empty, np.zeros(0, np.int64))
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    where = np.searchsorted(edges, p, side="right")
    k = edges.size + 1
    n_bin = np.bincount(where, minlength=k).astype(np.float64)
    n_safe = np.maximum(n_bin, 1)
    gap = np.bincount(where, weights=p - y, minlength=k) / n_safe
    deviation = np.bincount(block * k + where, weights=(p - y) - gap[where], minlength=b * k).reshape(b, k)
    noise = np.square(deviation).sum(axis=0) * b / (b - 1) / np.square(n_safe)
    share = n_bin / n_bin.sum()
    square = float((share * (np.square(gap) - noise)).sum())
    rng = np.random.default_rng(seed)
    # Bins of one block move together: draw whole rows of the deviation table, as the bootstrap of blocks would.
    if blocks is not None:
        moved = rng.normal(size=(resamples, b)) @ deviation / n_safe * math.sqrt(b / (b - 1))
    else:
        moved = rng.normal(size=(resamples, k)) * np.sqrt(noise)
    # A draw's squared gap carries the noise twice: once from the data, once from the drawing.
    squares = (share * (np.square(gap + moved) - 2 * noise)).sum(axis=1)
    tail = (1.0 - level) / 2 if width is None else 1.0 - NormalDist().cdf(width)
    lo, hi = (_root(float(q)) for q in np.quantile(squares, [tail, 1.0 - tail]))
    value = _root(square)
    se = float(np.sqrt(np.maximum(squares, 0)).std(ddof=1))
    error = Interval(value, min(lo, value), max(hi, value), se, int(y.size))
    promised = np.bincount(where, weights=p, minlength=k) / n_safe
    happened = np.bincount(where, weights=y, minlength=k) / n_safe
    return Calibration(error, float((p - y).mean()), promised, happened, n_bin.astype(np.int64))


def _root(square: float) -> float:
    return math.sqrt(max(0.0, square))
