"""BentoML's model store: a folder a version, with a `model.yaml` that names the framework it was saved by."""

from __future__ import annotations

from pathlib import Path

from homeostat.core.errors import InvalidInput
from homeostat.registry.layouts.found import Form, FoundModel, mapping, read_small, text

FILE = "model.yaml"
_LATEST = "latest"
# By the framework: what the file is, and what BentoML's releases call it, the newest first.
_FILES: dict[str, tuple[Form, tuple[str, ...]]] = {
    "bentoml.onnx": ("onnx", ("saved_model.onnx",)),
    "bentoml.lightgbm": ("lightgbm", ("saved_model.ubj", "saved_model.txt")),
    "bentoml.xgboost": ("xgboost", ("saved_model.ubj", "saved_model.json")),
    "bentoml.catboost": ("catboost", ("saved_model.cbm",)),
    "bentoml.torchscript": ("torch", ("saved_model.pt",)),
    "bentoml.sklearn": ("pickle", ("saved_model.pkl",)),
    "bentoml.picklable_model": ("pickle", ("saved_model.pkl",)),
}


def is_bentoml(folder: Path) -> bool:
    """Whether the folder is a model of BentoML's store."""
    return (folder / FILE).is_file() and b"bentoml" in read_small(folder / FILE)


def newest(folder: Path) -> Path | None:
    """The version that BentoML's store calls the latest of the model whose folder it is; None for other folders."""
    if not (folder / _LATEST).is_file():
        return None
    version = read_small(folder / _LATEST).decode(errors="replace").strip()
    named = folder / version
    return named if version and named.parent == folder and named.is_dir() and is_bentoml(named) else None


def read_bentoml(folder: Path, name: str) -> FoundModel:
    """The model of a folder of BentoML's store. Raises: InvalidInput, also for frameworks that do not run here."""
    import yaml

    try:
        said = mapping(yaml.safe_load(read_small(folder / FILE)), FILE)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{FILE} is not YAML: {str(error)[:200]}") from error
    known, module = text(said.get("name")) or name, text(said.get("module"))
    if module not in _FILES:
        raise InvalidInput(
            f"'{known}' was saved with {module or 'no framework'}; none of it runs here",
            hint="save it with bentoml.onnx, lightgbm, xgboost, catboost or sklearn",
        )
    form, files = _FILES[module]
    file = next((name for name in files if (folder / name).is_file()), None)
    if file is None:
        raise InvalidInput(f"'{known}' was saved with {module}, and there is no '{files[0]}' beside its {FILE}")
    return FoundModel(
        name=known, layout="bentoml", form=form, file=folder / file, version=text(said.get("version")),
        tags={"bentoml.module": module},
    )  # fmt: skip
