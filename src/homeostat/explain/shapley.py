"""Shapley values of any function of a row, by asking it: what a feature adds, whatever came before it.

A feature that is not there yet has the value it has in a row of the background, in each of them in turn (the
interventional values of Janzing et al., 2020). Of few features all orders are weighed (Shapley, 1953); of many some are
drawn, each with its reverse (Mitchell et al., 2022). Either way they add up to what is to be told: the answer to the
row, less the mean of those to the background.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Of so many features all orders are weighed; so many orders are drawn for each row of the background, with more.
_FEW, _ORDERS = 8, 4
# So many rows of the background are compared with, and so many rows are asked of at once, about.
MOST_BACKGROUND, _ROWS = 100, 20_000

Predict = Callable[[pl.DataFrame], NDArray[np.float64]]


def shapley(predict: Predict, row: pl.DataFrame, background: pl.DataFrame) -> tuple[NDArray[np.float64], float]:
    """What each column of `row`, a table of one row, adds to `predict` of it; and the mean over the background.

    `predict` gives a number for each row. The same arguments give the same values: orders are drawn by a fixed seed.

    >>> row, background = pl.DataFrame({"a": [2.0], "b": [1.0]}), pl.DataFrame({"a": [0.0, 1.0], "b": [1.0, 1.0]})
    >>> shapley(lambda rows: (3 * rows["a"] + rows["b"]).to_numpy(), row, background)
    (array([4.5, 0. ]), 2.5)
    """
    background = background.select(row.columns).head(MOST_BACKGROUND)
    asked = _Asked(predict, row, background)
    values = _of_all_orders(asked) if row.width <= _FEW else _of_some_orders(asked)
    return values, float(asked.base())


class _Asked:
    def __init__(self, predict: Predict, row: pl.DataFrame, background: pl.DataFrame) -> None:
        self._predict, self._row, self._background = predict, row, background
        self.width, self.height = row.width, background.height

    def base(self) -> float:
        return float(np.mean(self._predict(self._background)))

    def answers(self, there: NDArray[np.bool_], beside: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each of `beside`, rows of the background, with the features of the row that are `there`: [n, features]."""
        columns: list[pl.Expr] = []
        for at, (name, dtype) in enumerate(self._background.schema.items()):
            own = pl.lit(self._row[name].first(), dtype)
            columns.append(pl.when(pl.Series(there[:, at])).then(own).otherwise(pl.col(name)).alias(name))
        mixed = self._background[beside].with_columns(columns)
        return np.asarray(self._predict(mixed), dtype=np.float64)


def _of_all_orders(asked: _Asked) -> NDArray[np.float64]:
    width, height = asked.width, asked.height
    sets = (np.arange(2**width)[:, None] >> np.arange(width)) & 1 == 1
    beside = np.tile(np.arange(height), len(sets))
    worth = asked.answers(np.repeat(sets, height, axis=0), beside).reshape(len(sets), height).mean(axis=1)
    sizes = sets.sum(axis=1)
    weights = np.array([factorial(n) * factorial(width - n - 1) for n in range(width)]) / factorial(width)
    values = np.zeros(width)
    for feature in range(width):
        without = np.flatnonzero(~sets[:, feature])
        values[feature] = np.sum(weights[sizes[without]] * (worth[without | (1 << feature)] - worth[without]))
    return values


def _of_some_orders(asked: _Asked) -> NDArray[np.float64]:
    width, height = asked.width, asked.height
    lot, values, steps = np.random.default_rng(0), np.zeros(width), np.arange(width + 1)
    at_once = max(1, _ROWS // (_ORDERS * (width + 1)))
    for start in range(0, height, at_once):
        others = np.arange(start, min(start + at_once, height))
        drawn = np.stack([lot.permutation(width) for _ in range(len(others) * _ORDERS // 2)])
        orders = np.concatenate([drawn, drawn[:, ::-1]])
        # In which place each feature comes: of the first none is there, of the last all are.
        there = np.argsort(orders, axis=1)[:, None, :] < steps[None, :, None]
        beside = np.repeat(np.tile(others, _ORDERS), width + 1)
        worth = asked.answers(there.reshape(-1, width), beside).reshape(len(orders), width + 1)
        np.add.at(values, orders, np.diff(worth, axis=1))
    return values / (height * _ORDERS)
