"""Isotonic regression: the non-decreasing curve closest to the data, by pooling neighbours that are out of order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Isotonic(NamedTuple):
    """A non-decreasing step curve: `heights` at `knots` (k,), straight lines between, flat outside."""

    knots: NDArray[np.float64]
    heights: NDArray[np.float64]

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """The curve at `x` (n,)."""
        return np.interp(np.asarray(x, dtype=np.float64), self.knots, self.heights)


def isotonic(x: ArrayLike, y: ArrayLike) -> Isotonic:
    """Fit `y` (n,) as a non-decreasing function of `x` (n,). n must be at least 1.

    Pool adjacent violators (Ayer et al. 1955) on the means at distinct `x`; O(n log n).

    >>> curve = isotonic([1, 2, 3, 4], [0, 1, 0, 1])
    >>> curve([1, 2, 3, 4])
    array([0. , 0.5, 0.5, 1. ])
    """
    knots, inverse, counts = np.unique(np.asarray(x, dtype=np.float64), return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=np.asarray(y, dtype=np.float64)) / counts
    height: list[float] = []
    weight: list[float] = []
    size: list[int] = []
    for mean, count in zip(means.tolist(), counts.tolist(), strict=True):
        height.append(mean)
        weight.append(float(count))
        size.append(1)
        while len(height) > 1 and height[-2] >= height[-1]:
            h, w, s = height.pop(), weight.pop(), size.pop()
            height[-1] = (height[-1] * weight[-1] + h * w) / (weight[-1] + w)
            weight[-1] += w
            size[-1] += s
    last = np.cumsum(size) - 1
    first = last - np.asarray(size) + 1
    ends = np.unique(np.concatenate([first, last]))  # a flat piece needs its two ends only
    return Isotonic(knots[ends], np.repeat(height, size)[ends])
