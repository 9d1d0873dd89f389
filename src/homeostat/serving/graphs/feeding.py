"""The columns of a request on their way through a graph, and how a member is fed from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from homeostat.core.errors import StepFailed
from homeostat.registry import Field, Signature
from homeostat.serving import tensors
from homeostat.serving.contract import Contract, MatrixContract, TensorSpec, WireTensor
from homeostat.serving.graphs.checking import Place, by_position
from homeostat.serving.graphs.combining import takes
from homeostat.serving.graphs.nodes import Member
from homeostat.serving.oip import WireRequest
from homeostat.serving.tensors import Array

Columns = dict[str, Array]
Feeder = Callable[["Given"], Any]


class Given:
    """What stands at a place of the graph: the request's own columns, what steps have made (`made`), and what the step
    before gave (`last`), of all rows or of those numbered `index`."""

    __slots__ = ("_contract", "_payload", "_source", "index", "last", "made", "rows")

    def __init__(self, contract: Contract, payload: Any, rows: int) -> None:
        self._contract = contract
        self._payload = payload
        feed = contract.feed(payload)
        self._source: Array | list[Array] = feed[0] if isinstance(contract, MatrixContract) else feed
        self.rows = rows
        self.index: Array | None = None
        self.made: Columns = {}
        self.last: Columns = {}

    def after(self, outputs: Columns, visible: bool) -> Given:
        """What stands behind a step. `visible`: the next one may take it for its own input, whatever it is called."""
        later = self._copy()
        later.made = {**self.made, **outputs}
        later.last = outputs if visible else {}
        return later

    def choose(self, rows: Array) -> Given:
        """Some rows, by their numbers here."""
        part = self._copy()
        part._payload = None
        source = self._source
        part._source = [array[rows] for array in source] if isinstance(source, list) else source[rows]
        part.made = {name: array[rows] for name, array in self.made.items()}
        part.last = {name: array[rows] for name, array in self.last.items()}
        part.index = rows if self.index is None else self.index[rows]
        part.rows = len(rows)
        return part

    def column(self, name: str) -> Array:
        """A column by name. Raises StepFailed when there is none."""
        found = self.made.get(name)
        if found is not None:
            return found
        at = self._contract.names.get(name)
        if at is None:
            raise StepFailed(f"takes '{name}', which neither the request nor a step of the graph gives")
        source = self._source
        return source[at] if isinstance(source, list) else source[:, at]

    def matrix(self) -> bytes:
        """The request's own columns as the bytes of one matrix."""
        if self._payload is None:
            assert not isinstance(self._source, list)
            self._payload = self._source.tobytes()
        return self._payload

    def some_of_matrix(self, places: Array) -> bytes:
        """Some of the matrix's columns, as the bytes of a matrix."""
        assert not isinstance(self._source, list)
        return self._source.take(places, axis=1).tobytes()

    def _copy(self) -> Given:
        same = Given.__new__(Given)
        same._contract, same._payload, same._source = self._contract, self._payload, self._source
        same.index, same.made, same.last, same.rows = self.index, self.made, self.last, self.rows
        return same


def feeder(node: Member, place: Place, graph: Contract, member: Contract) -> Feeder:
    """How the payload of `member`'s contract is made from what stands at `place` of a graph with the contract `graph`.

    Raises: StepFailed when it takes what is not there.
    """
    matrix = isinstance(member, MatrixContract)
    fields = [Field(name=spec.name, dtype=spec.datatype, shape=spec.shape) for spec in member.inputs]
    signature = Signature(inputs=fields, outputs=[], tensor=member.offered[0].name if matrix else None)
    if by_position(node, signature, place):
        if matrix:
            return _last_as_matrix
        (spec,) = member.inputs
        return lambda given: [_cast(next(iter(given.last.values())), spec)]
    names = [node.inputs.get(spec.name, spec.name) for spec in member.inputs]
    for name in names:
        if name not in place.made and name not in graph.names:
            raise StepFailed(f"takes '{name}', which neither the request nor a step of the graph gives")
    if not matrix:
        specs = list(zip(names, member.inputs, strict=True))
        _check_kinds(specs, place, graph)
        return lambda given: [_cast(given.column(name), spec) for name, spec in specs]
    if isinstance(graph, MatrixContract) and not any(name in place.made for name in names):
        if names == graph.column_names:
            return Given.matrix
        places = np.array([graph.names[name] for name in names])
        return lambda given: given.some_of_matrix(places)

    def join(given: Given) -> bytes:
        rows = np.empty((given.rows, len(names)), "<f4")
        for at, name in enumerate(names):
            rows[:, at] = given.column(name)
        return rows.tobytes()

    return join


def as_request(identity: str, payload: Any, contract: Contract) -> tuple[WireRequest, bytes, int]:
    """A payload as a request that another version can read again: for the member's shadows."""
    wires: list[WireTensor] = []
    parts: list[bytes] = []
    arrays = contract.feed(payload)
    specs = contract.inputs
    if isinstance(contract, MatrixContract):  # by name: the other version may take other columns
        arrays = [arrays[0][:, at] for at in range(contract.width)]
    for spec, array in zip(specs, arrays, strict=True):
        data = tensors.to_bytes(spec.datatype, array)
        wires.append(
            WireTensor(spec.name, list(array.shape), spec.datatype, parameters={"binary_data_size": len(data)})
        )
        parts.append(data)
    return WireRequest(wires, identity), b"".join(parts), 0


def _last_as_matrix(given: Given) -> bytes:
    (array,) = given.last.values()
    return np.ascontiguousarray(array, "<f4").tobytes()


def _check_kinds(specs: list[tuple[str, TensorSpec]], place: Place, graph: Contract) -> None:
    for name, spec in specs:
        made = place.made.get(name)
        have = made.field.dtype if made is not None else graph.inputs[graph.names[name]].datatype
        if not takes(have, spec.datatype):
            raise StepFailed(f"takes '{name}' as {spec.datatype}, this graph gives it as {have}")


def _cast(array: Array, spec: TensorSpec) -> Array:
    target = tensors.NUMPY[spec.datatype]
    if array.dtype != target:
        array = array.astype(target)
    tail = spec.shape[1:]
    if array.ndim != len(spec.shape) or any(
        want not in (-1, got) for want, got in zip(tail, array.shape[1:], strict=True)
    ):
        raise StepFailed(f"takes '{spec.name}' of shape {spec.shape}, {list(array.shape)} was given")
    return array
