"""A share of rows with its interval: errors, missing values, anything counted as yes or no."""

from __future__ import annotations

import math

from homeostat.monitoring.interval import Interval, nothing, z


def share_interval(hits: int, n: int, level: float = 0.90, width: float | None = None) -> Interval:
    """`hits` of `n` rows with Wilson's interval (1927), which stays inside 0..1 and works for 0 hits.

    >>> share = share_interval(0, 3000)
    >>> share.value, share.lo, share.hi < 0.001
    (0.0, 0.0, True)
    """
    if n <= 0:
        return nothing()
    t = z(level) if width is None else width
    p = hits / n
    centre = (p + t * t / (2 * n)) / (1 + t * t / n)
    half = t / (1 + t * t / n) * math.sqrt(p * (1 - p) / n + t * t / (4 * n * n))
    lo, hi = (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == n else min(1.0, centre + half))
    return Interval(p, lo, hi, math.sqrt(p * (1 - p) / n), n)
