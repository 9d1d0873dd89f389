"""What a model version accepts and gives, and the check of each request against it, with errors in one line.

A tabular model takes its columns as one tensor "features" of shape [rows, columns], or as one tensor per named
column. When its columns are of mixed datatypes there is no "features" tensor. Any other model takes its tensors as
they are declared.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.serving import tensor_json, tensors
from homeostat.serving.content import as_declared

FEATURES = "features"
# Tensors with more elements per row are not kept in the prediction log.
MAX_LOGGED = 4096


class TensorSpec(Record):
    """A tensor's name, datatype and shape; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class WireTensor(msgspec.Struct, gc=False):
    """An input tensor as it stands in a request. `data` is its JSON text, absent when it travels as bytes."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: dict[str, Any] | None = None


class Accepted(msgspec.Struct, gc=False):
    """A request that fits: its rows, what the runtime is fed (`Contract.merge` joins several), its metadata.

    `key` holds one text or number per row, `times` one little-endian INT64 per row.
    """

    rows: int
    payload: Any
    key: list[Any] | None
    times: bytes | None


class Contract:
    """The check shared by every kind of model. `feed` turns joined payloads into what the runtime takes."""

    batchable = True
    asks = False  # whether requests bring more than inputs: see `AskedContract`

    def __init__(self, model: str, inputs: Sequence[TensorSpec], key: str, time: str) -> None:
        self.model = model
        self.inputs = list(inputs)
        self.names = {spec.name: at for at, spec in enumerate(inputs)}
        self.key = key if key not in self.names else ""
        self.time = time if time not in self.names else ""
        self.offered = self.inputs  # as metadata shows them

    def accept(self, wires: list[WireTensor], body: bytes, at: int, known: frozenset[str] = frozenset()) -> Accepted:
        """The request in `wires`; binary tensors lie in `body` from `at` on, in their order.

        Inputs in `known` that this version does not use are passed over: they are for another version of the model.

        Raises: InvalidInput naming the tensor and what is wrong with it.
        """
        rows = -1
        key: list[Any] | None = None
        times: bytes | None = None
        taken: dict[str, Any] = {}
        for wire in wires:
            name = wire.name
            size = -1
            parameters = wire.parameters
            if parameters is not None and "binary_data_size" in parameters:
                size = _binary_size(wire, at, len(body))
                data = body[at : at + size]
                at += size
            else:
                data = bytes(wire.data)
                if not data:
                    raise InvalidInput(f"input '{name[:80]}' has no data")
            if name in taken:
                raise InvalidInput(f"input '{name[:80]}' is given twice")
            if parameters is not None and "content_type" in parameters:
                wire, data, size = self._converted(wire, parameters["content_type"], data, size)
            if name == self.key:
                key = _keys(wire, size >= 0, data)
                taken[name] = len(key)
            elif name == self.time:
                times = _times(wire, size >= 0, data)
                taken[name] = len(times) // 8
            else:
                found = self.take(wire, size >= 0, data)
                if found is None:
                    if name not in known:
                        raise self.unknown(name)
                    continue
                count, taken[name] = found
                if rows >= 0 and count != rows:
                    raise InvalidInput(f"input '{name}' has {count} rows, the inputs before it have {rows}")
                rows = count
        if at != len(body):
            raise InvalidInput(f"{len(body) - at} bytes after the last binary tensor belong to no input")
        for name in (self.key, self.time):
            if name and name in taken and taken.pop(name) != rows and rows >= 0:
                raise InvalidInput(f"input '{name}' must have one value for each of the {rows} rows")
        return Accepted(rows, self.complete(rows, taken), key, times)

    def _converted(self, wire: WireTensor, content: Any, data: bytes, size: int) -> tuple[WireTensor, bytes, int]:
        """The input as the signature has it, by its content type; `size` is -1 for data in JSON."""
        place = self.names.get(wire.name)
        declared = wire.datatype if place is None else self.inputs[place].datatype
        datatype, data, binary = as_declared(
            wire.name, str(content), wire.datatype, declared, wire.shape, data, size >= 0
        )
        return WireTensor(wire.name, wire.shape, datatype), data, len(data) if binary else -1

    def take(self, wire: WireTensor, binary: bool, data: bytes) -> tuple[int, Any] | None:
        """Rows and value of one input; None when this model has no such input."""
        raise NotImplementedError

    def complete(self, rows: int, taken: dict[str, Any]) -> Any:
        """The payload from the inputs taken; InvalidInput when one is missing."""
        raise NotImplementedError

    def bind(self, payload: Any, params: dict[str, Any] | None, parameters: dict[str, Any] | None) -> None:
        """For models that ask for parameters: take those of a request. Raises: InvalidInput."""

    def joins(self, one: Any, other: Any) -> bool:
        """Whether two payloads may be joined."""
        return True

    def merge(self, payloads: list[Any]) -> Any:
        """Several payloads as one, rows in order."""
        raise NotImplementedError

    def choose(self, payload: Any, rows: tensors.Array) -> Any:
        """The rows of a payload where `rows` (booleans) is true."""
        raise NotImplementedError

    def feed(self, payload: Any) -> list[tensors.Array]:
        """A payload as the runtime's arrays."""
        raise NotImplementedError

    def logged(self, payload: Any) -> list[tuple[list[str], str, list[int], bytes]]:
        """A payload for the prediction log: (column names, datatype, shape of one row, bytes) per array."""
        raise NotImplementedError

    def unknown(self, name: str) -> InvalidInput:
        """The error for an input this model does not have."""
        choices = [spec.name for spec in self.offered] + list(self.names)
        near = difflib.get_close_matches(name, choices, 1)
        return InvalidInput(
            f"model '{self.model}' has no input '{name[:80]}'",
            hint=f"did you mean '{near[0]}'?" if near else f"its inputs are {_some(list(dict.fromkeys(choices)))}",
        )

    def missing(self, taken: dict[str, Any]) -> InvalidInput:
        """The error for inputs that were not sent."""
        absent = [name for name in self.names if name not in taken]
        what = "input" if len(absent) == 1 else f"{len(absent)} inputs"
        return InvalidInput(f"model '{self.model}' misses the {what} {_some(absent)}")


