"""Is one model's AUC better than another's on the same rows? A paired bootstrap over blocks (days)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from homeostat.monitoring.blocks import block_numbers, block_weights
from homeostat.monitoring.concordance import concordance
from homeostat.monitoring.interval import Interval, nothing, z


class AucGap(NamedTuple):
    """Two models on the same rows. `gap` is challenger minus champion, with its bootstrap interval."""

    champion: float
    challenger: float
    gap: Interval
    p_not_better: float
    blocks: int


def auc_gap(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    blocks: ArrayLike,
    *,
    level: float = 0.90,
    resamples: int = 1000,
    seed: int = 0,
    width: float | None = None,
) -> AucGap:
    """The gap `AUC(challenger) - AUC(champion)` on rows both have scored, resampling whole blocks.

    `labels` (n,) 0/1; `champion` and `challenger` (n,) scores; `blocks` (n,) what belongs together, usually
    the day. The interval is the percentile one at `level`, or the value ± `width` standard errors when a width is
    given (for a gap that is looked at repeatedly, see `sequence_width`). Standard errors carry the factor
    sqrt(b/(b-1)) for b blocks, without which a fortnight of days would look 4 % surer than it is. `p_not_better` is
    the share of resamples without a gain. Same input and seed, same answer. Fewer than two blocks, or one class only:
    the gap is unknown.

    >>> rng = np.random.default_rng(2)
    >>> y = (rng.random(3000) < 0.3).astype(int); day = np.arange(3000) // 100
    >>> weak = rng.normal(size=3000) + 0.8 * y; strong = weak + 0.6 * y
    >>> found = auc_gap(y, weak, strong, day)
    >>> found.gap.lo > 0.05, found.gap.value == found.challenger - found.champion, found.blocks
    (True, True, 30)
    """
    y = np.asarray(labels)
    day = block_numbers(blocks)
    old = concordance(y, np.asarray(champion, dtype=np.float64), day)
    new = concordance(y, np.asarray(challenger, dtype=np.float64), day)
    b = int(old.positives.size)
    before, after = old.auc(), new.auc()
    if b < 2 or math.isnan(before):
        return AucGap(before, after, nothing(y.size), math.nan, b)
    weights = block_weights(b, resamples, seed)
    draws = new.resampled(weights) - old.resampled(weights)
    draws = draws[~np.isnan(draws)]
    if draws.size < resamples // 2:
        return AucGap(before, after, nothing(y.size), math.nan, b)
    gap = after - before
    small = math.sqrt(b / (b - 1))
    se = float(draws.std(ddof=1)) * small
    if width is None:
        lo, hi = (float(q) for q in np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2]))
        lo, hi = gap + (lo - gap) * small, gap + (hi - gap) * small
    else:
        lo, hi = gap - width * se, gap + width * se
    return AucGap(before, after, Interval(gap, lo, hi, se, int(y.size)), float((draws <= 0).mean()), b)


def auc_by_block(
    labels: ArrayLike,
    scores: ArrayLike,
    blocks: ArrayLike,
    *,
    level: float = 0.90,
    resamples: int = 1000,
    seed: int = 0,
    width: float | None = None,
) -> Interval:
    """AUC of one model, its standard error from resampled blocks: honest where rows of a day move together.

    `width` replaces the normal quantile of `level`. The whole AUC counts pairs across blocks, as what is watched
    does.

    >>> rng = np.random.default_rng(3)
    >>> y = rng.random(2000) < 0.3
    >>> a = auc_by_block(y, rng.normal(size=2000) + y, np.arange(2000) // 100)
    >>> a.lo < 0.76 < a.hi
    True
    """
    y = np.asarray(labels)
    counted = concordance(y, np.asarray(scores, dtype=np.float64), block_numbers(blocks))
    value, b = counted.auc(), int(counted.positives.size)
    if b < 2 or math.isnan(value):
        return nothing(y.size)
    draws = counted.resampled(block_weights(b, resamples, seed))
    draws = draws[~np.isnan(draws)]
    if draws.size < resamples // 2:
        return nothing(y.size)
    se = float(draws.std(ddof=1)) * math.sqrt(b / (b - 1))
    half = (z(level) if width is None else width) * se
    return Interval(value, max(0.0, value - half), min(1.0, value + half), se, int(y.size))
