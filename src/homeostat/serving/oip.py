"""Open Inference Protocol v2, REST with binary tensors: reading inference requests and writing their answers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensor_json, tensors
from homeostat.serving.contract import TensorSpec, WireTensor
from homeostat.serving.model import ROLES


class WireOutput(msgspec.Struct, gc=False):
    """An output that a request asks for by name."""

    name: str
    parameters: dict[str, Any] | None = None


class WireRequest(msgspec.Struct, gc=False):
    """The JSON of an inference request."""

    inputs: list[WireTensor]
    id: str = ""
    parameters: dict[str, Any] | None = None
    outputs: list[WireOutput] | None = None
    params: dict[str, Any] | None = None  # for the model itself, as MLflow's scoring forms have them


_decode = msgspec.json.Decoder(WireRequest).decode
_encode = msgspec.json.Encoder().encode


def read_request(body: bytes, json_length: bytes | None, first: TensorSpec) -> tuple[WireRequest, int]:
    """The request in `body` and where its binary tensors begin.

    `json_length` is the header Inference-Header-Content-Length. When it is 0 the whole body is one raw tensor, the
    model's only input `first`, whose one free dimension follows from the length.

    Raises: InvalidInput when the JSON is malformed or not an inference request.
    """
    if json_length is None:
        at = len(body)
        head = body
    else:
        at = int(json_length) if json_length.isdigit() and len(json_length) < 12 else -1
        if not 0 <= at <= len(body):
            raise InvalidInput(
                f"Inference-Header-Content-Length is {json_length[:20].decode('latin-1')}, "
                f"the body has {len(body)} bytes"
            )
        if at == 0:
            return _raw_request(body, first), 0
        head = body[:at]
    try:
        return _decode(head), at
    except msgspec.ValidationError as error:
        raise InvalidInput(f"not an inference request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not valid JSON: {error}") from None


def _raw_request(body: bytes, only: TensorSpec) -> WireRequest:
    itemsize = 2 if only.datatype == "BF16" else tensors.NUMPY[only.datatype].itemsize
    fixed = int(np.prod([size for size in only.shape if size >= 0], dtype=np.int64)) * itemsize
    free = only.shape.count(-1)
    if only.datatype == "BYTES" or free > 1:
        raise InvalidInput(f"input '{only.name}' cannot be sent raw: its shape does not follow from the length")
    if fixed == 0 or len(body) % fixed or (free == 0 and len(body) != fixed):
        raise InvalidInput(f"input '{only.name}': {len(body)} raw bytes do not fill {only.datatype} of {only.shape}")
    shape = [size if size >= 0 else len(body) // fixed for size in only.shape]
    wire = WireTensor(only.name, shape, only.datatype, parameters={"binary_data_size": len(body)})
    return WireRequest([wire], parameters={"binary_data_output": True})


class Outputs:
    """A batch's output arrays, with the values and the bytes of each made at most once."""

    __slots__ = ("_made", "arrays", "specs")

    def __init__(self, specs: list[TensorSpec], arrays: list[tensors.Array]) -> None:
        self.specs = specs
        self.arrays = arrays
        self._made: dict[int, Any] = {}  # values by their place, bytes by its complement

    def values(self, at: int) -> list[Any]:
        """Output `at` of all rows, as Python has it."""
        found = self._made.get(at)
        if found is None:
            found = self._made[at] = self.arrays[at].tolist()
        return found

    def bytes_of(self, at: int) -> bytes:
        """Output `at` of all rows, in the protocol's bytes."""
        data = self._made.get(~at)
        if data is None:
            data = self._made[~at] = tensors.to_bytes(self.specs[at].datatype, self.arrays[at])
        return data


class AnswerWriter:
    """Writes the answers of one model version; what never changes is made once."""

    def __init__(self, model: str, version: int, specs: list[TensorSpec]) -> None:
        self.specs = specs
        self.rpc: Any = None  # what answers by gRPC keep beside this
        self.places = {spec.name: at for at, spec in enumerate(specs)}
        self.all_binary = [(at, True) for at in range(len(specs))]
        self.all_json = [(at, False) for at in range(len(specs))]
        self._numbers = [spec.datatype != "BYTES" for spec in specs]
        text = str(version)
        self._before = msgspec.json.encode({"model_name": model, "model_version": text})[:-1] + b',"id":'
        self._after = {
            role: b',"parameters":' + msgspec.json.encode({"version": text, "route": role}) + b',"outputs":['
            for role in ROLES
        }
        self._openings = [
            b'{"name":%b,"datatype":"%b","shape":[' % (msgspec.json.encode(spec.name), spec.datatype.encode())
            for spec in specs
        ]

    def wanted(self, request: WireRequest) -> list[tuple[int, bool]]:
        """The outputs that `request` asks for: (place, as bytes or as JSON). InvalidInput for an unknown name."""
        parameters = request.parameters
        binary = parameters is not None and parameters.get("binary_data_output") is True
        if not request.outputs:
            return self.all_binary if binary else self.all_json
        wanted: list[tuple[int, bool]] = []
        for output in request.outputs:
            place = self.places.get(output.name)
            if place is None:
                raise InvalidInput(
                    f"there is no output '{output.name[:80]}'", hint=f"the outputs are {', '.join(self.places)}"
                )
            choice = (output.parameters or {}).get("binary_data", binary)
            wanted.append((place, choice is True))
        return wanted

    def write(
        self, request_id: str, role: str, wanted: list[tuple[int, bool]], outputs: Outputs, start: int, stop: int | None
    ) -> tuple[bytes, int]:
        """The answer's body for the rows from `start` to `stop` (None: the batch is one request), and the length of
        its JSON part, or -1 when it is JSON throughout."""
        parts: list[bytes] = []
        blocks: list[bytes] = []
        for place, binary in wanted:
            array = outputs.arrays[place]
            if not binary and array.ndim == 1 and self._numbers[place]:
                values = outputs.values(place)[start:stop]  # a number for each row
                parts.append(b'%b%d],"data":%b}' % (self._openings[place], len(values), _encode(values)))
                continue
            if stop is not None:
                array = array[start:stop]
            shape = b",".join([b"%d" % size for size in array.shape])
            if binary:
                block = self.block(outputs, place, array, start, stop)
                blocks.append(block)
                parts.append(
                    b'%b%b],"parameters":{"binary_data_size":%d}}' % (self._openings[place], shape, len(block))
                )
            else:
                data = tensor_json.to_json(self.specs[place].datatype, array)
                parts.append(b'%b%b],"data":%b}' % (self._openings[place], shape, data))
        head = b"%b%b%b%b]}" % (self._before, _encode(request_id), self._after[role], b",".join(parts))
        if not blocks:
            return head, -1
        return head + (blocks[0] if len(blocks) == 1 else b"".join(blocks)), len(head)

    def block(self, outputs: Outputs, place: int, array: tensors.Array, start: int, stop: int | None) -> bytes:
        """Output `place` of the rows from `start` to `stop`, which are `array`, in the protocol's bytes."""
        datatype = self.specs[place].datatype
        if datatype in ("BYTES", "BF16"):
            return tensors.to_bytes(datatype, array)
        data = outputs.bytes_of(place)
        if stop is None:
            return data
        size = len(data) // len(outputs.arrays[place])
        return data[start * size : stop * size]
