"""What each column of a LightGBM model brought to its trees, read from the model's text.

LightGBM itself would tell the same, after seconds of importing it and whatever of pandas and scikit-learn is there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homeostat.core.errors import Corrupt


def gains_of_trees(text: str) -> NDArray[np.float64]:
    """The summed gain of all splits by each column, as many numbers as the model has columns.

    The same numbers as `Booster.feature_importance("gain")`. Raises: Corrupt for what is no such text.
    """
    sums: NDArray[np.float64] | None = None
    columns: NDArray[np.int64] = np.empty(0, np.int64)
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "max_feature_idx":
            sums = np.zeros(int(value) + 1)
        elif name == "split_feature":
            columns = np.array(value.split(), np.int64)
        elif name == "split_gain" and sums is not None:
            gained = np.array(value.split(), np.float32).astype(np.float64)
            np.add.at(sums, columns, np.maximum(gained, 0.0))
        elif name == "end of trees":
            break
    if sums is None:
        raise Corrupt("the model's text does not say how many columns it has", hint="register the model again")
    return sums
