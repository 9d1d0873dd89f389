"""XGBoost's own predictor, for models whose ONNX form does not agree with the original."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.core.extras import require
from homeostat.serving import tensors
from homeostat.serving.runtimes.runtime import Runtime


class XgboostRuntime(Runtime):
    """A booster read from its file of data (UBJSON or JSON). It takes one matrix, NaN for what is missing, and gives
    one output: the probability of the positive class, those of every class, or the value, as its objective says."""

    name = "xgboost"

    def __init__(self, path: Path) -> None:
        xgboost = require("xgboost", extra="xgboost")
        self._booster: Any = xgboost.Booster({"nthread": 1})
        self._booster.load_model(bytearray(path.read_bytes()))
        self.width: int = self._booster.num_features()

    def run(self, arrays: list[tensors.Array]) -> list[tensors.Array]:
        features = np.ascontiguousarray(arrays[0])
        return [self._booster.inplace_predict(features, missing=math.nan, validate_features=False)]
