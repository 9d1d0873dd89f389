"""XGBoost: a booster kept as UBJSON, which is data, and asked as the other kinds of models are."""

from __future__ import annotations

import json
import math
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.registry.model import Field
from homeostat.registry.original import Original, Predict

FILE = "model.ubj"
# Objectives that answer with a probability, or with one for each class. Every other answer is the prediction itself.
_PROBABILITIES = ("binary:logistic", "reg:logistic", "multi:softprob")


def read_xgboost(estimator: Any) -> Original:
    """A Booster or an XGB… estimator. After early stopping only the trees up to the best round are kept.

    Raises: InvalidInput when it is not fitted, or stands for missing values by a number.
    """
    booster = _booster(estimator)
    data = bytes(booster.save_raw("ubj"))
    names = booster.feature_names
    return Original(
        flavor="xgboost", file=FILE, data=data, predict=answer_of_xgboost(load_xgboost(data)),
        estimator=booster, output=output_of(booster),
        features=None if names is None else [str(name) for name in names],
        classes=[str(label) for label in getattr(estimator, "classes_", [])],
    )  # fmt: skip


def load_xgboost(data: bytes) -> Any:
    """The booster that these bytes (UBJSON or JSON) describe; it computes in one thread."""
    booster = require("xgboost", extra="xgboost").Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    return booster


def answer_of_xgboost(booster: Any) -> Predict:
    """A booster's own predictor: an array [n, k], NaN for what is missing, to [n] or [n, classes]."""
    import numpy as np

    # Names are checked by us: the booster would refuse an array because it has none.
    return lambda features: booster.inplace_predict(
        np.ascontiguousarray(features), missing=math.nan, validate_features=False
    )


def output_of(booster: Any) -> Field:
    """What the booster answers with."""
    learner = json.loads(booster.save_config())["learner"]
    objective, shape = learner["objective"]["name"], learner["learner_model_param"]
    wide = max(int(shape["num_class"]), int(shape.get("num_target", 1)))
    name = "probability" if objective in _PROBABILITIES else "prediction"
    return Field(name=name, dtype="FP32", shape=[-1] if wide <= 1 or objective == "multi:softmax" else [-1, wide])


def graph_of(booster: Any, width: int, feature: str) -> Any:
    """The booster as an ONNX graph, whose input is named `feature`. The converter knows columns by number only."""
    types = require("onnxmltools.convert.common.data_types", extra="ml")
    nameless = load_xgboost(bytes(booster.save_raw("ubj")))
    nameless.feature_names = None
    return require("onnxmltools", extra="ml").convert_xgboost(
        nameless, initial_types=[(feature, types.FloatTensorType([None, width]))]
    )


def _booster(estimator: Any) -> Any:
    if not hasattr(estimator, "get_booster"):
        if not hasattr(estimator, "save_raw"):
            raise InvalidInput(f"a {type(estimator).__name__} is neither a Booster nor an estimator of XGBoost")
        return estimator
    try:
        booster = estimator.get_booster()
    except Exception as error:  # NotFittedError of scikit-learn's, which need not be installed
        raise InvalidInput(f"this {type(estimator).__name__} is not fitted", hint="call fit first") from error
    missing = getattr(estimator, "missing", math.nan)
    if missing is not None and not math.isnan(missing):
        raise InvalidInput(f"this {type(estimator).__name__} takes {missing:g} for a missing value",
                           hint="fit it with missing=nan, and put NaN where a value is missing")  # fmt: skip
    if booster.attr("best_iteration") is not None:
        return booster[: int(booster.attr("best_iteration")) + 1]
    return booster
