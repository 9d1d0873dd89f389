"""`Frame`: a table in memory, from any library that speaks the Arrow C stream (Polars, PyArrow, pandas 2, DuckDB).

Verbs that take a Frame accept any of them; verbs that give one give a `polars.DataFrame`. Over HTTP a Frame travels as
an Arrow IPC stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from homeostat.core.arrow_size import unpacked_size
from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.extras import require

if TYPE_CHECKING:
    import polars

MEDIA_TYPE = "application/vnd.apache.arrow.stream"


@runtime_checkable
class Frame(Protocol):
    """Anything that exports itself through the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


def to_polars(frame: Frame) -> polars.DataFrame:
    """`frame` as a Polars data frame, without copying where the memory allows."""
    pl = require("polars", extra="data")
    if isinstance(frame, pl.DataFrame):
        return frame  # pyright: ignore[reportReturnType]
    return pl.DataFrame(frame)


def to_ipc(frame: Frame) -> bytes:
    """`frame` as an Arrow IPC stream."""
    import io

    sink = io.BytesIO()
    to_polars(frame).write_ipc_stream(sink, compression="zstd")
    return sink.getvalue()


def from_ipc(data: bytes, limit: int | None = None) -> polars.DataFrame:
    """The frame in an Arrow IPC stream.

    Raises: InvalidInput when the bytes are something else or cut off; TooLarge when they unpack to more than `limit`.
    """
    pl = require("polars", extra="data")
    try:
        if limit is not None and (size := unpacked_size(data)) > limit:
            raise TooLarge(f"the body unpacks to {size:,} bytes, more than {limit:,}", hint="send it in several parts")
        return pl.read_ipc_stream(data)
    except TooLarge:
        raise
    except Exception as error:  # Polars raises several unrelated classes for malformed streams
        raise InvalidInput(f"the body is not a whole Arrow IPC stream: {error}") from error
