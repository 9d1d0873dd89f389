"""Exact Shapley values of trees, by the libraries that grew them (TreeSHAP: Lundberg et al., 2018)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLAVORS = ("lightgbm", "xgboost", "catboost")


def shapley_of_trees(flavor: str, model: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each feature added to the raw score of each row, and the score it was added to.

    `rows` are [n, features], NaN for what is missing; gives [n, outputs, features + 1], the last of them the base.
    """
    if flavor == "lightgbm":
        parts = model.predict(rows, pred_contrib=True, num_threads=1)
    elif flavor == "xgboost":
        import xgboost

        matrix = xgboost.DMatrix(rows, missing=math.nan, nthread=1)
        parts = model.predict(matrix, pred_contribs=True, validate_features=False)
    else:
        import catboost

        parts = model.get_feature_importance(catboost.Pool(rows), type="ShapValues", thread_count=1)
    return np.asarray(parts, dtype=np.float64).reshape(len(rows), -1, rows.shape[1] + 1)
