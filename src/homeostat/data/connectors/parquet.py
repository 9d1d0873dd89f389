"""Parquet files as frames."""

from __future__ import annotations

import io

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.frames import checked
from homeostat.data.connectors.packed import MAX_UNPACKED

# A number in memory.
_WIDTH = 8


def read_parquet(data: bytes, name: str, limit: int = MAX_UNPACKED) -> pl.DataFrame:
    """The rows of a Parquet file.

    Raises: InvalidInput for one that is cut off, damaged or something else; TooLarge when its footer says that it
    unpacks to more than `limit` bytes.
    """
    if data[:4] != b"PAR1":
        raise InvalidInput(f"{name} does not begin like a Parquet file", hint="format='csv'?", file=name)
    if data[-4:] != b"PAR1" or len(data) < 12:
        raise InvalidInput(f"{name} is cut off: the end of a Parquet file is missing", hint="get it again", file=name)
    try:
        size = _unpacked(data)
        if size > limit:
            raise TooLarge(f"{name} unpacks to {size:,} bytes, more than {limit:,}", hint="import it in parts")
        # Polars ends the whole process over some damaged lengths.
        return checked(lambda _: pq.read_table(io.BytesIO(data)))
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise InvalidInput(f"{name} is a damaged Parquet file: {error}", hint="get it again", file=name) from error


def _unpacked(data: bytes) -> int:
    # Repeated values take next to nothing in the file and their whole width in memory.
    told = pq.read_metadata(io.BytesIO(data))
    pages = sum(told.row_group(number).total_byte_size for number in range(told.num_row_groups))
    return max(pages, told.num_rows * told.num_columns * _WIDTH)
