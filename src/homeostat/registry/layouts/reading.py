"""Which models lie in a folder, whoever laid it out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.registry.layouts import bentoml, mlflow, mlserver, triton
from homeostat.registry.layouts.found import FoundModel, form_of, read_small
from homeostat.registry.manifest import MANIFEST

# The ends of the names of a folder's only model. Those of the second line count where there is none of the first: they
# also stand for what lies beside a model, such as its weights.
_ENDS = (
    (".onnx", ".lgb", ".pkl", ".pickle", ".joblib"),
    (".ubj", ".xgb", ".cbm", ".skops", ".pt2", ".pth", ".pt"),
)
# Folders below the one that is named: BentoML's store is models/NAME/VERSION, others lie nearer.
_DEEPEST = 3


def read_layout(path: Path, name: str | None = None) -> list[FoundModel]:
    """The models in `path`: a file, a model's folder, or a repository of such folders.

    Known are packages of ours, MLflow's `MLmodel`, MLServer's `model-settings.json`, Triton's and BentoML's folders,
    and a folder with one file of the kinds that are read alone. `name` is what a single model is called; each else has
    the name its layout gives it, or its folder's. Nothing of a model is loaded.

    Raises: NotFound for no such path; InvalidInput when there is no model, or one that nothing here runs.
    """
    if not path.exists():
        raise NotFound(f"there is nothing at {path}")
    found = [_file(path)] if path.is_file() else _below(path, 0)
    if not found:
        raise InvalidInput(
            f"there is no model in {path}",
            hint="known are packages of ours, MLmodel, model-settings.json, config.pbtxt, model.yaml and model.onnx",
        )
    if name is None:
        return found
    if len(found) > 1:
        names = ", ".join(model.name for model in found[:10])
        raise InvalidInput(f"{path} holds {len(found)} models ({names}), so none of them can be called '{name}'")
    return [msgspec.structs.replace(found[0], name=name)]


def _below(folder: Path, depth: int) -> list[FoundModel]:
    one = _model(folder)
    if one is not None:
        return [one]
    if depth == _DEEPEST:
        return []
    found: list[FoundModel] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            found.extend(_below(path, depth + 1))
    return found


def _model(folder: Path) -> FoundModel | None:
    """The model that the folder itself is, if it is one."""
    name = folder.resolve().name
    if _is_package(folder):
        return FoundModel(name=name, layout="homeostat", form="package", file=folder)
    if (folder / mlserver.FILE).is_file():
        return mlserver.read_mlserver(folder, name)
    if (folder / mlflow.FILE).is_file():
        return mlflow.read_mlflow(folder, name)
    stored = folder if bentoml.is_bentoml(folder) else bentoml.newest(folder)
    if stored is not None:
        return bentoml.read_bentoml(stored, stored.resolve().parent.name)
    files = [path for path in folder.iterdir() if path.is_file()]
    numbered = any((path / "model.onnx").is_file() for path in triton.numbered(folder))
    if (folder / triton.FILE).is_file() or numbered:
        return triton.read_triton(folder, name)
    for ends in _ENDS:
        models = [path for path in files if path.suffix.lower() in ends or path.name == "model.txt"]
        if models:
            return msgspec.structs.replace(_file(models[0]), name=name) if len(models) == 1 else None
    return None


def _file(path: Path) -> FoundModel:
    return FoundModel(name=path.stem, layout="file", form=form_of(path, "the model"), file=path)


def _is_package(folder: Path) -> bool:
    # MLServer's XGBoost models are called model.json too.
    if not (folder / MANIFEST).is_file():
        return False
    try:
        said: Any = json.loads(read_small(folder / MANIFEST))
    except (ValueError, InvalidInput, RecursionError):
        return False
    return isinstance(said, dict) and {"format", "flavor", "file", "signature"} <= said.keys()
