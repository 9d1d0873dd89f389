"""How much of a distribution moved: the share of rows that would have to change, with the sampling noise taken out."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]


class Effect(NamedTuple):
    """`observed` total variation (0 to 1) and `lower`, what is left of it when luck is subtracted."""

    observed: float
    lower: float


def total_variation(reference: Counts, current: Counts) -> float:
    """Half the summed difference of shares: 0 for equal distributions, 1 for disjoint ones. Counts (k,) of equal bins.

    >>> round(total_variation(np.array([50.0, 50.0]), np.array([40.0, 60.0])), 6)
    0.1
    """
    n, m = float(reference.sum()), float(current.sum())
    if n == 0 or m == 0:
        return 0.0
    return float(np.abs(reference / n - current / m).sum()) / 2.0


def effect(reference: Counts, current: Counts, sureness: float = 2.33) -> Effect:
    """Total variation and its lower bound `sqrt(tv^2 - e0^2) - sureness * sd0`, never below 0.

    `e0` and `sd0` are the mean and deviation it would have by luck alone for these two sample sizes, in closed
    form: each bin's difference is nearly normal with variance p(1-p)(1/n + 1/m), and the mean of |normal| is sigma
    sqrt(2/pi).

    >>> same = effect(np.array([500.0, 500.0]), np.array([240.0, 260.0]))
    >>> round(same.observed, 2), same.lower
    (0.02, 0.0)
    >>> effect(np.array([5000.0, 5000.0]), np.array([4000.0, 6000.0])).lower > 0.07
    True
    """
    n, m = float(reference.sum()), float(current.sum())
    if n == 0 or m == 0:
        return Effect(0.0, 0.0)
    p = (reference + current) / (n + m)
    variance = p * (1.0 - p) * (1.0 / n + 1.0 / m)
    e0 = float(np.sqrt(variance).sum()) * math.sqrt(2.0 / math.pi) / 2.0
    sd0 = math.sqrt(float(variance.sum()) * (1.0 - 2.0 / math.pi)) / 2.0
    seen = total_variation(reference, current)
    return Effect(seen, max(0.0, math.sqrt(max(0.0, seen * seen - e0 * e0)) - sureness * sd0))
