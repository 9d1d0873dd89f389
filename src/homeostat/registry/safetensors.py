"""safetensors: named arrays in one file that holds no code. A length, a JSON table of contents, and their bytes.

Format: https://github.com/huggingface/safetensors (version 0.x, little endian).
"""

from __future__ import annotations

import json
import struct
from typing import Any, cast

from homeostat.core.errors import InvalidInput

FILE = "weights.safetensors"
_LARGEST_HEADER = 100_000_000
# NumPy has no bfloat16: such a tensor is read as FP32, which holds every one of its values.
_TYPES = {
    "BOOL": "?", "I8": "<i1", "U8": "<u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8",
    "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2",
}  # fmt: skip


def write_safetensors(arrays: dict[str, Any]) -> bytes:
    """The arrays as one file; the same arrays give the same bytes. Raises: InvalidInput for a kind it cannot hold.

    >>> import numpy as np
    >>> read_safetensors(write_safetensors({"w": np.ones((2, 2), "float32")}))["w"].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    import numpy as np

    names = {np.dtype(code): name for name, code in _TYPES.items() if name != "BF16"}
    table: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name]).reshape(np.shape(arrays[name]))
        kind = names.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise InvalidInput(f"safetensors cannot hold '{name}': it is of {array.dtype}")
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        table[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    head = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *parts])


def read_safetensors(data: bytes) -> dict[str, Any]:
    """The arrays of a file by name. Raises: InvalidInput for what is no such file, or is cut off."""
    import numpy as np

    head, start = _head(data)
    found: dict[str, Any] = {}
    for name, said in head.items():
        if name == "__metadata__":
            continue
        try:
            code, shape = _TYPES[said["dtype"]], tuple(int(size) for size in said["shape"])
            first, last = (int(offset) for offset in said["data_offsets"])
            if not 0 <= first <= last <= len(data) - start or any(size < 0 for size in shape):
                raise ValueError("it lies outside of the file")
            array = np.frombuffer(data, np.uint8, last - first, start + first).view(code).reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the tensor '{name[:100]}' of the safetensors file is broken: {error}") from error
        found[name] = (array.astype("<u4") << 16).view("<f4") if said["dtype"] == "BF16" else array
    return found


def _head(data: bytes) -> tuple[dict[str, Any], int]:
    if len(data) < 8:
        raise InvalidInput("this is not a safetensors file: it is too short")
    (size,) = struct.unpack("<Q", data[:8])
    if size > min(len(data) - 8, _LARGEST_HEADER):
        raise InvalidInput("this is not a safetensors file: its head is longer than it")
    try:
        head = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError) as error:
        raise InvalidInput("this is not a safetensors file: its head is not JSON") from error
    if not isinstance(head, dict):
        raise InvalidInput("this is not a safetensors file: its head is no table")
    return cast("dict[str, Any]", head), 8 + size
