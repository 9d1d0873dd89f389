"""CatBoost: a model kept as its own binary file, which is data, and asked as the other kinds of models are."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.registry.model import Field
from homeostat.registry.original import Original, Predict

FILE = "model.cbm"
# Losses whose models answer with a probability, or with one for each class; and those that answer with a power of e.
_PROBABILITIES = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy")
_EXPONENTS = ("Poisson", "Tweedie")


def read_catboost(estimator: Any) -> Original:
    """A CatBoost model. Raises: InvalidInput when it is not fitted, or takes texts or embeddings as features."""
    name = type(estimator).__name__
    if not estimator.is_fitted():
        raise InvalidInput(f"this {name} is not fitted", hint="call fit first")
    if estimator.get_text_feature_indices() or estimator.get_embedding_feature_indices():
        raise InvalidInput(
            f"this {name} takes texts or embeddings as features", hint="numbers and categories are taken"
        )
    data = _saved(estimator, "cbm")
    model = load_catboost(data)
    names = [str(one) for one in model.feature_names_]
    return Original(
        flavor="catboost", file=FILE, data=data, predict=answer_of_catboost(model), estimator=model,
        output=output_of(model), features=None if names == [str(number) for number in range(len(names))] else names,
        classes=[str(label) for label in model.classes_], by_name=bool(categories(model)),
    )  # fmt: skip


def load_catboost(data: bytes) -> Any:
    """The model that these bytes describe. Raises: InvalidInput for bytes that describe none."""
    catboost = require("catboost", extra="catboost")
    model = catboost.CatBoost()
    try:
        model.load_model(blob=data)
    except catboost.CatBoostError as error:
        raise InvalidInput(f"this is not a CatBoost model: {str(error).rpartition(': ')[2][:200]}") from error
    return model


def categories(model: Any) -> list[int]:
    """The places of the columns that hold categories."""
    return [int(place) for place in model.get_cat_feature_indices()]


def answer_of_catboost(model: Any) -> Predict:
    """A model's own predictor, in one thread: an array [n, k] or a pandas frame to [n] or [n, classes]."""
    import numpy as np

    loss = _loss(model)
    kind = "Probability" if loss in _PROBABILITIES else "Exponent" if loss in _EXPONENTS else "RawFormulaVal"
    binary = loss in ("Logloss", "CrossEntropy")
    places = categories(model)

    def predict(rows: Any) -> Any:
        rows = rows if isinstance(rows, np.ndarray) else rows.to_numpy()
        answer = np.asarray(model.predict(_worded(rows, places), prediction_type=kind, thread_count=1))
        return answer[:, 1] if binary else answer

    return predict


def output_of(model: Any) -> Field:
    """What the model answers with."""
    import numpy as np

    name = "probability" if _loss(model) in _PROBABILITIES else "prediction"
    shown = answer_of_catboost(model)(np.zeros((1, len(model.feature_names_))))
    return Field(name=name, dtype="FP32", shape=[-1, *shown.shape[1:]])


def graph_of(model: Any) -> Any:
    """The model as an ONNX graph. CatBoost writes none of one with categories."""
    onnx = require("onnx", extra="ml")
    graph = onnx.load_model_from_string(_saved(_numbered(model), "onnx"))
    # The version of ONNX that it names wants every constant to be an input as well.
    graph.ir_version = max(graph.ir_version, 8)
    # Probabilities come as one dictionary a row; what it is made of is what is wanted.
    inside = {node.output[0]: node.input[0] for node in graph.graph.node if node.op_type == "ZipMap"}
    for output in graph.graph.output:
        output.name = inside.get(output.name, output.name)
    return graph


def _numbered(model: Any) -> Any:
    """The model, or a copy that calls its classes by numbers: graphs know none of true and false, or of floats."""
    metadata = model.get_metadata()
    told = json.loads(metadata["class_params"]) if "class_params" in metadata else {}
    if told.get("class_label_type", "Integer") in ("Integer", "String"):
        return model
    told |= {"class_names": list(range(len(told["class_names"]))), "class_label_type": "Integer"}
    copy = load_catboost(_saved(model, "cbm"))
    copy.get_metadata()["class_params"] = json.dumps(told)
    return copy


def _saved(model: Any, form: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="homeostat-catboost-") as folder:
        path = Path(folder) / "model"
        model.save_model(str(path), format=form)
        return path.read_bytes()


def _loss(model: Any) -> str:
    return str(model.get_all_params().get("loss_function", "")).partition(":")[0]


def _worded(rows: Any, places: list[int]) -> Any:
    """Categories are texts to CatBoost: a number that stands for one is written without a point."""
    if not places:
        return rows
    rows = rows.astype(object)
    for place in places:
        rows[:, place] = [_word(value) for value in rows[:, place]]
    return rows


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
