"""Parquet files as frames."""

from __future__ import annotations

import io

import polars as pl

from homeostat.core.errors import InvalidInput


def read_parquet(data: bytes, name: str) -> pl.DataFrame:
    """The rows of a Parquet file. Raises: InvalidInput for one that is cut off, damaged or something else."""
    if data[:4] != b"PAR1":
        raise InvalidInput(f"{name} does not begin like a Parquet file", hint="format='csv'?", file=name)
    if data[-4:] != b"PAR1" or len(data) < 12:
        raise InvalidInput(f"{name} is cut off: the end of a Parquet file is missing", hint="get it again", file=name)
    try:
        return pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"{name} is a damaged Parquet file: {error}", hint="get it again", file=name) from error
