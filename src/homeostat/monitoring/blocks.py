"""Rows that belong together: a day's flights share its weather, so a day is drawn whole or not at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def block_numbers(blocks: ArrayLike) -> NDArray[np.int64]:
    """Blocks named by anything sortable, as 0..b-1 in sorted order.

    >>> block_numbers([7, 7, 3, 9])
    array([1, 1, 0, 2])
    """
    return np.unique(np.asarray(blocks), return_inverse=True)[1].astype(np.int64)


def block_weights(blocks: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each block is drawn in each bootstrap draw: (resamples, blocks), rows sum to `blocks`.

    >>> block_weights(5, 2, seed=0).sum(axis=1)
    array([5., 5.])
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=resamples).astype(np.float64)
