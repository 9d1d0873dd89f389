"""The one matrix of a request as single columns by their names, for a version that takes other columns than these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensors
from homeostat.serving.contract import MatrixContract, TensorSpec, WireTensor
from homeostat.serving.tensors import Array


def by_name(
    wires: list[WireTensor], body: bytes, at: int, there: MatrixContract, specs: Sequence[TensorSpec]
) -> tuple[list[WireTensor], bytes, int]:
    """The tensors of a request that was sent for the contract `there`, with those columns of its matrix that `specs`
    name instead of the matrix; and the bytes that belong to them. What is no matrix stays as it is.

    Raises: InvalidInput for a number that a column of whole numbers cannot hold.
    """
    found: list[WireTensor] = []
    parts: list[bytes] = []
    for wire in wires:
        size = (wire.parameters or {}).get("binary_data_size")
        data = b"" if size is None else body[at : at + size]
        at += len(data)
        taken = there.take(wire, size is not None, data or bytes(wire.data)) if wire.name in there.whole else None
        if taken is None:
            found.append(wire)
            parts.append(data)
            continue
        (matrix,) = there.feed(taken[1])
        for spec in specs:
            if spec.name in there.names:
                data = tensors.to_bytes(spec.datatype, _cast(matrix[:, there.names[spec.name]], spec))
                sized = {"binary_data_size": len(data)}
                found.append(WireTensor(spec.name, [len(matrix)], spec.datatype, parameters=sized))
                parts.append(data)
    return found, b"".join(parts), 0


def _cast(column: Array, spec: TensorSpec) -> Array:
    """A column of numbers in the type that is wanted, where it can hold each of them."""
    if spec.datatype == "BYTES":
        raise InvalidInput(f"'{spec.name}' holds texts, the request has numbers")
    target = np.dtype(tensors.NUMPY[spec.datatype])
    if target.kind == "f":
        return column.astype(target)
    with np.errstate(invalid="ignore"):
        found = column.astype(target)
    if not np.array_equal(found.astype("<f8"), column.astype("<f8")):
        raise InvalidInput(f"'{spec.name}' is {spec.datatype}, which cannot hold all numbers of the request")
    return found
