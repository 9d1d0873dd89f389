"""ModelInfer's messages: read into the tensors that every request is checked as, written from a batch's outputs.

Raw contents go from the socket to the model without being looked at; typed contents are turned into the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensors
from homeostat.serving.contract import TensorSpec, WireTensor
from homeostat.serving.http2.call import Call
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.model import ROLES
from homeostat.serving.oip import Outputs, WireOutput, WireRequest
from homeostat.serving.question import Question
from homeostat.serving.rpc_wire import (
    BYTES,
    VARINT,
    Value,
    broken,
    bytes_of,
    double,
    field,
    fields,
    packed,
    read_varint,
    signed,
    text_of,
    unpack_varints,
    varint,
)

# Fields of InferTensorContents by datatype.
_CONTENTS = {
    "BOOL": 1, "INT8": 2, "INT16": 2, "INT32": 2, "INT64": 3, "UINT8": 4, "UINT16": 4, "UINT32": 4, "UINT64": 5,
    "FP32": 6, "FP64": 7, "BYTES": 8,
}  # fmt: skip
_Head = tuple[str, str, tuple[int, ...], dict[str, Any] | None]
# What a client says of its tensors is the same bytes in every call: read once.
_heads: dict[bytes, _Head] = {}
_names: dict[bytes, str] = {}


class InferCall:
    """A ModelInferRequest. `typed`: the tensors came as typed contents, and so go back."""

    __slots__ = ("body", "model", "request", "typed", "version")

    def __init__(self, message: bytes) -> None:
        model = version = b""
        identity = ""
        parameters: dict[str, Any] | None = None
        heads: list[tuple[_Head, bytes | None]] = []
        outputs: list[WireOutput] | None = None
        raws: list[bytes] = []
        at, end = 0, len(message)
        while at < end:
            # The common fields by hand: short tags and lengths, which cost most in the general reader.
            tag = message[at]
            if tag & 0x87 != BYTES or at + 1 >= end:
                at = _skip(message, at)
                continue
            size = message[at + 1]
            at += 2
            if size >= 128:
                size, at = read_varint(message, at - 1)
            stop = at + size
            if stop > end:
                raise broken()
            value = message[at:stop]
            at = stop
            if tag == 0x3A:
                raws.append(value)
            elif tag == 0x2A:
                known = _heads.get(value)
                heads.append((known, None) if known is not None else _tensor(value))
            elif tag == 0x0A:
                model = value
            elif tag == 0x1A:
                identity = text_of(value)
            elif tag == 0x12:
                version = value
            elif tag == 0x22:
                parameters = {**(parameters or {}), **_parameter(value)}
            elif tag == 0x32:
                outputs = [*(outputs or []), _output(value)]
        self.model = _names.get(model) or _name(model)
        self.version = text_of(version) or None
        self.typed = not raws and any(contents is not None for _, contents in heads)
        wires, self.body = _wires(heads, raws)
        self.request = WireRequest(wires, identity, parameters, outputs)


def _wires(heads: list[tuple[_Head, bytes | None]], raws: list[bytes]) -> tuple[list[WireTensor], bytes]:
    if raws:
        if len(raws) != len(heads) or any(contents is not None for _, contents in heads):
            raise InvalidInput(
                f"{len(raws)} raw_input_contents for {len(heads)} inputs",
                hint="raw contents are given for every input, or for none",
            )
        blocks = raws
    else:
        blocks = [_from_contents(head, contents or b"") for head, contents in heads]
    wires: list[WireTensor] = []
    for ((name, datatype, shape, parameters), _), block in zip(heads, blocks, strict=True):
        size = {"binary_data_size": len(block)}
        if parameters is not None:
            size = {**parameters, **size}
        wires.append(WireTensor(name, list(shape), datatype, parameters=size))
    return wires, blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _name(model: bytes) -> str:
    if len(_names) > 1000:
        _names.clear()
    name = _names[model] = text_of(model)
    return name


def _skip(message: bytes, at: int) -> int:
    tag, at = read_varint(message, at)
    kind = tag & 7
    if kind == VARINT:
        return read_varint(message, at)[1]
    size = {1: 8, 5: 4}.get(kind, -1)
    if kind == BYTES:
        size, at = read_varint(message, at)
    if size < 0 or at + size > len(message) or tag < 8:
        raise broken()
    return at + size


def _tensor(data: bytes) -> tuple[_Head, bytes | None]:
    name = datatype = ""
    shape: list[int] = []
    parameters: dict[str, Any] | None = None
    contents: bytes | None = None
    for number, kind, value in fields(data):
        if number == 1:
            name = text_of(value)
        elif number == 2:
            datatype = text_of(value)
        elif number == 3:
            sizes = [value] if isinstance(value, int) else unpack_varints(value).tolist()
            shape += [signed(size) for size in sizes]
        elif number == 4:
            parameters = {**(parameters or {}), **_parameter(value)}
        elif number == 5:
            if kind != BYTES:
                raise broken()
            contents = (contents or b"") + bytes_of(value)
    head = name, datatype, tuple(shape), parameters
    if contents is None and len(data) <= 256:
        if len(_heads) > 4096:
            _heads.clear()
        _heads[data] = head
    return head, contents


def _parameter(value: Value) -> dict[str, Any]:
    """An entry of a map of InferParameter."""
    key = ""
    found: Any = None
    for number, _, item in fields(bytes_of(value)):
        if number == 1:
            key = text_of(item)
        elif number == 2:
            for choice, _, given in fields(bytes_of(item)):
                if isinstance(given, int):
                    found = bool(given) if choice == 1 else given if choice == 5 else signed(given)
                else:
                    found = double(given) if choice == 4 else text_of(given)
    # Sizes follow from the message itself; a client's word for them is not taken.
    return {} if key == "binary_data_size" else {key: found}


def _output(value: bytes) -> WireOutput:
    name = ""
    for number, _, item in fields(value):
        if number == 1:
            name = text_of(item)
    return WireOutput(name)


def _from_contents(head: _Head, contents: bytes) -> bytes:
    """Typed contents as raw ones."""
    name, datatype, _, _ = head
    tensors.check_datatype(name, datatype)
    wanted = _CONTENTS.get(datatype)
    if wanted is None:
        raise InvalidInput(f"input '{name[:80]}': {datatype} has no typed contents", hint="send it as raw contents")
    parts: list[bytes] = []
    for number, kind, value in fields(contents):
        if number != wanted:
            raise InvalidInput(f"input '{name[:80]}': its contents are not those of {datatype}")
        if wanted == 8:
            item = bytes_of(value)
            parts += (len(item).to_bytes(4, "little"), item)
        elif wanted in (6, 7):
            parts.append(bytes_of(value))  # packed or one by one, they are what raw contents are
        else:
            if kind not in (VARINT, BYTES):
                raise broken()
            many = np.array([value], "<u8") if isinstance(value, int) else unpack_varints(value)
            parts.append(_narrowed(name, datatype, many))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _narrowed(name: str, datatype: str, values: tensors.Array) -> bytes:
    target = tensors.NUMPY[datatype]
    wide = values.view("<i8") if target.kind == "i" else values
    narrow = wide.astype(target)
    if target.kind != "b" and bool((narrow.astype(wide.dtype) != wide).any()):
        raise InvalidInput(f"input '{name[:80]}': a value lies outside of {datatype}")
    return narrow.tobytes()


class RpcWriter:
    """What never changes in the answers of one model version."""

    def __init__(self, loaded: LoadedVersion) -> None:
        version = str(loaded.version)
        self.before = field(1, loaded.model) + field(2, version)
        self.after = {
            role: b"".join(
                [field(4, field(1, key) + field(2, field(3, value))) for key, value in (("version", version),
                                                                                        ("route", role))]
            )
            for role in ROLES
        }  # fmt: skip
        self.openings = [field(1, spec.name) + field(2, spec.datatype) for spec in loaded.outputs]


class RpcForm:
    """ModelInferResponse: with raw contents, or typed ones where the request had them."""

    def __init__(self, typed: bool) -> None:
        self._typed = typed

    def put(
        self, question: Question, waiting: Call, loaded: LoadedVersion, outputs: Outputs, start: int, stop: int | None
    ) -> None:
        """See `Form.put`."""
        writer = loaded.writer.rpc
        if writer is None:
            writer = loaded.writer.rpc = RpcWriter(loaded)
        typed = self._typed and all(loaded.outputs[place].datatype in _CONTENTS for place, _ in question.wanted)
        identity = question.id.encode()
        parts = [writer.before, b"\x1a", varint(len(identity)), identity, writer.after[question.role]]
        blocks: list[bytes] = []
        for place, _ in question.wanted:
            array = outputs.arrays[place]
            if stop is not None:
                array = array[start:stop]
            sizes = packed(array.shape)
            head = writer.openings[place] + b"\x1a" + varint(len(sizes)) + sizes
            if typed:
                head += field(5, _contents(loaded.outputs[place], array))
            else:
                block = loaded.writer.block(outputs, place, array, start, stop)
                blocks += (b"\x32", varint(len(block)), block)
            parts += (b"\x2a", varint(len(head)), head)
        waiting.put(b"".join(parts + blocks))


def _contents(spec: TensorSpec, array: tensors.Array) -> bytes:
    number = _CONTENTS[spec.datatype]
    if number == 8:
        return b"".join(
            [field(8, item if isinstance(item, bytes) else str(item)) for item in array.reshape(-1).tolist()]
        )
    if number in (6, 7):
        return field(number, tensors.to_bytes(spec.datatype, array))
    return field(number, packed([int(value) for value in array.reshape(-1).tolist()]))


RAW = RpcForm(typed=False)
TYPED = RpcForm(typed=True)
