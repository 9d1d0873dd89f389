"""PyTorch's exported programs, loaded and asked: also in environments of the models' own, with nothing else of ours."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require


def load_torch(data: bytes) -> Any:
    """The program as a module. Runs code: for processes that may."""
    return require("torch", extra="torch").export.load(io.BytesIO(data)).module()


def answer_of_torch(module: Any) -> Callable[[Any], Any]:
    """How to ask a module: an array [n, k] to [n], or to [n, m] when it gives more than one number for a row."""
    torch = require("torch", extra="torch")

    def answer(features: Any) -> Any:
        with torch.no_grad():
            found = module(torch.from_numpy(narrow(features)))
        if not isinstance(found, torch.Tensor):
            raise InvalidInput(f"the module gives a {type(found).__name__}", hint="its forward gives one tensor")
        array = found.numpy()
        return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array

    return answer


def narrow(rows: Any) -> Any:
    """The rows as PyTorch is given them: FP32, of this machine's own memory and writable."""
    import numpy as np

    return np.require(rows, dtype=np.float32, requirements=["C", "W"])
