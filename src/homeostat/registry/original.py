"""A model as its maker gave it, whichever library it is of: what the forms of it are made from and compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from homeostat.core.records import Record
from homeostat.registry.model import Field, Flavor

Predict = Callable[[Any], Any]


class Original(Record):
    """A model as its maker gave it. `data` are the bytes kept as `file`; `predict` takes a float64 array [n, k], or a
    pandas frame when `by_name`; `features` are the columns it was fitted on, if it knows them; `weights` its weights as
    safetensors, where they are worth reading without the model."""

    flavor: Flavor
    file: str
    data: bytes
    predict: Predict
    output: Field
    estimator: Any
    features: list[str] | None = None
    classes: list[str] = []
    by_name: bool = False
    weights: bytes | None = None
