"""A quantile with an interval that assumes nothing about the distribution: latency p99."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from homeostat.monitoring.interval import Interval, nothing, z


def quantile_interval(values: ArrayLike, q: float, level: float = 0.90, width: float | None = None) -> Interval:
    """The `q` quantile (0 < q < 1) of `values` (n,), between two order statistics.

    The number of values below the true quantile is binomial; its normal bounds give the two ranks. With few values the
    upper rank falls off the end and the bound is the largest value seen.

    >>> seen = quantile_interval(np.arange(1.0, 1001.0), 0.99)
    >>> seen.value, seen.lo, seen.hi
    (990.0, 984.0, 996.0)
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = int(x.size)
    if n == 0:
        return nothing()
    t = z(level) if width is None else width
    half = t * math.sqrt(n * q * (1.0 - q))
    at = max(1, math.ceil(n * q))
    lo = max(1, math.floor(n * q - half))
    hi = min(n, math.ceil(n * q + half))
    return Interval(float(x[at - 1]), float(x[lo - 1]), float(x[hi - 1]), math.nan, n)
