"""Content types of inputs, as `parameters.content_type` gives them.

"pd" says that the inputs are a data frame's columns: its numbers are taken for the signature's own datatype where that
keeps their kind (a frame has FP64 where a model has FP32). "base64" says that texts are bytes in base64. Any other
content type describes what the tensor is anyway, and is passed over.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensor_json, tensors


def as_declared(
    name: str, content: str, sent: str, declared: str, shape: list[int], data: bytes, binary: bool
) -> tuple[str, bytes, bool]:
    """Datatype, bytes and whether they are binary of the input `name`, converted where its content type asks for it.

    Raises: InvalidInput when a value cannot be converted; a datatype of another kind is left for the signature check.
    """
    tensors.check_datatype(name, sent)
    read = tensors.from_bytes if binary else tensor_json.from_json
    if content == "base64" and sent == "BYTES":
        array = read(name, sent, shape, data)
        try:
            items = [base64.b64decode(item, validate=True) for item in array.reshape(-1).tolist()]
        except binascii.Error as error:
            raise InvalidInput(f"input '{name[:80]}' is not base64: {error}") from None
        return sent, tensors.to_bytes(sent, np.array(items, dtype=object)), True
    if content != "pd" or sent == declared or "BYTES" in (sent, declared):
        return sent, data, binary
    source, target = tensors.NUMPY[sent].kind, tensors.NUMPY[declared].kind
    if target == "b" or (target in "iu" and source not in "iu"):
        return sent, data, binary
    array = read(name, sent, shape, data)
    if target in "iu" and array.size:
        limits = np.iinfo(tensors.NUMPY[declared])
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise InvalidInput(f"input '{name[:80]}': a value lies outside of {declared}")
    try:
        with np.errstate(over="raise"):  # an infinity stays one; what is finite does not become one
            return declared, tensors.to_bytes(declared, array.astype(tensors.NUMPY[declared])), True
    except FloatingPointError:
        raise tensor_json.outside(f"input '{name[:80]}'", declared) from None
