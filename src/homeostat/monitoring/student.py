"""Intervals for standard errors that were themselves estimated from few blocks."""

from __future__ import annotations

import math
from statistics import NormalDist


def widened(width: float, blocks: int) -> float:
    """A normal `width` (in standard errors) as Student's t needs it when the error comes from so many `blocks`.

    Fourteen days give a standard error that is itself uncertain: what 3.0 normal errors promise takes 3.9 of those.
    The quantile by the Cornish-Fisher series to the fourth power of 1/(blocks - 1); within 2 % from seven blocks and
    widths to 3.5, a little too narrow below. Infinite below two blocks.

    >>> round(widened(1.96, 14), 2), round(widened(1.96, 1000), 2), widened(1.96, 1)
    (2.16, 1.96, inf)
    """
    if blocks < 2 or math.isinf(width):
        return math.inf
    z, v = width, float(blocks - 1)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / v + second / v**2 + third / v**3 + fourth / v**4


def spent(offers_before: int, error: float = 0.05) -> float:
    """The width (in normal standard errors) of the next test when `error` is to cover every test there will ever be.

    Test k gets the share 6/(pi k)^2 of `error`; the shares add up to it, so whatever the tests share (windows,
    challengers, looks), the chance that any of them is fooled stays below `error`. One-sided: for claims of one
    direction, such as "better".

    >>> [round(spent(k), 2) for k in (0, 1, 9, 99)]
    [1.88, 2.43, 3.43, 4.52]
    """
    k = offers_before + 1
    return NormalDist().inv_cdf(1.0 - error * 6.0 / (math.pi * k) ** 2)
