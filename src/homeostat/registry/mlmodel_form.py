"""A package of ours as the folder that MLflow's loaders expect: the same model file beside an `MLmodel` that names it.

Nothing of the model is loaded to make it; the same package gives the same folder. scikit-learn and Python models are
pickles in either form, and run code only where somebody loads them.
"""

from __future__ import annotations

import json
import math
from typing import Any

from homeostat.core.blobs import File
from homeostat.core.errors import HomeostatError, MissingExtra, NotFound
from homeostat.core.frames import from_ipc_file
from homeostat.core.workspace import Workspace
from homeostat.registry import skops_form, torch_form
from homeostat.registry.manifest import read_manifest
from homeostat.registry.mlmodel import FILE
from homeostat.registry.model import Field, ModelVersion, Package, Signature
from homeostat.registry.python_form import ARTIFACTS

# The folder of MLflow's artifact service below which packages are found, by digest.
ROOT = "homeostat-packages"
_EXAMPLE, _ROWS = "input_example.json", 5
_TORCH = "data"
_CODE = "code/homeostat_pickled.py"
# As MLflow names column types. What it has no name for becomes the next wider one.
_COLUMNS = {
    "BOOL": "boolean", "INT8": "integer", "INT16": "integer", "INT32": "integer", "INT64": "long", "UINT8": "integer",
    "UINT16": "integer", "UINT32": "long", "UINT64": "long", "FP16": "float", "FP32": "float", "FP64": "double",
    "BYTES": "string",
}  # fmt: skip
_TENSORS = {
    "BOOL": "bool", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
    "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "FP16": "float16", "FP32": "float32",
    "FP64": "float64", "BYTES": "str",
}  # fmt: skip
# A function, or an object with `predict`, has no flavor of MLflow's own: this loader comes along with it.
_LOADER = '''\
"""Loads a pickled function, an object with `predict`, or a class of such objects, for MLflow."""

from pathlib import Path

import cloudpickle


AS_ARRAY = ...


class Predictor:
    def __init__(self, model):
        self.model = model

    def predict(self, rows, params=None):
        if AS_ARRAY and hasattr(rows, "to_numpy"):
            rows = rows.to_numpy(dtype="float64")
        ask = getattr(self.model, "predict", self.model)
        for step in (getattr(self.model, "preprocess", None), ask, getattr(self.model, "postprocess", None)):
            rows = step(rows) if callable(step) else rows
        return rows


def _load_pyfunc(path):
    with open(path, "rb") as file:
        model = cloudpickle.load(file)
    if isinstance(model, type):
        model = model()
        artifacts = Path(path).parent / "ARTIFACTS"
        if callable(getattr(model, "load", None)):
            model.load(artifacts if artifacts.is_dir() else None)
    return Predictor(model)
'''


def address_of(digest: str) -> str:
    """Where MLflow's client finds the package of this digest, as a model it can load.

    >>> address_of("ab")
    'mlflow-artifacts:/homeostat-packages/ab'
    """
    return f"mlflow-artifacts:/{ROOT}/{digest}"


def files_at(ws: Workspace, path: str) -> dict[str, File]:
    """The files of the package that `path` (DIGEST or below) is of, by their path below ROOT. Raises: NotFound."""
    digest = path.partition("/")[0]
    try:
        return {f"{digest}/{name}": file for name, file in mlflow_files(ws, digest).items()}
    except HomeostatError as error:
        raise NotFound(f"no package is kept as {digest[:12]!r}…") from error


def version_files(ws: Workspace, version: ModelVersion) -> dict[str, File]:
    """The files of a version as an MLflow model; those of one that came as such are what they are. Empty for one that
    lies elsewhere."""
    if version.flavor not in ("mlflow", "other"):
        return mlflow_files(ws, version.digest)
    return ws.blobs.get_tree(version.digest).files if version.digest else {}


