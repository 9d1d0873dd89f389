"""Concordant pairs counted by block: the table from which any block resample of an AUC is one small product.

An AUC is the share of (positive, negative) pairs ranked rightly. Count these pairs once per (block of the positive,
block of the negative): then the AUC of a resample that takes block d `w[d]` times is `w'Cw / (w'p · w'n)`.
Resampling days four hundred times costs four hundred products of a days × days matrix, and no sorting: the rows are
ranked once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS = 8_000_000  # of the running counts held at once: 64 MB


class Concordance(NamedTuple):
    """`pairs[d, e]`: a positive of block d above a negative of block e, ties one half; and class counts by block."""

    pairs: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]

    def auc(self) -> float:
        """The AUC of all blocks together; NaN when a class is missing.

        >>> y, s = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
        >>> concordance(y, s, np.array([0, 0, 0, 1])).auc()
        0.75
        """
        total = float(self.positives.sum() * self.negatives.sum())
        return float(self.pairs.sum()) / total if total else math.nan

    def resampled(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """AUCs (r,) of resamples that take each block `weights[r, d]` times; NaN where a class is missing."""
        with np.errstate(invalid="ignore", divide="ignore"):
            top = ((weights @ self.pairs) * weights).sum(axis=1)
            return top / ((weights @ self.positives) * (weights @ self.negatives))


def concordance(labels: ArrayLike, scores: ArrayLike, blocks: NDArray[np.int64]) -> Concordance:
    """Count pairs by block. `labels` (n,) 0/1, `scores` (n,), `blocks` (n,) integers 0..b-1. O(n log n + n b)."""
    b = int(blocks.max()) + 1 if blocks.size else 0
    positive = np.asarray(labels) > 0.5
    # Ranks of distinct scores: ties become equal integers, so "below" and "level with" are two lookups.
    _, level = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    levels = int(level.max()) + 1 if level.size else 0
    by_block = np.argsort(blocks[positive], kind="stable")
    pos_level, pos_block = level[positive][by_block], blocks[positive][by_block]
    edges = np.searchsorted(pos_block, np.arange(b + 1))
    neg_level, neg_block = level[~positive], blocks[~positive]
    pairs = np.zeros((b, b))
    step = max(1, _CELLS // max(levels, 1))
    for first in range(0, b, step):
        here = (neg_block >= first) & (neg_block < first + step)
        width = min(step, b - first)
        flat = neg_level[here] * width + (neg_block[here] - first)
        counts = np.bincount(flat, minlength=levels * width).reshape(levels, width)
        at_or_below = np.cumsum(counts, axis=0, dtype=np.float64)
        won = (at_or_below - counts / 2.0)[pos_level]  # (positives, width): negatives below, ties half
        for d in range(b):
            pairs[d, first : first + width] = won[edges[d] : edges[d + 1]].sum(axis=0)
    return Concordance(
        pairs,
        np.bincount(pos_block, minlength=b).astype(np.float64),
        np.bincount(neg_block, minlength=b).astype(np.float64),
    )
