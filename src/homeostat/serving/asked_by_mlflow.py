"""What models that MLflow loads may be asked beyond their columns: parameters of a request, and columns left out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.registry import ModelParameter
from homeostat.serving import tensors
from homeostat.serving.contract import ColumnsContract, TensorsContract, TensorSpec

# Parameters that the Open Inference Protocol's servers give a meaning of their own.
PROTOCOLS = frozenset(("timeout", "content_type", "binary_data_output", "headers"))
_LONGEST = 1 << 20


class Asked(list[tensors.Array]):
    """The columns of a request. `params` is JSON of its parameters (empty: the model's defaults), `absent` the places
    of the columns that were left out, which hold nothing to look at. Requests are joined only where both are equal."""

    __slots__ = ("absent", "params")

    def __init__(self, arrays: Iterable[tensors.Array], params: str = "", absent: tuple[int, ...] = ()) -> None:
        super().__init__(arrays)
        self.params = params
        self.absent = absent


class AskedContract(ColumnsContract):
    """Columns, of which some may be left out, and parameters."""

    asks = True

    def declare(self, params: Sequence[ModelParameter], optional: Iterable[str]) -> None:
        """Which parameters there are, and which columns may be left out."""
        self.params = {one.name: one for one in params}
        self.optional = frozenset(optional)

    def bind(self, payload: Any, params: dict[str, Any] | None, parameters: dict[str, Any] | None) -> None:
        """Take the parameters of a request: those meant for the model, or those of the protocol that it declares. What
        the model does not declare changes nothing, as in MLflow's own server.

        Raises: InvalidInput for a value that is not of the declared type.
        """
        if not self.params:
            return
        given = {name: value for name, value in (parameters or {}).items() if name not in PROTOCOLS} | (params or {})
        taken = {name: _checked(self.params[name], value) for name, value in given.items() if name in self.params}
        payload.params = json.dumps(taken, sort_keys=True) if taken else ""
        if len(payload.params) > _LONGEST:
            raise InvalidInput(f"the parameters take {len(payload.params)} bytes", hint="at most a megabyte")

    def joins(self, one: Any, other: Any) -> bool:
        return (one.params, one.absent) == (other.params, other.absent)

    def complete(self, rows: int, taken: dict[str, Any]) -> list[tensors.Array]:
        if any(name not in taken and name not in self.optional for name in self.names):
            raise self.missing({**taken, **dict.fromkeys(self.optional)})
        if rows < 1:
            raise InvalidInput("the request has no rows")
        absent = tuple(at for at, spec in enumerate(self.inputs) if spec.name not in taken)
        count = rows if self.batchable else 1
        found = [taken[spec.name] if spec.name in taken else _nothing(spec, count) for spec in self.inputs]
        return Asked(super().complete(rows, dict(zip(self.names, found, strict=True))), "", absent)

    def merge(self, payloads: list[list[tensors.Array]]) -> list[tensors.Array]:
        return _like(payloads[0], super().merge(payloads))

    def choose(self, payload: list[tensors.Array], rows: tensors.Array) -> list[tensors.Array]:
        return _like(payload, super().choose(payload, rows))

    def logged(self, payload: list[tensors.Array]) -> list[tuple[list[str], str, list[int], bytes]]:
        absent = {self.inputs[at].name for at in getattr(payload, "absent", ())}
        return [one for one in super().logged(payload) if one[0][0] not in absent]


class AskedTensors(AskedContract, TensorsContract):
    """Tensors and parameters."""


def _like(payload: Any, arrays: list[tensors.Array]) -> list[tensors.Array]:
    return Asked(arrays, payload.params, payload.absent) if isinstance(payload, Asked) else arrays


def _nothing(spec: TensorSpec, rows: int) -> tensors.Array:
    array = np.zeros([rows, *(max(1, size) for size in spec.shape[1:])], tensors.NUMPY[spec.datatype])
    if spec.datatype == "BYTES":
        array.fill(b"")
    return array


def _checked(declared: ModelParameter, value: Any) -> Any:
    if value is None or declared.type not in _FITS:  # of structured ones MLflow itself sees to it
        return value
    if not declared.many:
        return _one(declared, value)
    if not isinstance(value, list):
        raise InvalidInput(f"the parameter '{declared.name[:80]}' is not a list of {declared.type}")
    many: list[Any] = value
    return [_one(declared, one) for one in many]


def _one(declared: ModelParameter, value: Any) -> Any:
    if not _FITS[declared.type](value):
        raise InvalidInput(
            f"the parameter '{declared.name[:80]}' is {json.dumps(value)[:80]}, which is not {declared.type}"
        )
    return value


def _whole(bits: int) -> Any:
    return lambda value: type(value) is int and -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


# As MLflow converts: whole numbers become numbers, nothing else becomes something else.
_FITS: dict[str, Any] = {
    "boolean": lambda value: isinstance(value, bool), "string": lambda value: isinstance(value, str),
    "integer": _whole(32), "long": _whole(64), "float": _number, "double": _number, "datetime": _moment,
}  # fmt: skip
