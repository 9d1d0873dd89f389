"""A model that was found in a folder: which file it is, and what its folder says of it. Nothing of it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.registry.model import Field

Layout = Literal["homeostat", "mlflow", "mlserver", "triton", "bentoml", "file"]
Form = Literal["package", "onnx", "lightgbm", "xgboost", "catboost", "skops", "torch", "pickle", "pyfunc"]

# By the ends of their names. What else models are kept as (TensorRT's) has no runtime here.
_FORMS: dict[str, Form] = {
    ".onnx": "onnx", ".txt": "lightgbm", ".lgb": "lightgbm", ".ubj": "xgboost", ".xgb": "xgboost", ".cbm": "catboost",
    ".skops": "skops", ".pt2": "torch", ".pth": "torch", ".pt": "torch", ".pkl": "pickle",
    ".pickle": "pickle", ".joblib": "pickle",
}  # fmt: skip
_LARGEST = 1 << 20


class FoundModel(Record):
    """A model in a folder. `file` is the model itself, or the folder of a package; `inputs` are those its layout
    declares, if it does; `example` a file with rows of its input; `code` a folder with modules that a pickle needs."""

    name: str
    layout: Layout
    form: Form
    file: Path
    version: str = ""
    inputs: list[Field] = []
    example: Path | None = None
    code: Path | None = None
    tags: dict[str, str] = {}


def form_of(path: Path, what: str) -> Form:
    """What kind of model the file is, by its name. Raises: InvalidInput for one that nothing here runs."""
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise InvalidInput(
            f"{what} is kept as '{path.name}', which nothing here runs",
            hint="convert it to ONNX; LightGBM, XGBoost, CatBoost, scikit-learn and PyTorch are taken as they are",
        )
    return form


def existing(path: Path, what: str) -> Path:
    """`path` if the file is there. Raises: InvalidInput."""
    if not path.is_file():
        raise InvalidInput(f"{what} names '{path.name}', and there is no such file beside it", file=str(path))
    return path


def read_small(path: Path) -> bytes:
    """A file of settings. Raises: InvalidInput when it is over a megabyte."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise InvalidInput(f"'{path.name}' is larger than a megabyte", hint="is it the file it is called after?")
    return data


def mapping(said: Any, what: str) -> dict[str, Any]:
    """`said` if it is a mapping. Raises: InvalidInput."""
    if not isinstance(said, dict):
        raise InvalidInput(f"{what} holds no fields")
    return cast("dict[str, Any]", said)


def text(said: Any) -> str:
    """`said` if it is text, else none."""
    return said if isinstance(said, str) else ""


def numbered(width: int) -> list[str]:
    """Names for columns that have none."""
    return [f"f{number}" for number in range(width)]
