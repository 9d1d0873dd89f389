"""Optional dependencies: imported on first use, and missing with an error that names the extra."""

from __future__ import annotations

import importlib
from typing import Any

from homeostat.core.errors import MissingExtra


def require(module: str, extra: str) -> Any:
    """The imported `module`; MissingExtra tells which extra brings it.

    >>> require("json", "data").loads("1")
    1
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise MissingExtra(
            f"'{module}' is not installed; it comes with the extra '{extra}'",
            hint=f"pip install 'homeostat[{extra}]'",
            module=module,
            extra=extra,
        ) from error
