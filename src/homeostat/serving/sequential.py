"""Comparing two versions that share live traffic, at as many moments as one likes.

A test at 5 % is right once; looked at every minute it raises a false alarm on almost every pair of equal versions. What
stands here stays valid however often it is looked at, and when one stops as soon as it looks decided.

- `race`: events that should be rare (errors, slow answers). Routes are drawn by hash, so with equal rates an event is
  the canary's with the probability of its weight. Exact, also for the first few events. After Lindon and Malek,
  Anytime-valid inference for multinomial count data (2020).
- `difference`: means. An asymptotic confidence sequence by the normal mixture: Waudby-Smith, Arbour, Sinha, Kennedy,
  Ramdas, Time-uniform central limit theory (2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from homeostat.core.records import Record

# How many times as likely an event may be: the alternatives that the race looks for, all at once.
_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
# Fewer observations in an arm say nothing about a mean: the theory is of large numbers.
MIN_ARM = 100


class Arm(Record):
    """What one version has shown: how many observations, their mean and variance."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of_share(cls, n: int, hits: int) -> Arm:
        """An arm of yes and no. One of each is added to the variance, so that no error yet is not certainty.

        >>> Arm.of_share(98, 0).mean, round(Arm.of_share(98, 0).variance, 4)
        (0.0, 0.0099)
        """
        guessed = (hits + 1) / (n + 2)
        return cls(n=n, mean=hits / n if n else 0.0, variance=guessed * (1 - guessed))


def race(segments: Iterable[tuple[int, int, float]], allowed: float = 1.0) -> float:
    """The evidence that events are more than `allowed` times as likely for the canary as for the champion.

    `segments` holds, for each stretch of time, the canary's events, all events, and the canary's weight. Evidence of
    1 / alpha or more, at any time, happens with probability at most alpha when the canary is not worse.

    >>> race([(10, 100, 0.1)]) < 1  # a tenth of the events at a tenth of the requests
    True
    >>> race([(9, 10, 0.1)]) > 1000
    True
    >>> race([]), race([(9, 10, 0.1)], allowed=100.0) < 10
    (1.0, True)
    """
    logs = [0.0] * len(_RATIOS)
    for own, total, weight in segments:
        if not 0 < weight < 1:
            continue  # with one version alone there is nothing to compare
        fair = _share(weight, allowed)
        for at, ratio in enumerate(_RATIOS):
            share = _share(weight, allowed * ratio)
            logs[at] += own * math.log(share / fair) + (total - own) * math.log((1 - share) / (1 - fair))
    highest = max(logs)
    return math.exp(min(highest, 700.0)) * sum(math.exp(each - highest) for each in logs) / len(logs)


def difference(arm: Arm, baseline: Arm, alpha: float, tuned_for: int = 5000) -> tuple[float, float]:
    """An interval for arm minus baseline that covers the truth at all times at once with probability 1 - `alpha`.

    It is tightest near `tuned_for` observations of both together. Unbounded while an arm has fewer than `MIN_ARM`.

    >>> lo, hi = difference(Arm.of_share(10_000, 7_800), Arm.of_share(10_000, 8_200), alpha=0.05)
    >>> lo < -0.04 < hi < 0
    True
    >>> difference(Arm.of_share(9, 0), Arm.of_share(900, 0), alpha=0.05)
    (-inf, inf)
    """
    if min(arm.n, baseline.n) < MIN_ARM:
        return -math.inf, math.inf
    seen = arm.n + baseline.n
    spent = -2.0 * math.log(alpha)
    information = seen * (spent + math.log1p(spent)) / tuned_for
    width = math.sqrt((1 + 1 / information) * (math.log1p(information) + spent))
    wide = width * math.sqrt(arm.variance / arm.n + baseline.variance / baseline.n)
    middle = arm.mean - baseline.mean
    return middle - wide, middle + wide


def _share(weight: float, ratio: float) -> float:
    """The canary's share of the events when one of its requests is `ratio` times as likely to be one."""
    return weight * ratio / (weight * ratio + 1 - weight)
