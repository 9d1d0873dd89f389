"""Quality per slice (carrier, origin …), with intervals that allow for how many slices are looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.monitoring.auc import auc_interval
from homeostat.monitoring.auc_gap import auc_gap
from homeostat.monitoring.interval import Interval


class Slice(NamedTuple):
    """One level of the slicing column and its measured value."""

    level: str
    value: Interval


def eligible(
    labels: NDArray[np.float64], by: NDArray[np.str_], min_rows: int, min_each: int
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Levels of `by` (n,) with enough rows, and at least `min_each` positives and negatives; with their masks.

    >>> y = np.array([0.0, 1.0] * 50 + [1.0] * 9); by = np.array(["AA"] * 100 + ["ZZ"] * 9)
    >>> [name for name, _ in eligible(y, by, min_rows=5, min_each=2)]
    ['AA']
    """
    found: list[tuple[str, NDArray[np.bool_]]] = []
    for name in np.unique(by):
        here = by == name
        rows = int(here.sum())
        positives = int((labels[here] > 0.5).sum())
        if rows >= min_rows and min(positives, rows - positives) >= min_each:
            found.append((str(name), here))
    return found


def auc_by_slice(
    labels: ArrayLike,
    scores: ArrayLike,
    by: ArrayLike,
    *,
    min_rows: int = 200,
    min_each: int = 30,
    level: float = 0.90,
) -> list[Slice]:
    """AUC of every slice large enough, worst first. The error `1 - level` is shared among the slices (Bonferroni).

    >>> rng = np.random.default_rng(7)
    >>> y = rng.random(3000) < 0.4; by = np.repeat(["good", "bad"], 1500)
    >>> s = rng.normal(size=3000) + np.where(by == "good", 1.5, 0.0) * y
    >>> [one.level for one in auc_by_slice(y, s, by)]
    ['bad', 'good']
    """
    y, x, column = np.asarray(labels, dtype=np.float64), np.asarray(scores), np.asarray(by, dtype=np.str_)
    kept = eligible(y, column, min_rows, min_each)
    each = 1.0 - (1.0 - level) / max(1, len(kept))
    found = [Slice(name, auc_interval(y[here], x[here], level=each)) for name, here in kept]
    return sorted(found, key=lambda one: (one.value.value, one.level))


def auc_gap_by_slice(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    by: ArrayLike,
    blocks: ArrayLike,
    *,
    min_rows: int = 200,
    min_each: int = 30,
    level: float = 0.90,
    seed: int = 0,
) -> list[Slice]:
    """Challenger minus champion in every slice large enough, worst first, the error shared among the slices."""
    y, old, new = np.asarray(labels, dtype=np.float64), np.asarray(champion), np.asarray(challenger)
    column, day = np.asarray(by, dtype=np.str_), np.asarray(blocks)
    kept = eligible(y, column, min_rows, min_each)
    each = 1.0 - (1.0 - level) / max(1, len(kept))
    found = [
        Slice(name, auc_gap(y[here], old[here], new[here], day[here], level=each, resamples=400, seed=seed).gap)
        for name, here in kept
    ]
    return sorted((one for one in found if one.value.known), key=lambda one: (one.value.value, one.level))
