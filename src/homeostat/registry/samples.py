"""The sample of a model's input: read from any table, described as a signature, kept as an Arrow file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.registry.model import Field

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

KEPT_ROWS = 1_000  # kept with the model
COMPARED_ROWS = 20_000  # looked at when two forms of the model are compared

# By Polars' own names for them.
_DTYPES = {
    "Float32": "FP32", "Float64": "FP64", "Boolean": "BOOL",
    "Int8": "INT8", "Int16": "INT16", "Int32": "INT32", "Int64": "INT64",
    "UInt8": "UINT8", "UInt16": "UINT16", "UInt32": "UINT32", "UInt64": "UINT64",
}  # fmt: skip


def read_sample(sample: Any, names: list[str] | None = None) -> pl.DataFrame:
    """`sample` (Polars, pandas, PyArrow, or a NumPy array of shape [n, k]) as a Polars frame.

    The columns of an array are called `names`, or f0, f1, …. Raises InvalidInput for an empty one.
    """
    pl, np = require("polars", extra="ml"), require("numpy", extra="ml")
    if isinstance(sample, np.ndarray):
        if sample.ndim != 2:
            raise InvalidInput(f"the sample has shape {sample.shape}", hint="rows × columns: sample.reshape(1, -1)?")
        columns = names if names and len(names) == sample.shape[1] else [f"f{n}" for n in range(sample.shape[1])]
        frame = pl.DataFrame(sample, schema=columns)
    elif type(sample).__module__.startswith("pandas"):
        frame = pl.from_pandas(sample)
    else:
        frame = pl.DataFrame(sample)
    if not frame.height or not frame.width:
        raise InvalidInput("the sample is empty", hint="pass some rows of the model's input, a hundred or more")
    # Dictionaries and enumerations depend on the session that made them; their words do not.
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def inputs_of(frame: pl.DataFrame) -> list[Field]:
    """The columns as the inputs of a signature; what is no number is BYTES."""
    return [Field(name=name, dtype=_DTYPES.get(str(dtype), "BYTES")) for name, dtype in frame.schema.items()]


def text_columns(frame: pl.DataFrame) -> list[str]:
    """The columns that do not fit into a tensor of numbers."""
    return [name for name, dtype in frame.schema.items() if str(dtype) not in _DTYPES]


def matrix(frame: pl.DataFrame) -> npt.NDArray[np.float64]:
    """The columns as one array [rows, columns]; a missing value is NaN."""
    import numpy as np
    import polars as pl

    return np.ascontiguousarray(frame.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def some_rows(frame: pl.DataFrame, count: int) -> pl.DataFrame:
    """At most `count` rows, evenly spread, always the same ones."""
    step = -(-frame.height // count)
    return frame.gather_every(step)


def write_sample(frame: pl.DataFrame, path: Path) -> None:
    """Keep up to 1,000 rows as an Arrow file; equal rows give equal bytes."""
    import polars as pl

    some_rows(frame, KEPT_ROWS).rechunk().write_ipc(
        path, compression="uncompressed", compat_level=pl.CompatLevel.oldest()
    )
