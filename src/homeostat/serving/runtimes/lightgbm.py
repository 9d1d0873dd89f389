"""LightGBM's own predictor, for models whose ONNX form does not agree with the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeostat.core.extras import require
from homeostat.serving import tensors
from homeostat.serving.runtimes.runtime import Runtime


class LightgbmRuntime(Runtime):
    """A booster read from its text file. It takes one matrix and gives one output: the probability of the positive
    class, the probabilities of every class, or the value, whichever its objective says."""

    name = "lightgbm"

    def __init__(self, path: Path) -> None:
        lightgbm = require("lightgbm", extra="ml")
        self._booster: Any = lightgbm.Booster(model_file=str(path))
        self.width: int = self._booster.num_feature()

    def run(self, arrays: list[tensors.Array]) -> list[tensors.Array]:
        return [self._booster.predict(arrays[0], num_threads=1)]
