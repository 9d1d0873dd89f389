"""What each kind of model is: how to recognise it, keep it, and ask it, so that all answer alike.

"Alike" means one array: the probability of the positive class [n] of a binary classifier, the probabilities [n, k] of
more classes, otherwise the prediction [n].
"""

from __future__ import annotations

import pickle
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.extras import require
from homeostat.registry import catboost_form, skops_form, xgboost_form
from homeostat.registry.model import Field
from homeostat.registry.original import Original, Predict
from homeostat.registry.python_form import answer_of, answer_of_own, open_own


def read_original(estimator: Any, pickled: bool = True, artifacts: Path | None = None) -> Original:
    """Recognise `estimator`: LightGBM, XGBoost, CatBoost, scikit-learn (what has get_params and predict), a callable.

    `pickled=False` refuses what only a pickle can hold, and keeps scikit-learn's models with skops.
    `artifacts` is the folder of files that a class reads.
    """
    kind = type(estimator)
    match kind.__module__.split(".")[0]:
        case "lightgbm":
            return _lightgbm(estimator)
        case "xgboost":
            return xgboost_form.read_xgboost(estimator)
        case "catboost":
            return catboost_form.read_catboost(estimator)
        case _:
            pass
    if hasattr(estimator, "predict") and hasattr(estimator, "get_params") and not isinstance(estimator, type):
        return _sklearn(estimator, pickled)
    if not pickled:
        raise InvalidInput(f"a {kind.__module__}.{kind.__qualname__} can only be kept as a pickle",
                           hint="leave out pickled=False")  # fmt: skip
    if callable(estimator) or hasattr(estimator, "predict"):
        return Original(
            flavor="python", file="model.pkl", data=dump_pickle(estimator),
            predict=answer_of_own(_opened(estimator, artifacts)),
            output=Field(name="prediction", dtype="FP32"), estimator=estimator,
        )  # fmt: skip
    raise InvalidInput(
        f"a {kind.__module__}.{kind.__qualname__} cannot be packaged",
        hint="give a model of LightGBM, XGBoost, CatBoost, scikit-learn or PyTorch, an ONNX file, a function of "
        "rows or a class",
    )


def _opened(estimator: Any, artifacts: Path | None) -> Any:
    try:
        return open_own(estimator, artifacts)
    except HomeostatError:
        raise
    except Exception as error:  # the user's own class: whatever it raises is the reason
        raise InvalidInput(
            f"no {estimator.__qualname__} can be made: {type(error).__name__}: {error}",
            hint="a class is made without arguments, then its load(folder) is called; or give an object",
        ) from error


def load_lightgbm(text: str) -> Any:
    """The booster that its text form describes."""
    return require("lightgbm", extra="ml").Booster(model_str=text)


def answer_of_booster(booster: Any) -> Predict:
    """A booster's own predictor. One thread: the last bit must not depend on the machine."""
    return lambda features: booster.predict(features, num_threads=1)


def dump_pickle(value: Any) -> bytes:
    """`value` pickled, classes and functions of your own modules by value, so that a worker need not import them.

    A second pass through pickle removes what depends on how the object came about (shared strings), so that the same
    model gives the same bytes.
    """
    cloudpickle = require("cloudpickle", extra="ml")
    own = [module for name, module in list(sys.modules.items()) if _is_own(name) and type(module) is ModuleType]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        first = cloudpickle.dumps(value, protocol=5)
        # The value came from this very process: loading it again trusts nobody new.
        return cloudpickle.dumps(pickle.loads(first), protocol=5)  # noqa: S301 - our own
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _lightgbm(estimator: Any) -> Original:
    booster = getattr(estimator, "booster_", None) or estimator
    if not hasattr(booster, "model_to_string"):
        raise InvalidInput(f"this {type(estimator).__name__} is not fitted", hint="call fit first")
    text = booster.model_to_string()
    k = booster.num_model_per_iteration()
    objective = str(booster.dump_model(num_iteration=1).get("objective", "")).split(" ")[0]
    probabilities = objective in ("binary", "multiclass", "multiclassova", "cross_entropy")
    names = booster.feature_name()
    return Original(
        flavor="lightgbm", file="model.txt", data=text.encode(), predict=answer_of_booster(load_lightgbm(text)),
        estimator=booster,
        output=Field(name="probability" if probabilities else "prediction", dtype="FP32", shape=[-1, k][: 1 + (k > 1)]),
        features=None if names == [f"Column_{n}" for n in range(len(names))] else names,
        classes=[str(label) for label in getattr(estimator, "classes_", [])],
    )  # fmt: skip


def _sklearn(estimator: Any, pickled: bool) -> Original:
    try:
        classes = [str(label) for label in getattr(estimator, "classes_", [])]
        names = getattr(estimator, "feature_names_in_", None)
    except AttributeError:  # some raise it themselves when not fitted
        classes, names = [], None
    if hasattr(estimator, "predict_proba"):
        output = Field(name="probability", dtype="FP32", shape=[-1] if len(classes) == 2 else [-1, len(classes)])
    elif classes:
        output = Field(name="prediction", dtype="INT64" if estimator.classes_.dtype.kind in "iub" else "BYTES")
    else:
        output = Field(name="prediction", dtype="FP32")
    data = dump_pickle(estimator)
    if not pickled:
        # What its state shares with other objects of this process must not show: the copy shares nothing.
        data = skops_form.dump_skops(pickle.loads(data))  # noqa: S301 - our own
    return Original(
        flavor="sklearn", file="model.pkl" if pickled else skops_form.FILE, data=data, predict=answer_of(estimator),
        output=output, estimator=estimator, features=None if names is None else [str(name) for name in names],
        classes=classes, by_name=names is not None,
    )  # fmt: skip


@cache
def distributions() -> dict[str, list[str]]:
    """Which distributions bring which top-level module."""
    return {name: sorted(set(found)) for name, found in metadata.packages_distributions().items()}


def _is_own(module: str) -> bool:
    top = module.split(".", maxsplit=1)[0]
    return top not in sys.stdlib_module_names and top not in distributions() and top not in ("homeostat", "__mp_main__")
