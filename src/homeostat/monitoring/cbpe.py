"""Quality before the labels arrive: confidence-based performance estimation (CBPE) in closed form.

If a calibrated model says 0.3, three rows in ten will be positive; so the expected value of any confusion count is a
sum of probabilities, and the expected AUC a sum over the sorted scores. No simulation is needed: one sort. The
estimate assumes that what a score *means* has not changed. It sees easier or harder rows coming; it cannot see that
the world answers differently now (concept drift). Always show it beside its own track record.

NannyML documentation; Białek et al.: Estimating model performance under covariate shift without labels (2024).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.monitoring.isotonic import Isotonic, isotonic


class Expected(NamedTuple):
    """What a window's quality should be if the scores still mean what they meant on the reference."""

    auc: float
    accuracy: float
    brier: float
    positive_share: float
    n: int


def calibrator(labels: ArrayLike, scores: ArrayLike) -> Isotonic:
    """The curve from a score to the share of positives, learnt on labelled reference rows."""
    return isotonic(scores, np.asarray(labels) > 0.5)


def expected_auc(probabilities: ArrayLike, scores: ArrayLike) -> float:
    """Expected AUC of `scores` (n,) when row i is positive with `probabilities[i]`, independently.

    The ratio of the expected number of rightly ordered pairs (ties one half) to that of all pairs. NaN when no pair is
    expected.

    >>> round(expected_auc([0.1, 0.9], [0.1, 0.9]), 3)      # 0.81 right against 0.01 wrong
    0.988
    """
    p = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(np.asarray(scores), kind="stable")
    p = p[order]
    level = np.unique(np.asarray(scores)[order], return_inverse=True)[1]
    up, down = np.bincount(level, weights=p), np.bincount(level, weights=1.0 - p)
    same = np.bincount(level, weights=p * (1.0 - p))  # a row does not pair with itself
    below = np.cumsum(down) - down
    right = float((up * (below + down / 2.0)).sum() - same.sum() / 2.0)
    pairs = float(p.sum() * (1.0 - p).sum() - (p * (1.0 - p)).sum())
    return right / pairs if pairs > 0 else math.nan


def expected_quality(scores: ArrayLike, curve: Isotonic) -> Expected:
    """Expected AUC, accuracy (threshold one half), Brier score and share of positives of unlabelled `scores` (n,).

    >>> rng = np.random.default_rng(6)
    >>> p = rng.beta(1, 3, 20000); y = rng.random(20000) < p
    >>> from homeostat.monitoring.auc import auc
    >>> seen, later = slice(0, 10000), slice(10000, None)
    >>> guess = expected_quality(p[later], calibrator(y[seen], p[seen]))
    >>> abs(guess.auc - auc(y[later], p[later])) < 0.01
    True
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.size == 0:
        return Expected(math.nan, math.nan, math.nan, math.nan, 0)
    p: NDArray[np.float64] = curve(x)
    return Expected(
        auc=expected_auc(p, x),
        accuracy=float(np.where(x >= 0.5, p, 1.0 - p).mean()),
        brier=float((p * np.square(1.0 - x) + (1.0 - p) * np.square(x)).mean()),
        positive_share=float(p.mean()),
        n=int(x.size),
    )
