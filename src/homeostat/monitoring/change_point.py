"""Since when a series is of another level, if it is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

_SIDE = 7  # values on each side: a change is a new level, not a bad day


def change_point(values: ArrayLike, error: float = 0.01) -> int | None:
    """The index at which the mean of `values` (n,) changes, or None when no split stands out.

    The split with the largest standardised difference of means (CUSUM), believed when a permutation of the order
    reaches it in less than `error` of 499 seeded draws. Fewer than 14 values: None.

    >>> rng = np.random.default_rng(0)
    >>> abs(change_point(np.concatenate([rng.normal(0, 1, 40), rng.normal(2, 1, 40)])) - 40) <= 2
    True
    >>> change_point(rng.normal(0, 1, 80)) is None
    True
    """
    x = np.asarray(values, dtype=np.float64)
    n = x.size
    if n < 2 * _SIDE or not math.isfinite(float(x.std())) or x.std() == 0:
        return None
    rng = np.random.default_rng(0)
    shuffled = np.stack([x, *(rng.permutation(x) for _ in range(499))])
    left = np.arange(_SIDE, n - _SIDE + 1)
    sums = np.cumsum(shuffled - x.mean(), axis=1)[:, left - 1]
    height = np.abs(sums) / np.sqrt(left * (n - left) / n)
    reached = height.max(axis=1)
    if float((reached[1:] >= reached[0]).mean()) >= error:
        return None
    return int(left[int(height[0].argmax())])
