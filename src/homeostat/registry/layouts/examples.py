"""Rows of input that were kept beside a model, as MLflow keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.registry.layouts.found import numbered, read_small


def read_example(path: Path | None) -> Any | None:
    """The rows of an input example that was kept as MLflow keeps a table, as a Polars frame; None for others."""
    if path is None:
        return None
    try:
        said: Any = json.loads(read_small(path))
        table = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        if isinstance(table.get("inputs"), list):  # an array, which has no names
            rows: list[list[float]] = table["inputs"]
            return require("polars", extra="ml").DataFrame(rows, schema=numbered(len(rows[0])), orient="row")
        if not {"columns", "data"} <= table.keys():
            return None
        return require("polars", extra="ml").DataFrame(table["data"], schema=table["columns"], orient="row")
    except (ValueError, TypeError, InvalidInput, RecursionError):
        return None