class MatrixContract(Contract):
    """Numeric columns that the model sees as one float32 matrix. A payload is the matrix's bytes.

    `tensor` is the matrix's name; "features" is understood too, unless a column is called that.
    """

    def __init__(self, model: str, inputs: Sequence[TensorSpec], key: str, time: str, tensor: str = FEATURES) -> None:
        super().__init__(model, inputs, key, time)
        self.width = len(self.inputs)
        self.row_bytes = 4 * self.width
        self.column_names = [spec.name for spec in self.inputs]
        self.whole = {tensor, FEATURES} - set(self.names)
        self._alone = self.whole - {self.key, self.time}
        self.offered = [TensorSpec(name=tensor, datatype="FP32", shape=[-1, self.width])]

    def accept(self, wires: list[WireTensor], body: bytes, at: int, known: frozenset[str] = frozenset()) -> Accepted:
        """See `Contract.accept`. What most requests are, the one matrix in JSON or as bytes and nothing beside it, is
        checked at once; whatever differs from that in anything goes the long way."""
        if len(wires) == 1:
            wire = wires[0]
            shape, parameters = wire.shape, wire.parameters
            if (
                wire.name in self._alone and wire.datatype == "FP32"
                and len(shape) == 2 and shape[1] == self.width and shape[0] > 0
            ):  # fmt: skip
                rows = shape[0]
                if parameters is None:
                    if len(wire.data) and at == len(body):
                        matrix = tensor_json.floats_from_json(wire.name, shape, wire.data, rows * self.width)
                        return Accepted(rows, matrix, None, None)
                elif len(parameters) == 1:
                    size = parameters.get("binary_data_size")
                    if type(size) is int and size == rows * self.row_bytes and at + size == len(body):
                        return Accepted(rows, body[at:], None, None)
        return super().accept(wires, body, at, known)

    def take(self, wire: WireTensor, binary: bool, data: bytes) -> tuple[int, Any] | None:
        name, shape = wire.name, wire.shape
        if name in self.whole:
            if wire.datatype != "FP32":
                raise _wrong_datatype(wire, "FP32")
            if len(shape) != 2 or shape[1] != self.width:
                raise InvalidInput(f"input '{name}': expected shape [rows, {self.width}], got {shape[:8]}")
            rows = shape[0]
            if not binary:
                return rows, tensor_json.floats_from_json(name, shape, data, tensors.count_of(name, shape))
            if len(data) != rows * self.row_bytes:
                tensors.from_bytes(name, "FP32", shape, data)  # says what is wrong
            return rows, data
        place = self.names.get(name)
        return None if place is None else _column(wire, self.inputs[place], binary, data)

    def complete(self, rows: int, taken: dict[str, Any]) -> bytes:
        whole = next((taken[name] for name in self.whole if name in taken), None)
        if whole is not None:
            if len(taken) > 1:
                raise InvalidInput(f"send either the tensor '{self.offered[0].name}' or the named columns, not both")
        elif len(taken) != self.width:
            raise self.missing(taken)
        if rows < 1:
            raise InvalidInput("the request has no rows")
        if whole is not None:
            return whole
        matrix = np.empty((rows, self.width), "<f4")
        for name, values in taken.items():
            matrix[:, self.names[name]] = values
        return matrix.tobytes()

    def merge(self, payloads: list[bytes]) -> bytes:
        return payloads[0] if len(payloads) == 1 else b"".join(payloads)

    def choose(self, payload: bytes, rows: tensors.Array) -> bytes:
        return self.feed(payload)[0][rows].tobytes()

    def feed(self, payload: bytes) -> list[tensors.Array]:
        return [np.frombuffer(payload, "<f4").reshape(-1, self.width)]

    def logged(self, payload: bytes) -> list[tuple[list[str], str, list[int], bytes]]:
        return [(self.column_names, "FP32", [self.width], payload)]


