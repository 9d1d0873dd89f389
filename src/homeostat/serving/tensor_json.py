"""Tensors in JSON. It has no NaN: in floating tensors `null` is read as NaN and NaN is written as `null`; infinities
are written as `null` too. A number that its datatype cannot hold is refused, of a floating one as of an integer: what
came out of an infinity that nobody sent would look like a prediction. FP16 and BF16 have no JSON form in the protocol.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import msgspec
import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving.tensors import NUMPY, Array, count_of

_FLOATS = {"FP32", "FP64"}
_decode_floats = msgspec.json.Decoder(list[float]).decode
_decode_rows = msgspec.json.Decoder(list[list[float]]).decode
_decode_gaps = msgspec.json.Decoder(list[float | None]).decode
_decode_ints = msgspec.json.Decoder(list[int]).decode
_decode_bools = msgspec.json.Decoder(list[bool]).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_any = msgspec.json.Decoder(list[Any]).decode
# By the number of FP32 values, of those that come often.
_PACKERS: dict[int, struct.Struct] = {}
_MOST_PACKED = 1024
_KINDS: dict[str, tuple[type, ...]] = {"BOOL": (bool,), "BYTES": (str,)}


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
        with np.errstate(over="raise"):
            return np.array(values, dtype=NUMPY[datatype]).reshape(tuple(shape))
    except (OverflowError, FloatingPointError):
        raise outside(f"input '{name}'", datatype) from None


def outside(where: str, datatype: str) -> InvalidInput:
    """The error for a number that `datatype` cannot hold.

    >>> outside("input 'x'", "FP32").hint
    'at most 3.4028235e+38, either side of zero; an infinity is sent as binary data'
    """
    hint = ""
    if NUMPY[datatype].kind == "f":
        most = str(np.finfo(NUMPY[datatype]).max)
        hint = f"at most {most}, either side of zero; an infinity is sent as binary data"
    return InvalidInput(f"{where}: a value lies outside of {datatype}", hint=hint)


def floats_from_json(name: str, shape: Sequence[int], data: bytes | msgspec.Raw, wanted: int) -> bytes:
    """As `from_json` for FP32, in the protocol's bytes; in half the time for the usual case, a flat list of numbers.
    The shape holds `wanted` of them."""
    try:
        values = _decode_floats(data)
        count = len(values)
        if count == wanted:
            packer = _PACKERS.get(count)
            if packer is None:
                packer = struct.Struct(f"<{count}f")
                if count <= _MOST_PACKED:
                    _PACKERS[count] = packer
            return packer.pack(*values)
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        pass  # nested, with gaps, or wrong: told apart below
    return from_json(name, "FP32", shape, bytes(data)).tobytes()


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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if datatype in _FLOATS and "out of range" in str(error):  # beyond FP64 even
            raise outside(f"input '{name}'", datatype) from None
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


def to_json(datatype: str, array: Array) -> bytes:
    """`array` as a flat JSON list. NaN and infinities become null; BYTES that are not UTF-8 are refused."""
    flat = array.reshape(-1).tolist()
    if datatype == "BYTES":
        try:
            flat = [item.decode() if isinstance(item, bytes) else str(item) for item in flat]
        except UnicodeDecodeError:
            raise InvalidInput("an output holds bytes that are not text", hint="ask for it as binary data") from None
    return msgspec.json.encode(flat)
