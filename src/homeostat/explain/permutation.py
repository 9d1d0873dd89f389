"""Permutation importance: how far predictions move when one feature's values change hands among the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl


def permutation(
    predict: Callable[[pl.DataFrame], Any], rows: pl.DataFrame, columns: list[str], repeats: int = 3
) -> dict[str, float]:
    """For each column the mean of |prediction after - before| over rows and `repeats` shuffles.

    For several outputs the mean over them. Each column's shuffles follow from its name and the number of rows, so the
    figures are the same on every machine and do not depend on the other columns. One row gives 0 everywhere;
    a prediction that is no number counts as unmoved.

    The idea is Breiman's (Random Forests, 2001), without labels: the change of the answer instead of its loss.

    >>> rows = pl.DataFrame({"used": [0.0, 1.0, 2.0, 3.0], "unused": [5.0, 6.0, 7.0, 8.0]})
    >>> found = permutation(lambda frame: frame["used"].to_numpy() * 10, rows, rows.columns)
    >>> found["used"] > 0, found["unused"]
    (True, 0.0)
    """
    before = np.asarray(predict(rows), dtype=np.float64)
    found: dict[str, float] = {}
    for column in columns:
        seed = int.from_bytes(hashlib.sha256(f"{column}/{rows.height}".encode()).digest()[:8], "big")
        lot = np.random.default_rng(seed)
        moved = 0.0
        for _ in range(repeats):
            shuffled = rows.with_columns(rows[column].gather(lot.permutation(rows.height)))
            after = np.asarray(predict(shuffled), dtype=np.float64)
            moved += float(np.mean(np.nan_to_num(np.abs(after - before), nan=0.0, posinf=0.0)))
        found[column] = moved / repeats
    return found