class ColumnsContract(Contract):
    """Columns of mixed datatypes. A payload is one array per column, in the signature's order."""

    def take(self, wire: WireTensor, binary: bool, data: bytes) -> tuple[int, Any] | None:
        place = self.names.get(wire.name)
        return None if place is None else _column(wire, self.inputs[place], binary, data)

    def complete(self, rows: int, taken: dict[str, Any]) -> list[tensors.Array]:
        if len(taken) != len(self.inputs):
            raise self.missing(taken)
        if rows < 1:
            raise InvalidInput("the request has no rows")
        return [taken[spec.name] for spec in self.inputs]

    def merge(self, payloads: list[list[tensors.Array]]) -> list[tensors.Array]:
        return payloads[0] if len(payloads) == 1 else [np.concatenate(parts) for parts in zip(*payloads, strict=True)]

    def choose(self, payload: list[tensors.Array], rows: tensors.Array) -> list[tensors.Array]:
        return [array[rows] for array in payload]

    def feed(self, payload: list[tensors.Array]) -> list[tensors.Array]:
        return payload

    def logged(self, payload: list[tensors.Array]) -> list[tuple[list[str], str, list[int], bytes]]:
        skip = 1 if self.batchable else 0
        return [
            ([spec.name], spec.datatype, list(array.shape[skip:]), tensors.to_bytes(spec.datatype, array))
            for spec, array in zip(self.inputs, payload, strict=True)
            if math.prod(array.shape[skip:]) <= MAX_LOGGED
        ]


class TensorsContract(ColumnsContract):
    """Tensors of any shape. Requests are joined only when every tensor's first dimension is free."""

    def __init__(self, model: str, inputs: Sequence[TensorSpec], key: str, time: str, batchable: bool) -> None:
        super().__init__(model, inputs, key, time)
        free_tail = any(size < 0 for spec in inputs for size in spec.shape[1:])
        self.batchable = batchable and not free_tail and all(spec.shape[:1] == [-1] for spec in inputs)

    def take(self, wire: WireTensor, binary: bool, data: bytes) -> tuple[int, Any] | None:
        place = self.names.get(wire.name)
        if place is None:
            return None
        spec, shape = self.inputs[place], wire.shape
        if wire.datatype != spec.datatype:
            raise _wrong_datatype(wire, spec.datatype)
        if len(shape) != len(spec.shape) or any(
            want not in (-1, got) for want, got in zip(spec.shape, shape, strict=True)
        ):
            raise InvalidInput(f"input '{wire.name}': expected shape {spec.shape}, got {shape[:8]}")
        read = tensors.from_bytes if binary else tensor_json.from_json
        return (shape[0] if self.batchable else 1), read(wire.name, wire.datatype, shape, data)


