"""CatBoost's own predictor, for models with categories and those whose ONNX form does not agree with the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from homeostat.registry import answer_of_catboost, load_catboost
from homeostat.serving import tensors
from homeostat.serving.runtimes.runtime import Runtime


class CatboostRuntime(Runtime):
    """A model read from its file of data. It takes one matrix, or one array for each column where some hold texts, and
    gives one output: the probability of the positive class, those of every class, or the value, as its loss says."""

    name = "catboost"

    def __init__(self, path: Path) -> None:
        model = load_catboost(path.read_bytes())
        self.width = len(model.feature_names_)
        self._answer = answer_of_catboost(model)

    def run(self, arrays: list[tensors.Array]) -> list[tensors.Array]:
        if len(arrays) == 1 and arrays[0].ndim == 2:
            return [self._answer(arrays[0])]
        table = np.empty((len(arrays[0]), len(arrays)), object)
        for place, array in enumerate(arrays):
            table[:, place] = array
        return [self._answer(table)]