def mlflow_files(ws: Workspace, digest: str) -> dict[str, File]:
    """The files of a package's MLflow form, those that are written for it kept too. Raises as `read_manifest`."""
    package, tree = read_manifest(ws, digest)
    found = {_place(package): tree.files[package.file]}
    if package.onnx.file is not None:
        found[package.onnx.file] = tree.files[package.onnx.file]
    found |= {name: file for name, file in tree.files.items() if name.startswith(f"{ARTIFACTS}/")}
    size = sum(file.size for file in found.values())
    example = _example(ws, tree.files[package.sample].digest) if package.sample else None
    python = next((one.partition("==")[2] for one in package.environment if one.startswith("python==")), "")
    listed = ["mlflow", *(one for one in package.environment if not one.startswith("python=="))]
    types: list[str] | None = None  # those of scikit-learn that a file of skops names: MLflow asks which to trust
    if package.file == skops_form.FILE:
        named = skops_form.types_of(ws.blobs.get_bytes(tree.files[package.file].digest))
        types = [one for one in named if one.startswith("sklearn.")]
    elif package.flavor in ("sklearn", "python") and not any(one.startswith("cloudpickle") for one in listed):
        listed.append("cloudpickle")
    written = {
        FILE: _yaml(_mlmodel(package, digest, python, size, example is not None, types)),
        "requirements.txt": "\n".join(listed) + "\n",
        "conda.yaml": _yaml({
            "name": "mlflow-env", "channels": ["conda-forge"],
            "dependencies": [f"python={python}" if python else "python", "pip", {"pip": listed}],
        }),
        "python_env.yaml": _yaml({
            **({"python": python} if python else {}), "build_dependencies": ["pip", "setuptools", "wheel"],
            "dependencies": ["-r requirements.txt"],
        }),
        **({_EXAMPLE: example} if example is not None else {}),
        **({_CODE: _loader(package)} if package.flavor == "python" else {}),
    }  # fmt: skip
    for name, text in written.items():
        data = text.encode()
        found[name] = File(digest=ws.blobs.put_bytes(data), size=len(data))
    return dict(sorted(found.items()))


def _mlmodel(
    package: Package, digest: str, python: str, size: int, example: bool, types: list[str] | None
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "artifact_path": "model",
        "flavors": _flavors(package, python, types),
        "metadata": {"homeostat.package": digest},
        "model_size_bytes": size,
        "model_uuid": digest[:32],
        "signature": _signature(package),
    }
    if example:
        said["saved_input_example_info"] = {
            "artifact_path": _EXAMPLE, "pandas_orient": "split", "type": "dataframe",
        }  # fmt: skip
    return said


