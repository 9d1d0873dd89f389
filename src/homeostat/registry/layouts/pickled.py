"""The process that loads somebody's pickle: `python -m homeostat.registry.layouts.pickled FILE DEST EXAMPLE COLUMNS`.

It writes a package like `package_model` does. Rows that were made up show the model's shape and are not kept; only on
a hundred rows or more of a real example is an ONNX form tried.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.registry.layouts.examples import read_example
from homeostat.registry.packaging import package_model, write_manifest
from homeostat.registry.python_form import ARTIFACTS
from homeostat.registry.skops_form import load_skops
from homeostat.registry.torch_answer import load_torch
from homeostat.registry.torch_form import is_torch, width_of_torch

_COMPARED_ROWS = 100


def repackage(file: Path, dest: Path, example: Path | None, columns: list[str]) -> None:
    """Load the model in `file` and write its package into `dest`. Raises: InvalidInput when it tells too little."""
    model, pickled = _loaded(file), file.suffix != ".skops"
    beside = file.with_name(ARTIFACTS)
    artifacts = beside if isinstance(model, type) and beside.is_dir() else None
    rows = read_example(example)
    if rows is not None:
        onnx = rows.height >= _COMPARED_ROWS
        package_model(model, rows, dest, onnx=onnx, pickled=pickled, artifacts=artifacts)
        return
    package = package_model(model, _made_up(model, columns), dest, onnx=False, pickled=pickled, artifacts=artifacts)
    if package.sample is not None:
        (dest / package.sample).unlink()
    write_manifest(dest, msgspec.structs.replace(package, sample=None))


def _loaded(file: Path) -> Any:
    if file.suffix == ".skops":
        # A file of types that skops does not know came here only because the caller allows its code.
        return load_skops(file.read_bytes(), trusted=True)
    if file.suffix == ".pt2":
        return load_torch(file.read_bytes())
    if file.suffix in (".pth", ".pt"):
        return require("torch", extra="torch").load(file, weights_only=False)
    try:
        import joblib
    except ImportError:
        # What this process is for; the caller was told that it may run the model's code.
        return pickle.loads(file.read_bytes())  # noqa: S301 - allowed by the caller
    return joblib.load(file)


def _made_up(model: Any, columns: list[str]) -> Any:
    import numpy as np
    import polars as pl

    fitted = getattr(model, "feature_names_in_", None)
    names = [str(name) for name in fitted] if fitted is not None else columns
    width = int(getattr(model, "n_features_in_", 0)) or len(names) or (width_of_torch(model) if is_torch(model) else 0)
    if not width:
        raise InvalidInput("the model does not tell how many columns it takes", hint="add an input example")
    rows = np.random.default_rng(0).normal(size=(8, width))
    return pl.DataFrame(rows, schema=names) if len(names) == width else rows


if __name__ == "__main__":
    _, _file, _dest, _example, _columns = sys.argv
    try:
        repackage(Path(_file), Path(_dest), Path(_example) if _example else None, json.loads(_columns))
    except Exception as error:  # whatever the model's code raises is told in one line
        print(f"{type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr)
        sys.exit(1)
