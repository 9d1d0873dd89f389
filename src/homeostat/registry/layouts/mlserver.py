"""MLServer's model folder: `model-settings.json` names the runtime and the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import inside
from homeostat.registry.layouts.found import Form, FoundModel, existing, form_of, mapping, read_small, text
from homeostat.registry.layouts.mlflow import read_mlflow
from homeostat.registry.model import Field

FILE = "model-settings.json"
# By the first part of the runtime's module: what its file is, whatever it is called (None: its name tells), and what
# MLServer looks for when the settings name no file.
_KNOWN: dict[str, tuple[Form | None, tuple[str, ...]]] = {
    "mlserver_sklearn": (None, ("model.joblib", "model.pickle", "model.pkl")),
    "mlserver_lightgbm": ("lightgbm", ("model.bst", "model.txt")),
    "mlserver_xgboost": ("xgboost", ("model.bst", "model.json", "model.ubj")),
    "mlserver_catboost": ("catboost", ("model.cbm", "model.bin")),
    "mlserver_onnx": ("onnx", ("model.onnx",)),
    "mlserver_mlflow": (None, ()),
}


def read_mlserver(folder: Path, name: str) -> FoundModel:
    """The model that a folder's `model-settings.json` tells of. Raises: InvalidInput, also for other runtimes."""
    try:
        said = mapping(json.loads(read_small(folder / FILE)), FILE)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{FILE} is not JSON: {str(error)[:200]}") from error
    runtime = text(said.get("implementation"))
    parameters = said.get("parameters")
    given = mapping(parameters, f"the parameters in {FILE}") if parameters is not None else {}
    known = text(said.get("name")) or name
    if (kind := runtime.split(".")[0]) not in _KNOWN:
        raise InvalidInput(
            f"'{known}' runs as {runtime or 'nothing'} in MLServer; that runtime is not read here",
            hint="export the model as ONNX, or register a Python function with log_model",
        )
    form, usual = _KNOWN[kind]
    path = _file(folder, text(given.get("uri")), usual)
    version = text(given.get("version"))
    if path.is_dir():
        import msgspec

        return msgspec.structs.replace(read_mlflow(path, known), layout="mlserver", version=version)
    return FoundModel(
        name=known, layout="mlserver", form=form or form_of(path, f"'{known}'"), file=path, version=version,
        inputs=_fields(said.get("inputs")), tags={"mlserver.implementation": runtime},
    )  # fmt: skip


def _file(folder: Path, uri: str, usual: tuple[str, ...]) -> Path:
    if not uri:
        found = [folder / name for name in usual if (folder / name).is_file()]
        if not found:
            raise InvalidInput(f"{FILE} names no file, and none of the usual ones is beside it")
        return found[0]
    if "://" in uri:
        raise InvalidInput(f"{FILE} names {uri[:200]}", hint="fetch it, and name the file beside the settings")
    path = folder if uri.rstrip("/") in (".", "./") else inside(folder, uri.removeprefix("./"))
    return path if path.is_dir() else existing(path, FILE)


def _fields(said: Any) -> list[Field]:
    found: list[Field] = []
    for one in cast("list[Any]", said) if isinstance(said, list) else []:
        if isinstance(one, dict):
            tensor = cast("dict[str, Any]", one)
            shape = tensor.get("shape")
            sizes = [n for n in cast("list[Any]", shape) if isinstance(n, int)] if isinstance(shape, list) else [-1]
            found.append(Field(name=text(tensor.get("name")), dtype=text(tensor.get("datatype")), shape=sizes))
    return found
