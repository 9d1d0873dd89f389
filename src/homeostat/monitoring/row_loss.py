"""Losses that are means over rows: log loss, Brier score, wrong calls. One number per row, so that models pair."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.monitoring.blocks import block_numbers
from homeostat.monitoring.interval import Interval, around, nothing, z

Rows = NDArray[np.float64]

_SURE = 1e-7  # a probability of exactly 0 or 1 that is wrong once would make the whole mean infinite


def log_losses(labels: ArrayLike, scores: ArrayLike) -> Rows:
    """Minus the log of the probability given to what happened, in nats, per row (n,). Scores stay 1e-7 from 0 and 1.

    >>> log_losses([1, 0], [0.5, 0.5]).round(4)
    array([0.6931, 0.6931])
    """
    p = np.clip(np.asarray(scores, dtype=np.float64), _SURE, 1.0 - _SURE)
    return -np.log(np.where(np.asarray(labels) > 0.5, p, 1.0 - p))


def brier_losses(labels: ArrayLike, scores: ArrayLike) -> Rows:
    """Squared distance of the probability from what happened, per row (n,), from 0 to 1. Brier (1950).

    >>> brier_losses([1, 0], [0.5, 0.5])
    array([0.25, 0.25])
    """
    return np.square(np.asarray(scores, dtype=np.float64) - (np.asarray(labels) > 0.5))


def wrong_calls(labels: ArrayLike, scores: ArrayLike) -> Rows:
    """1.0 where a threshold of one half calls the row wrongly, else 0.0, per row (n,).

    >>> wrong_calls([1, 0], [0.5, 0.6])
    array([0., 1.])
    """
    return ((np.asarray(scores) >= 0.5) != (np.asarray(labels) > 0.5)).astype(np.float64)


def absolute_errors(labels: ArrayLike, scores: ArrayLike) -> Rows:
    """Distance of a predicted number from the true one, per row (n,), in the label's unit.

    >>> absolute_errors([3.0], [1.0])
    array([2.])
    """
    return np.abs(np.asarray(scores, dtype=np.float64) - np.asarray(labels, dtype=np.float64))


LOSSES: dict[str, Callable[[ArrayLike, ArrayLike], Rows]] = {
    "logloss": log_losses,
    "brier": brier_losses,
    "error_rate": wrong_calls,
    "mae": absolute_errors,
}


def mean_by_block(values: Rows, blocks: ArrayLike, *, level: float = 0.90, width: float | None = None) -> Interval:
    """The mean of `values` (n,) with a standard error that counts blocks, not rows.

    Never surer than independent rows would allow. Fewer than two blocks: unknown.

    >>> rng = np.random.default_rng(4)
    >>> day = np.arange(3000) // 100
    >>> noisy_days = rng.normal(size=30)[day] + rng.normal(size=3000)
    >>> mean_by_block(noisy_days, day).se > 5 * mean_by_block(rng.normal(size=3000), day).se
    True
    """
    n = int(values.size)
    block = block_numbers(blocks)
    b = int(block.max()) + 1 if n else 0
    if b < 2:
        return nothing(n)
    value = float(values.mean())
    residual = np.bincount(block, weights=values - value, minlength=b)
    clustered = math.sqrt(float(np.square(residual).sum()) * b / (b - 1)) / n
    se = max(clustered, float(values.std(ddof=1)) / math.sqrt(n))
    return around(value, se, n, z(level) if width is None else width)
