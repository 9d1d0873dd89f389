"""Confidence sequences by the normal mixture: intervals that may be looked at every day.

A 95 % interval is right once. Looked at daily, some day it will exclude the truth by luck: in the study behind this
module, thirty naive looks promoted an equal model in 26 % of the runs. A confidence sequence holds at all times at
once, at the price of being wider (about 3 standard errors instead of 2 where it is tightest).

Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences (2021), and
Waudby-Smith et al.: Time-uniform central limit theory (2021) for the estimated variance used here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from homeostat.monitoring.interval import Interval, nothing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def sequence_width(information: float, tuned_for: float, level: float = 0.95) -> float:
    """How many standard errors wide the sequence is when `information` of `tuned_for` has been gathered.

    Both are in the same unit (rows, or days). It is narrowest near `tuned_for` and stays valid everywhere.

    >>> round(sequence_width(1000, tuned_for=1000), 2)
    3.04
    >>> sequence_width(10, tuned_for=1000) > 4
    True
    >>> sequence_width(0, tuned_for=1000)
    inf
    """
    if information <= 0:
        return math.inf
    alpha = 1.0 - level
    # (1 + 1/r)(ln(1+r) - 2 ln alpha) is least at this r: solved once by iteration, as ln r + 1 = r-ish has no closed
    # form
    best = _best_ratio(alpha)
    r = best * information / tuned_for
    return math.sqrt((1.0 + 1.0 / r) * (math.log1p(r) - 2.0 * math.log(alpha)))


def _best_ratio(alpha: float) -> float:
    r = 5.0
    for _ in range(50):  # stationarity of the squared width: r = ln(1 + r) - 2 ln alpha
        r = math.log1p(r) - 2.0 * math.log(alpha)
    return r


def mean_sequence(
    differences: NDArray[np.float64],
    tuned_for: int,
    level: float = 0.95,
    blocks: NDArray[np.int64] | None = None,
) -> Interval:
    """The mean of paired `differences` (n,) seen so far, with an interval valid at every look.

    `blocks` (n,) names what belongs together (the day, the entity): rows of one block are then counted as one
    observation, because rain delays all the flights of a day. `tuned_for` is the number of rows at which the interval
    should be tightest, chosen before looking. Fewer than two observations give an unbounded interval.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> seen = mean_sequence(rng.normal(0.1, 1.0, 4000), tuned_for=4000)
    >>> seen.lo > 0, seen.lo < 0.1 < seen.hi
    (True, True)
    """
    import numpy as np

    from homeostat.monitoring.blocks import block_numbers

    n = int(differences.size)
    if n < 2:
        return nothing(n)
    value = float(differences.mean())
    if blocks is None:
        se = float(differences.std(ddof=1)) / math.sqrt(n)
    else:
        block = block_numbers(blocks)
        k = int(block.max()) + 1
        if k < 2:
            return nothing(n)
        residual = np.bincount(block, weights=differences - value, minlength=k)
        # The cluster-robust variance alone is too small while there are few blocks; never believe less than the plain
        # one.
        clustered = math.sqrt(float(np.square(residual).sum()) * k / (k - 1)) / n
        se = max(clustered, float(differences.std(ddof=1)) / math.sqrt(n))
    width = sequence_width(n, tuned_for, level)
    return Interval(value, value - width * se, value + width * se, se, n)