def first_key(wires: list[WireTensor], name: str, body: bytes, at: int) -> Any:
    """The first row's key in the tensor `name`, or None without one. The model's own inputs are not looked at."""
    for wire in wires:
        size = _binary_size(wire, at, len(body)) if wire.parameters and "binary_data_size" in wire.parameters else -1
        if wire.name == name:
            keys = _keys(wire, size >= 0, body[at : at + size] if size >= 0 else bytes(wire.data))
            return keys[0] if keys else None
        at += max(size, 0)
    return None


def _binary_size(wire: WireTensor, at: int, end: int) -> int:
    size = (wire.parameters or {})["binary_data_size"]
    if type(size) is not int or size < 0:
        raise InvalidInput(f"input '{wire.name[:80]}': binary_data_size is not a number of bytes")
    if at + size > end:
        raise InvalidInput(
            f"input '{wire.name[:80]}' announces {size} bytes, {max(0, end - at)} are left in the body",
            hint="the header Inference-Header-Content-Length gives the length of the JSON before them",
        )
    return size


def _column(wire: WireTensor, spec: TensorSpec, binary: bool, data: bytes) -> tuple[int, tensors.Array]:
    if wire.datatype != spec.datatype:
        raise _wrong_datatype(wire, spec.datatype)
    shape = wire.shape
    if not shape or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise InvalidInput(f"input '{wire.name}': a column has the shape [rows], got {shape[:8]}")
    read = tensors.from_bytes if binary else tensor_json.from_json
    return shape[0], read(wire.name, wire.datatype, shape[:1], data)


def _keys(wire: WireTensor, binary: bool, data: bytes) -> list[Any]:
    if wire.datatype not in ("BYTES", "INT64"):
        raise InvalidInput(f"input '{wire.name}': a key is BYTES or INT64, {wire.datatype[:20]} was sent")
    count = tensors.count_of(wire.name, wire.shape)
    if not binary:
        values = tensor_json.from_json(wire.name, wire.datatype, [count], data).tolist()
    elif wire.datatype == "INT64":
        values = tensors.from_bytes(wire.name, "INT64", [count], data).tolist()
    else:
        values = tensors.split_bytes(wire.name, count, data)
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError:
        raise InvalidInput(f"input '{wire.name}': a key is text in UTF-8") from None


def _times(wire: WireTensor, binary: bool, data: bytes) -> bytes:
    if wire.datatype != "INT64":
        raise _wrong_datatype(wire, "INT64")
    count = tensors.count_of(wire.name, wire.shape)
    if not binary:
        data = tensor_json.from_json(wire.name, "INT64", [count], data).tobytes()
    elif len(data) != 8 * count:
        tensors.from_bytes(wire.name, "INT64", [count], data)  # says what is wrong
    # The loop goes through time from the first prediction on: no odd one may come in. Milliseconds up to the year 6429
    # leave the highest 17 bits empty, and bytes are compared faster than numbers are made of them.
    if data[7::8].count(0) < count or data[6::8].count(0) < count or max(data[5::8], default=0) > 127:
        raise InvalidInput(
            f"input '{wire.name}' holds times before 1970 or after 6429", hint="send milliseconds since 1970 UTC"
        )
    return data


def _wrong_datatype(wire: WireTensor, expected: str) -> InvalidInput:
    tensors.check_datatype(wire.name, wire.datatype)
    return InvalidInput(f"input '{wire.name}': expected datatype {expected}, got {wire.datatype}")


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
