"""Parameters of requests and columns that may be left out, as models that MLflow loads declare them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from homeostat.core.errors import InvalidInput
from homeostat.registry import ModelParameter, read_asks
from homeostat.serving.asked_by_mlflow import AskedContract, AskedTensors
from homeostat.serving.contract import TensorSpec, WireTensor
from homeostat.serving.runtimes.own import table

PARAMS = [
    ModelParameter(name="k", type="long", default=3), ModelParameter(name="heat", type="double", default=0.5),
    ModelParameter(name="words", type="string", default=["a"], many=True),
    ModelParameter(name="on", type="boolean", default=False), ModelParameter(name="day", type="datetime"),
    ModelParameter(name="small", type="integer"), ModelParameter(name="any", type="object"),
]  # fmt: skip
INPUTS = [TensorSpec(name="a", datatype="FP64", shape=[-1]), TensorSpec(name="b", datatype="BYTES", shape=[-1]),
          TensorSpec(name="c", datatype="INT64", shape=[-1])]  # fmt: skip


def contract(optional: tuple[str, ...] = ("b", "c")) -> AskedContract:
    made = AskedContract("m", INPUTS, "key", "time")
    made.declare(PARAMS, optional)
    return made


def payload(asked: AskedContract, **columns: Any) -> Any:
    kinds = {spec.name: spec.datatype for spec in INPUTS}
    wires = [
        WireTensor(name, [len(values)], kinds.get(name, "FP64"), msgspec.Raw(msgspec.json.encode(values)))
        for name, values in columns.items()
    ]
    return asked.accept(wires, b"", 0).payload


def bound(params: dict[str, Any] | None, parameters: dict[str, Any] | None = None) -> str:
    asked = contract()
    found = payload(asked, a=[1.0])
    asked.bind(found, params, parameters)
    return found.params


def test_what_is_declared_is_taken_and_the_rest_changes_nothing() -> None:
    assert bound(None) == bound({}) == bound({"unknown": 1}) == ""
    every = {"k": 5, "heat": 2, "words": ["x"], "on": True, "day": "2024-05-01", "any": {"b": [1]}}
    assert json.loads(bound(every)) == every
    assert bound(None, {"k": 7, "timeout": 10, "binary_data_output": True}) == '{"k": 7}'
    assert bound({"k": 8}, {"k": 7}) == '{"k": 8}'
    assert bound({"k": None}) == '{"k": null}'


@pytest.mark.parametrize(("name", "value"), [
    ("k", 1.5), ("k", True), ("k", 1 << 63), ("k", "3"), ("heat", "hot"), ("heat", False), ("words", "a"),
    ("words", [1]), ("on", 1), ("day", "soon"), ("small", 1 << 31),
])  # fmt: skip
def test_a_value_of_another_type_is_told_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"the parameter '{name}' is"):
        bound({name: value})


def test_columns_may_be_left_out_where_the_signature_says_so() -> None:
    asked = contract()
    whole = payload(asked, a=[1.0, 2.0], b=["x", "y"], c=[1, 2])
    some = payload(asked, a=[3.0], c=[4])
    assert (whole.absent, some.absent) == ((), (1,))
    told = {"inputs": [(spec.name, spec.datatype) for spec in INPUTS]}
    assert list(table(told, some, None, some.absent).columns) == ["a", "c"]
    assert [one[0] for one in asked.logged(some)] == [["a"], ["c"]]
    with pytest.raises(InvalidInput, match="misses the input 'a'"):
        payload(asked, b=["x"])
    with pytest.raises(InvalidInput, match="has no input 'd'"):
        payload(asked, a=[1.0], d=[1.0])
    with pytest.raises(InvalidInput, match="the request has no rows"):
        payload(contract(optional=("a", "b", "c")))
    with pytest.raises(InvalidInput, match="misses the 2 inputs 'b', 'c'"):
        payload(contract(optional=()), a=[1.0])


def test_only_requests_that_ask_alike_are_joined() -> None:
    asked = contract()
    first, second, other = payload(asked, a=[1.0]), payload(asked, a=[2.0, 3.0]), payload(asked, a=[4.0], c=[1])
    for one in (first, second, other):
        asked.bind(one, {"k": 5}, None)
    assert asked.joins(first, second)
    assert not asked.joins(first, other)
    merged = asked.merge([first, second])
    assert (merged.params, merged.absent, merged[0].tolist()) == ('{"k": 5}', (1, 2), [1, 2, 3])
    chosen: Any = asked.choose(merged, np.array([False, True, True]))
    assert (chosen.params, chosen.absent, chosen[0].tolist()) == ('{"k": 5}', (1, 2), [2, 3])
    asked.bind(second, {"k": 6}, None)
    assert not asked.joins(first, second)


def test_tensors_have_parameters_too() -> None:
    asked = AskedTensors("m", [TensorSpec(name="x", datatype="FP32", shape=[-1, 2])], "key", "time", batchable=True)
    asked.declare(PARAMS, [])
    wire = WireTensor("x", [1, 2], "FP32", msgspec.Raw(b"[1, 2]"))
    found = asked.accept([wire], b"", 0)
    asked.bind(found.payload, {"k": 1}, None)
    assert (found.rows, asked.batchable, found.payload.params) == (1, True, '{"k": 1}')


def test_the_signature_says_what_may_be_asked() -> None:
    inputs = json.dumps([
        {"type": "double", "name": "a", "required": True}, {"type": "long", "name": "c", "required": False},
    ])  # fmt: skip
    params = json.dumps([{"name": "w", "type": "string", "default": ["a"], "shape": [-1]}, "no", {"type": "long"}])
    asks = read_asks(json.dumps({"signature": {"inputs": inputs, "params": params}}).encode())
    assert asks.optional == ["c"]
    assert asks.params == [ModelParameter(name="w", type="string", default=["a"], many=True)]
    assert read_asks(b"flavors: {}").params == []
    with pytest.raises(InvalidInput, match="the signature's params are not JSON"):
        read_asks(b"signature: {params: '['}")
