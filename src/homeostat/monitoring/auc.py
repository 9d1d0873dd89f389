"""Area under the ROC curve, with ties counted half and DeLong's standard error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.monitoring.interval import Interval, around, nothing, z


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks 1..n of `values` (n,), equal values sharing the mean of their ranks.

    >>> midranks(np.array([10.0, 20.0, 20.0, 30.0]))
    array([1. , 2.5, 2.5, 4. ])
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """The chance that a positive row scores above a negative one; a tie counts one half.

    `labels` (n,) are 0 or 1, `scores` (n,) any finite numbers. NaN when one of the classes is missing.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auc([0, 1], [0.5, 0.5])
    0.5
    """
    positive = np.asarray(labels) > 0.5
    ranks = midranks(np.asarray(scores, dtype=np.float64))
    p = int(positive.sum())
    n = positive.size - p
    if p == 0 or n == 0:
        return math.nan
    return float((ranks[positive].sum() - p * (p + 1) / 2.0) / (p * n))


def auc_interval(labels: ArrayLike, scores: ArrayLike, level: float = 0.95, width: float | None = None) -> Interval:
    """AUC with DeLong's interval; `width` (in standard errors) replaces the normal one, for repeated looks.

    The rows are taken as independent. Where they come in blocks (days of bad weather) use `auc_by_block`.
    DeLong, DeLong, Clarke-Pearson (1988), by midranks after Sun and Xu (2014): O(n log n).

    >>> rng = np.random.default_rng(1)
    >>> y = rng.random(4000) < 0.3
    >>> a = auc_interval(y, rng.normal(size=4000) + y)
    >>> a.lo < 0.7602 < a.hi, a.se < 0.01          # the truth is Phi(1/sqrt 2) = 0.7602
    (True, True)
    """
    positive = np.asarray(labels) > 0.5
    x = np.asarray(scores, dtype=np.float64)
    p = int(positive.sum())
    n = x.size - p
    if p < 2 or n < 2:
        return nothing(x.size)
    ranks = midranks(x)
    beaten = (ranks[positive] - midranks(x[positive])) / n  # share of negatives below each positive
    beating = 1.0 - (ranks[~positive] - midranks(x[~positive])) / p
    value = float(beaten.mean())
    se = math.sqrt(float(beaten.var(ddof=1)) / p + float(beating.var(ddof=1)) / n)
    return around(value, se, x.size, z(level) if width is None else width, 0.0, 1.0)
