"""Requests that somebody has mutilated: accepted whole, or refused in words; nothing else happens."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput
from homeostat.serving.contract import ColumnsContract, Contract, MatrixContract, TensorsContract, TensorSpec
from homeostat.serving.oip import read_request

CONTRACTS: list[Contract] = [
    MatrixContract("m", [TensorSpec(name=n, datatype="FP32", shape=[-1]) for n in ("a", "b", "c")], "key", "time"),
    ColumnsContract(
        "m",
        [TensorSpec(name="a", datatype="INT64", shape=[-1]), TensorSpec(name="b", datatype="BYTES", shape=[-1])],
        "key", "time",
    ),
    TensorsContract("m", [TensorSpec(name="x", datatype="FP64", shape=[-1, 2])], "key", "time", batchable=True),
    TensorsContract("m", [TensorSpec(name="x", datatype="BYTES", shape=[2, -1])], "key", "time", batchable=True),
]  # fmt: skip

NAMES = st.sampled_from(["features", "a", "b", "c", "x", "key", "time", "", "é"])
DATATYPES = st.sampled_from(["FP32", "FP64", "INT64", "BYTES", "BOOL", "FP16", "BF16", "UINT8", "nonsense"])
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
DATA = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=6), max_leaves=12)
TENSORS = st.fixed_dictionaries(
    {"name": NAMES, "datatype": DATATYPES, "shape": st.lists(st.integers(-1, 4), max_size=3)},
    optional={
        "data": DATA,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "x"]), LEAVES | st.integers(0, 50)),
    },
)


def judge(contract: Contract, body: bytes, length: bytes | None) -> None:
    try:
        request, at = read_request(body, length, contract.offered[0])
        accepted = contract.accept(request.inputs, body, at)
    except InvalidInput as error:
        refusal = error.message
    else:
        refusal = ""
    if refusal:
        assert "\n" not in refusal
        return
    arrays = contract.feed(
        contract.merge([accepted.payload, accepted.payload] if contract.batchable else [accepted.payload])
    )
    times = 2 if contract.batchable else 1
    for array in arrays:
        assert not contract.batchable or len(array) == accepted.rows * times
    assert accepted.key is None or len(accepted.key) == accepted.rows
    assert accepted.times is None or len(accepted.times) == 8 * accepted.rows


@settings(max_examples=300)
@given(st.sampled_from(CONTRACTS), st.lists(TENSORS, max_size=4), st.binary(max_size=60), st.booleans())
def test_requests_of_any_shape(contract: Contract, inputs: list[dict[str, object]], tail: bytes, binary: bool) -> None:
    head = msgspec.json.encode({"inputs": inputs})
    judge(contract, head + tail if binary else head, b"%d" % len(head) if binary else None)


@settings(max_examples=300)
@given(
    st.sampled_from(CONTRACTS), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 400), st.sampled_from([b"0", b"5", b"180", b"181", b"-1", b"", b"99999999999999999999"]) | st.none(),
)  # fmt: skip
def test_good_requests_with_bytes_changed_and_cut(
    contract: Contract, changes: list[tuple[int, int]], cut: int, length: bytes | None
) -> None:
    spec = contract.offered[0]
    shape = [2 if size < 0 else size for size in spec.shape]
    data = np.zeros(shape, "<f8" if spec.datatype == "FP64" else "<f4").tobytes()
    inputs = [
        {"name": spec.name, "datatype": spec.datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}},
        {"name": "time", "datatype": "INT64", "shape": [2], "data": [1, 2]},
    ]
    head = msgspec.json.encode({"id": "x", "inputs": inputs})
    body = bytearray(head + data)
    for at, value in changes:
        body[at % len(body)] = value
    judge(contract, bytes(body[: len(body) - cut % 8]), length if length is not None else b"%d" % len(head))


@settings(max_examples=300)
@given(st.lists(TENSORS, max_size=2), st.data(), st.booleans())
def test_the_short_way_of_one_matrix_says_what_the_long_one_says(
    inputs: list[dict[str, object]], data: st.DataObject, whole: bool
) -> None:
    matrix = CONTRACTS[0]
    tail = b""
    if whole:  # near to what is taken
        rows = data.draw(st.integers(0, 2))
        one: dict[str, object] = {"name": "features", "datatype": "FP32", "shape": [rows, 3]}
        if data.draw(st.booleans()):
            one["data"] = data.draw(st.lists(st.floats(width=32) | st.none(), min_size=3 * rows, max_size=3 * rows))
        else:
            size = 12 * rows + data.draw(st.sampled_from([0, 0, 1, -4]))
            tail = bytes(max(0, size + data.draw(st.sampled_from([0, 0, 1]))))
            one["parameters"] = {"binary_data_size": data.draw(st.sampled_from([size, size, float(size), True]))}
        inputs = [one]
    head = msgspec.json.encode({"inputs": inputs})
    try:
        request, at = read_request(head + tail, b"%d" % len(head), matrix.offered[0])
    except InvalidInput:
        return
    said: list[object] = []
    for accept in (matrix.accept, lambda *given: Contract.accept(matrix, *given)):
        try:
            said.append(accept(request.inputs, head + tail, at))
        except InvalidInput as error:
            said.append(error.message)
    assert said[0] == said[1]
