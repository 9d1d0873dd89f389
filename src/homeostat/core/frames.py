"""`Frame`: a table in memory, from any library that speaks the Arrow C stream (Polars, PyArrow, pandas 2, DuckDB).

Verbs that take a Frame accept any of them; verbs that give one give a `polars.DataFrame`. Over HTTP a Frame travels as
an Arrow IPC stream.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from homeostat.core.arrow_size import unpacked_size
from homeostat.core.errors import InvalidInput, MissingExtra, TooLarge
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
    """The frame in an Arrow IPC stream. With a `limit` nothing of the bytes is believed: it is what strangers send.

    Raises: InvalidInput when the bytes are something else or cut off; TooLarge when they unpack to more than `limit`.
    """
    pl = require("polars", extra="data")
    try:
        if limit is None:
            return pl.read_ipc_stream(data)
        if (size := unpacked_size(data)) > limit:
            raise TooLarge(f"the body unpacks to {size:,} bytes, more than {limit:,}", hint="send it in several parts")
        # Polars ends the whole process over some lengths and offsets that cannot be meant.
        return checked(lambda arrow: arrow.ipc.open_stream(arrow.py_buffer(data)).read_all())
    except (TooLarge, MissingExtra):
        raise
    except Exception as error:  # several unrelated classes for malformed streams
        raise InvalidInput(f"the body is not a whole Arrow IPC stream: {error}") from error


def from_ipc_file(data: bytes) -> polars.DataFrame:
    """The frame in an Arrow IPC file that strangers may have made, such as a model's sample. Raises: InvalidInput."""
    try:
        return checked(lambda arrow: arrow.ipc.open_file(arrow.py_buffer(data)).read_all())
    except MissingExtra:
        raise
    except Exception as error:  # several unrelated classes
        raise InvalidInput(f"that is not a whole Arrow IPC file: {error}") from error


def checked(read: Callable[[Any], Any]) -> polars.DataFrame:
    """What `read(pyarrow)` gives, a table of Arrow's, once every offset and text in it is checked to be sound.

    Raises: ValueError and others of PyArrow's for what is not.
    """
    pl = require("polars", extra="data")
    arrow = require("pyarrow", extra="data")
    importlib.import_module("pyarrow.ipc")
    table = read(arrow)
    table.validate(full=True)
    try:
        return pl.DataFrame(pl.from_arrow(table))
    except pl.exceptions.PanicException as error:  # no Exception; such as for a name that is no text
        raise ValueError(f"it holds what cannot be read: {error}") from error
