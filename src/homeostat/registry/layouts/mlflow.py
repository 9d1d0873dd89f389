"""MLflow's model folder: an `MLmodel` file names the flavors that the model beside it can be loaded as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import inside
from homeostat.registry.layouts.found import FoundModel, existing, form_of, mapping, read_small, text
from homeostat.registry.layouts.own_code import read_own_code
from homeostat.registry.mlmodel import FILE, read_fields, read_mlmodel

# The flavors that are read, best first, and the field of each that names its file.
_FLAVORS = (
    ("onnx", "data"), ("lightgbm", "data"), ("xgboost", "data"), ("catboost", "data"), ("sklearn", "pickled_model"),
    ("pytorch", "model_data"), ("python_function", "data"),
)  # fmt: skip
# What PyTorch's flavor calls its file, in the folder that it names.
_TORCH = ("model.pt2", "model.pth")
# What pickles a model without MLflow's own loader around it.
_PLAIN = ("homeostat_pickled", "mlflow.sklearn", "mlflow.lightgbm", "mlflow.onnx")


def read_mlflow(folder: Path, name: str) -> FoundModel:
    """The model of a folder with an `MLmodel`: as the flavor that runs here, else as what MLflow itself loads.

    Raises: InvalidInput for one that is neither, or that says no signature for MLflow to ask it by.
    """
    try:
        return _flavored(folder, name)
    except InvalidInput:
        if read_own_code(folder) is None:
            raise
    return FoundModel(name=name, layout="mlflow", form="pyfunc", file=folder / FILE,
                      tags={"mlflow.flavor": "python_function"})  # fmt: skip


def _flavored(folder: Path, name: str) -> FoundModel:
    data = read_small(folder / FILE)
    said, fields = read_mlmodel(data), read_fields(data)
    flavors = mapping(fields.get("flavors"), "the MLmodel's list of flavors")
    for flavor, field in _FLAVORS:
        found = flavors.get(flavor)
        if not isinstance(found, dict) or not _plain(flavor, found):
            continue
        file = text(found.get(field)) or ("model.pkl" if flavor == "sklearn" else "")
        if not file:
            continue
        if flavor == "pytorch":
            file = next((f"{file}/{one}" for one in _TORCH if inside(folder, f"{file}/{one}").is_file()), file)
        path = existing(inside(folder, file), FILE)
        code, example = text(found.get("code")), folder / "input_example.json"
        form = flavor if flavor in ("xgboost", "catboost") else form_of(path, f"the flavor {flavor}")
        return FoundModel(
            name=name, layout="mlflow", form=form, file=path,
            inputs=said.signature.inputs, example=example if example.is_file() else None,
            code=inside(folder, code) if code else None, tags={"mlflow.flavor": flavor},
        )  # fmt: skip
    raise InvalidInput(
        f"the MLflow model in {folder.name} can be loaded as {', '.join(said.flavors) or 'nothing'}; none of it runs "
        "here",
        hint="log it with a flavor of ONNX, LightGBM, XGBoost, CatBoost, scikit-learn or PyTorch",
    )


def _plain(flavor: str, fields: dict[str, Any]) -> bool:
    return flavor != "python_function" or text(fields.get("loader_module")) in _PLAIN
