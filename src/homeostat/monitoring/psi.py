"""Population stability index: shown because people know it, never a trigger (it fires in the quiet month)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def psi(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Symmetric relative entropy of two binned distributions, counts (k,); half a row is added to each bin.

    The folk limits are 0.1 "look" and 0.2 "moved"; they know nothing of sample size or season. 0.0 when a side is
    empty.

    >>> round(psi(np.array([500.0, 500.0]), np.array([300.0, 700.0])), 2)
    0.17
    """
    if reference.sum() == 0 or current.sum() == 0:
        return 0.0
    p, q = reference + 0.5, current + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())
