"""Tensors on the wire: the Open Inference Protocol's datatypes, in JSON and as little-endian bytes.

JSON has no NaN: in floating tensors `null` is read as NaN and NaN is written as `null`; infinities are written as
`null` too. FP16 and BF16 have no JSON form in the protocol. BF16, which NumPy lacks, is held as float32.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import msgspec
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
_SIZES = {name: 2 if name == "BF16" else dtype.itemsize for name, dtype in NUMPY.items() if name != "BYTES"}
_FLOATS = {"FP32", "FP64"}
_decode_floats = msgspec.json.Decoder(list[float]).decode
_decode_rows = msgspec.json.Decoder(list[list[float]]).decode
_decode_gaps = msgspec.json.Decoder(list[float | None]).decode
_decode_ints = msgspec.json.Decoder(list[int]).decode
_decode_bools = msgspec.json.Decoder(list[bool]).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_any = msgspec.json.Decoder(list[Any]).decode
_KINDS: dict[str, tuple[type, ...]] = {"BOOL": (bool,), "BYTES": (str,)}


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
    """The number of elements of `shape`; InvalidInput for a negative dimension."""
    if any(size < 0 for size in shape):
        raise InvalidInput(f"input '{name}': the shape {list(shape)} has a negative dimension")
    return math.prod(shape)


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


def from_json(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Array:
    """The array in the JSON text `data`, flat or nested. InvalidInput when it does not fit datatype and shape."""
    count = count_of(name, shape)
    if datatype in ("FP16", "BF16"):
        raise InvalidInput(f"input '{name}': {datatype} has no JSON form", hint="send it as binary data, or as FP32")
    values = _values(name, datatype, data)
    if len(values) != count:
        raise InvalidInput(f"input '{name}': the shape {list(shape)} holds {count} values, {len(values)} were sent")
    if datatype == "BYTES":
        return np.array([text.encode() for text in values], dtype=object).reshape(tuple(shape))
    try:
        return np.array(values, dtype=NUMPY[datatype]).reshape(tuple(shape))
    except OverflowError:
        raise InvalidInput(f"input '{name}': a value lies outside of {datatype}") from None


def floats_from_json(name: str, shape: Sequence[int], data: bytes) -> bytes:
    """As `from_json` for FP32, in the protocol's bytes; in half the time for the usual case, a flat list of numbers."""
    try:
        values = _decode_floats(data)
        if len(values) == count_of(name, shape):
            return struct.pack(f"<{len(values)}f", *values)
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        pass  # nested, with gaps, or wrong: told apart below
    return from_json(name, "FP32", shape, data).tobytes()


def _values(name: str, datatype: str, data: bytes) -> list[Any]:
    """The elements of `data` in row-major order; the flat form is tried first because it is the common one."""
    try:
        if datatype in _FLOATS:
            return cast("list[Any]", _decode_floats(data))
        if datatype == "BOOL":
            return cast("list[Any]", _decode_bools(data))
        if datatype == "BYTES":
            return cast("list[Any]", _decode_texts(data))
        return cast("list[Any]", _decode_ints(data))
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        if datatype in _FLOATS:
            return list(chain.from_iterable(_decode_rows(data)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        values = _flatten(_decode_any(data))
        if datatype in _FLOATS:
            return [math.nan if v is None else v for v in _decode_gaps(msgspec.json.encode(values))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput(f"input '{name}': the data is not a list of {datatype} values") from None
    kinds = _KINDS.get(datatype, (int,))
    if any(type(value) not in kinds for value in values):
        raise InvalidInput(f"input '{name}': the data is not a list of {datatype} values")
    return values


def _flatten(values: list[Any], depth: int = 0) -> list[Any]:
    if depth > 8:
        raise RecursionError
    if not any(isinstance(value, list) for value in values):
        return values
    if not all(isinstance(value, list) for value in values):
        raise RecursionError  # ragged: some elements are lists and some are not
    return [leaf for value in values for leaf in _flatten(value, depth + 1)]


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
    return np.ascontiguousarray(array, NUMPY[datatype]).tobytes()


def to_json(datatype: str, array: Array) -> bytes:
    """`array` as a flat JSON list. NaN and infinities become null; BYTES that are not UTF-8 are refused."""
    flat = array.reshape(-1).tolist()
    if datatype == "BYTES":
        try:
            flat = [item.decode() if isinstance(item, bytes) else str(item) for item in flat]
        except UnicodeDecodeError:
            raise InvalidInput("an output holds bytes that are not text", hint="ask for it as binary data") from None
    return msgspec.json.encode(flat)
