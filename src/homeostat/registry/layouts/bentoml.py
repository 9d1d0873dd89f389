"""BentoML's model store: a folder a version, with a `model.yaml` that names the framework it was saved by."""

from __future__ import annotations

from pathlib import Path

from homeostat.core.errors import InvalidInput
from homeostat.registry.layouts.found import Form, FoundModel, mapping, read_small, text

FILE = "model.yaml"
_LATEST = "latest"
# BentoML calls the files alike whatever is in them.
_FILES: dict[str, tuple[str, Form]] = {
    "bentoml.onnx": ("saved_model.onnx", "onnx"),
    "bentoml.lightgbm": ("saved_model.txt", "lightgbm"),
    "bentoml.sklearn": ("saved_model.pkl", "pickle"),
    "bentoml.picklable_model": ("saved_model.pkl", "pickle"),
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
            hint="save it with bentoml.onnx, bentoml.lightgbm or bentoml.sklearn",
        )
    file, form = _FILES[module]
    if not (folder / file).is_file():
        raise InvalidInput(f"'{known}' was saved with {module}, and there is no '{file}' beside its {FILE}")
    return FoundModel(
        name=known, layout="bentoml", form=form, file=folder / file, version=text(said.get("version")),
        tags={"bentoml.module": module},
    )  # fmt: skip
