"""A number with how sure we are of it: what every measure here returns."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from homeostat.core.errors import InvalidInput


class Interval(NamedTuple):
    """A measured value, the interval around it, its standard error and how many rows it rests on.

    `value` is NaN where nothing can be said (no rows, one class only); then `lo` and `hi` are
    minus and plus infinity, so that every comparison with a limit answers "cannot tell".
    """

    value: float
    lo: float
    hi: float
    se: float
    n: int

    @property
    def known(self) -> bool:
        """False when there was nothing to measure."""
        return not math.isnan(self.value)


def nothing(n: int = 0) -> Interval:
    """The interval of somebody who has seen nothing.

    >>> nothing().known
    False
    """
    return Interval(math.nan, -math.inf, math.inf, math.inf, n)


def around(value: float, se: float, n: int, width: float, low: float = -math.inf, high: float = math.inf) -> Interval:
    """`value ± width·se`, cut to the range the measure can take.

    >>> around(0.99, 0.01, 500, width=2.0, high=1.0)
    Interval(value=0.99, lo=0.97, hi=1.0, se=0.01, n=500)
    """
    return Interval(value, max(low, value - width * se), min(high, value + width * se), se, n)


def z(level: float) -> float:
    """Two-sided standard normal quantile of a confidence `level` between 0 and 1.

    Raises: InvalidInput for another level.

    >>> round(z(0.95), 2), round(z(0.90), 3)
    (1.96, 1.645)
    """
    if not 0.0 < level < 1.0:
        raise InvalidInput(f"level={level} is no confidence level", hint="between 0 and 1, such as 0.9")
    return NormalDist().inv_cdf(0.5 + level / 2.0)
