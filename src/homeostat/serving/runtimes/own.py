"""Models that run in an environment of their own: own code, scikit-learn, PyTorch, and whatever MLflow loads.

This module takes the standard library and NumPy alone, and what the model's environment brings.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from homeostat.registry.python_form import ARTIFACTS, answer_of, answer_of_own, as_arrays, in_order, open_own
from homeostat.registry.skops_form import FILE as SKOPS
from homeostat.registry.skops_form import load_skops
from homeostat.registry.torch_answer import answer_of_torch, load_torch
from homeostat.serving.tensors import Array

# What a request brings beside its columns: parameters as JSON, and the places of columns that were left out.
Asked = tuple[str, list[int]]
Ask = Callable[[list[Array], Asked], list[Array]]
# What the data plane says of the model: see `Order`.
Told = dict[str, Any]


def open_file(told: Told) -> Ask:
    """The file of a package: a pickle of own code or of scikit-learn, a file of skops, or PyTorch's exported program.

    Raises: ValueError when its bytes are not those recorded; Refused for a file of skops whose origin is not known, and
    that holds a type which may do harm.
    """
    root = Path(told["folder"])
    data = (root / told["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != told["sha256"]:
        raise ValueError(f"'{told['file']}' is not what was registered")
    if told["file"] != SKOPS and not told["recorded"]:
        raise ValueError(f"nobody vouches for '{told['file']}'")
    kept: Any = _kept(told, data)
    if told["flavor"] == "torch":
        answer = answer_of_torch(kept)
    elif told["flavor"] == "python":
        artifacts = root / ARTIFACTS
        kept = open_own(kept, artifacts if artifacts.is_dir() else None)
        answer = answer_of_own(kept)
    else:
        answer = answer_of(kept)
    names = [name for name, _ in told["inputs"]]
    outputs = [name for name, _ in told["outputs"]]
    by_name = hasattr(kept, "feature_names_in_")

    def ask(arrays: list[Array], asked: Asked) -> list[Array]:
        rows: Any = arrays[0]
        if not told["matrix"]:
            rows = table(told, arrays)
        elif by_name:
            import pandas as pd

            rows = pd.DataFrame(rows, columns=names)
        return in_order(answer(rows), outputs, len(rows))

    if by_name or not told["matrix"]:
        _need_pandas()
    return ask


def _kept(told: Told, data: bytes) -> Any:
    if told["file"] == SKOPS:
        return load_skops(data, trusted=bool(told["recorded"]))
    if told["flavor"] == "torch":
        return load_torch(data)
    return pickle.loads(data)  # noqa: S301 - the plane has looked at where it comes from


def open_mlflow(told: Told) -> Ask:
    """A model that MLflow itself loads, with the code it was logged with; asked with a data frame or with tensors, as
    its signature says."""
    import mlflow.pyfunc  # pyright: ignore[reportMissingImports] # of the model's environment

    model: Any = mlflow.pyfunc.load_model(str(Path(told["folder"], told["file"]).parent))
    schema = model.metadata.get_input_schema()
    outputs = [name for name, _ in told["outputs"]]
    tensors = schema.is_tensor_spec()
    named = schema.has_input_names()
    kinds = {} if tensors else {one.name: str(getattr(one.type, "name", "")) for one in schema.inputs}
    if not tensors:
        _need_pandas()

    def ask(arrays: list[Array], asked: Asked) -> list[Array]:
        params, absent = asked
        rows: Any
        if not tensors:
            rows = table(told, arrays, kinds, absent)
        elif named:
            given = enumerate(zip(told["inputs"], arrays, strict=True))
            rows = {name: array for at, ((name, _), array) in given if at not in absent}
        else:
            (rows,) = arrays
        answer = model.predict(rows, params=json.loads(params)) if params else model.predict(rows)
        return in_order(as_arrays(answer), outputs, len(arrays[0]))

    return ask


def table(told: Told, arrays: list[Array], kinds: dict[str, str] | None = None, absent: Sequence[int] = ()) -> Any:
    """The columns as a data frame: text as `str`, and as MLflow's `kinds` of columns have it, times as times. Those at
    the places `absent` are left out."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for at, ((name, datatype), array) in enumerate(zip(told["inputs"], arrays, strict=True)):
        if at in absent:
            continue
        kind = (kinds or {}).get(name, "")
        values: Any = array
        if datatype == "BYTES" and kind != "binary":
            values = [item.decode() for item in array.tolist()]
            if kind == "datetime":
                values = pd.to_datetime(values)
        columns[name] = values
    return pd.DataFrame(columns)


def _need_pandas() -> None:
    if find_spec("pandas") is None:
        raise ImportError("the model takes its columns as a data frame: its environment needs pandas")