def _flavors(package: Package, python: str, types: list[str] | None) -> dict[str, Any]:
    env = {"env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}, "python_version": python}
    flavors: dict[str, Any] = {}
    if package.onnx.file is not None:
        flavors["onnx"] = {
            "data": package.onnx.file, "onnx_version": _version(package, "onnx"),
            "providers": ["CPUExecutionProvider"], "code": None,
        }  # fmt: skip
    match package.flavor:
        case "lightgbm":
            flavors["lightgbm"] = {
                "data": package.file, "lgb_version": _version(package, "lightgbm"),
                "model_class": "lightgbm.basic.Booster", "code": None,
            }  # fmt: skip
            flavors["python_function"] = {"loader_module": "mlflow.lightgbm", **env}
        case "sklearn":
            flavors["sklearn"] = {
                "pickled_model": package.file,
                "serialization_format": "cloudpickle" if types is None else "skops",
                **({} if types is None else {"skops_trusted_types": types}),
                "sklearn_version": _version(package, "scikit-learn"), "code": None,
            }  # fmt: skip
            flavors["python_function"] = {
                "loader_module": "mlflow.sklearn", "model_path": package.file, "predict_fn": "predict", **env
            }  # fmt: skip
        case "xgboost":
            flavors["xgboost"] = {
                "data": package.file, "xgb_version": _version(package, "xgboost"), "model_format": "ubj",
                "model_class": "xgboost.core.Booster", "code": None,
            }  # fmt: skip
            flavors["python_function"] = {"loader_module": "mlflow.xgboost", "data": package.file, **env}
        case "catboost":
            flavors["catboost"] = {
                "data": package.file, "catboost_version": _version(package, "catboost"),
                "model_type": "CatBoostClassifier" if package.classes else "CatBoostRegressor",
                "save_format": "cbm", "code": None,
            }  # fmt: skip
            flavors["python_function"] = {"loader_module": "mlflow.catboost", "data": package.file, **env}
        case "torch":
            flavors["pytorch"] = {
                "model_data": _TORCH, "pytorch_version": _version(package, "torch"), "code": None,
            }  # fmt: skip
            flavors["python_function"] = {
                "loader_module": "mlflow.pytorch", "data": _TORCH, "model_config": {"device": None}, **env
            }  # fmt: skip
        case "onnx":
            flavors["python_function"] = {"loader_module": "mlflow.onnx", **env}
        case "python":
            flavors["python_function"] = {
                "loader_module": "homeostat_pickled", "code": "code", "data": package.file, **env
            }  # fmt: skip
        case "graph" | "pyfunc":
            pass  # nothing of MLflow's loads a graph: the data plane asks its members; the other lies in the package
    return flavors


def _signature(package: Package) -> dict[str, Any]:
    signature = package.signature
    tabular = signature.tensor is not None or package.flavor != "onnx"
    inputs = [_column(field) if tabular else _tensor(field) for field in signature.inputs]
    # A classifier of scikit-learn or CatBoost answers MLflow with classes, and us with probabilities.
    outputs = [] if package.flavor in ("sklearn", "catboost") else _outputs(signature)
    return {
        "inputs": json.dumps(inputs) if inputs else None,
        "outputs": json.dumps(outputs) if outputs else None,
        "params": None,
    }


def _outputs(signature: Signature) -> list[dict[str, Any]]:
    return [_tensor(field) for field in signature.outputs]


def _column(field: Field) -> dict[str, Any]:
    return {"type": _COLUMNS.get(field.dtype, "string"), "name": field.name, "required": True}


def _tensor(field: Field) -> dict[str, Any]:
    spec = {"dtype": _TENSORS.get(field.dtype, "str"), "shape": field.shape}
    return {"type": "tensor", "tensor-spec": spec, "name": field.name}


def _loader(package: Package) -> str:
    # As here: rows of numbers come as an array, others as a table.
    as_array = f"AS_ARRAY = {package.signature.tensor is not None}"
    return _LOADER.replace("AS_ARRAY = ...", as_array).replace("ARTIFACTS", ARTIFACTS)


def _version(package: Package, distribution: str) -> str:
    # The builds without a graphics card's part are named otherwise (xgboost-cpu).
    named = (f"{distribution}==", f"{distribution}-cpu==")
    return next((one.partition("==")[2] for one in package.environment if one.startswith(named)), "")


def _place(package: Package) -> str:
    # MLflow looks for an exported program by its name in a folder.
    return f"{_TORCH}/{torch_form.FILE}" if package.flavor == "torch" else package.file


def _example(ws: Workspace, digest: str) -> str | None:
    """The first rows of the sample as MLflow keeps a table; None where nothing here reads Arrow files."""
    try:
        rows = from_ipc_file(ws.blobs.get_bytes(digest)).head(_ROWS)
    except MissingExtra:
        return None
    data = [[None if isinstance(value, float) and not math.isfinite(value) else value for value in row]
            for row in rows.rows()]  # fmt: skip
    # Dates and what else JSON has no word for are written as text.
    return json.dumps({"columns": rows.columns, "data": data}, default=str)


def _yaml(said: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(said, sort_keys=True, allow_unicode=True)
