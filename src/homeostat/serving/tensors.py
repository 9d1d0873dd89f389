"""Tensors on the wire: the Open Inference Protocol's datatypes, and their little-endian bytes in row-major order. BF16,
which NumPy lacks, is held as float32.

This module takes the standard library and NumPy alone, because it also runs in environments of the models' own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from homeostat.core.errors import InvalidInput

Array = npt.NDArray[Any]

NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"), "UINT16": np.dtype("<u2"), "UINT32": np.dtype("<u4"), "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"), "INT16": np.dtype("<i2"), "INT32": np.dtype("<i4"), "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"),
    "BF16": np.dtype("<f4"), "BYTES": np.dtype("O"),
}  # fmt: skip
_OF_NUMPY = {dtype: name for name, dtype in NUMPY.items() if name != "BF16"}
_MOST = 1 << 31  # elements of a tensor, those beside an empty dimension
_SIZES = {name: 2 if name == "BF16" else dtype.itemsize for name, dtype in NUMPY.items() if name != "BYTES"}


def datatype_of(dtype: Any) -> str:
    """The protocol's name for a NumPy dtype.

    >>> datatype_of("float32")
    'FP32'
    """
    kind = np.dtype(dtype)
    if kind.kind in "USO":
        return "BYTES"
    name = _OF_NUMPY.get(kind.newbyteorder("<") if kind.itemsize > 1 else kind)
    if name is None:
        raise InvalidInput(f"the dtype {kind} has no datatype in the protocol", hint=", ".join(NUMPY))
    return name


def check_datatype(name: str, datatype: str) -> None:
    """InvalidInput unless `datatype` is one of the protocol's."""
    if datatype not in NUMPY:
        raise InvalidInput(f"input '{name}': '{datatype[:40]}' is not a datatype", hint=", ".join(NUMPY))


def count_of(name: str, shape: Sequence[int]) -> int:
    """The number of elements of `shape`; InvalidInput for a negative dimension, or dimensions beyond any tensor."""
    if shape and min(shape) < 0:
        raise InvalidInput(f"input '{name}': the shape {list(shape)} has a negative dimension")
    count = math.prod(shape)
    if not count and math.prod([size or 1 for size in shape]) > _MOST:  # no data is missing, and no array can be so
        raise InvalidInput(f"input '{name}': the shape {list(shape)} is larger than any tensor may be")
    return count


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Array:
    """The array in `data` (row-major, little-endian). InvalidInput when the length does not fit the shape."""
    count = count_of(name, shape)
    if datatype == "BYTES":
        return np.array(split_bytes(name, count, data), dtype=object).reshape(tuple(shape))
    size = _SIZES[datatype] * count
    if len(data) != size:
        raise InvalidInput(
            f"input '{name}': {datatype} of shape {list(shape)} takes {size} bytes, {len(data)} were sent"
        )
    if datatype == "BF16":
        halves = np.frombuffer(data, "<u2").astype("<u4")
        return (halves << 16).view("<f4").reshape(tuple(shape))
    if datatype == "BOOL":
        return (np.frombuffer(data, "u1") != 0).reshape(tuple(shape))
    return np.frombuffer(data, NUMPY[datatype]).reshape(tuple(shape))


def split_bytes(name: str, count: int, data: bytes) -> list[bytes]:
    """The `count` elements of a BYTES tensor: each a little-endian 32-bit length and that many bytes."""
    found: list[bytes] = []
    at, end = 0, len(data)
    for _ in range(count):
        if at + 4 > end:
            break
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + size > end:
            break
        found.append(data[at : at + size])
        at += size
    if len(found) != count or at != end:
        raise InvalidInput(f"input '{name}': its {end} bytes are not {count} elements, each with its length before it")
    return found


def to_bytes(datatype: str, array: Array) -> bytes:
    """`array` as the protocol's bytes: row-major, little-endian."""
    if datatype == "BYTES":
        parts: list[bytes] = []
        for item in array.reshape(-1).tolist():
            text = item if isinstance(item, bytes) else str(item).encode()
            parts += (struct.pack("<I", len(text)), text)
        return b"".join(parts)
    if datatype == "BF16":
        return (np.ascontiguousarray(array, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return array.astype(NUMPY[datatype], copy=False).tobytes()
