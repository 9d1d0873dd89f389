"""Small matrices go through memory that is bound to the session: nobody can tell by the answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from homeostat.serving.contract import MatrixContract, TensorSpec
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.runtimes.onnx import OnnxRuntime
from homeostat.serving.runtimes.runtime import Gone

WIDTH = 3


def version(
    folder: Path, nodes: list[Any], outputs: dict[str, tuple[int, str, list[int]]], columns: tuple[str, ...] = ()
) -> LoadedVersion:
    """A graph of `nodes` on the matrix "features"; `outputs`: ONNX's type, the protocol's, the shape. The graph gives
    those in `columns` as [n, 1]."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, WIDTH])],
        [helper.make_tensor_value_info(name, kind, [None, 1] if name in columns else [None] * len(shape))
         for name, (kind, _, shape) in outputs.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), folder / "m.onnx")
    runtime = OnnxRuntime(folder / "m.onnx")
    contract = MatrixContract(
        "m", [TensorSpec(name=name, datatype="FP32", shape=[-1]) for name in "abc"], "key", "time"
    )
    told = [TensorSpec(name=name, datatype=kind, shape=shape) for name, (_, kind, shape) in outputs.items()]
    return LoadedVersion("m", 1, contract, runtime, told)


def twice(folder: Path) -> LoadedVersion:
    """Twice the matrix, its rows' largest values, and their smallest, which the graph gives as a column."""
    nodes = [
        helper.make_node("Add", ["features", "features"], ["double"]),
        helper.make_node("ReduceMax", ["features"], ["most"], axes=[1], keepdims=0),
        helper.make_node("ReduceMin", ["features"], ["least"], axes=[1], keepdims=1),
    ]
    return version(folder, nodes, {"double": (TensorProto.FLOAT, "FP32", [-1, WIDTH]),
                                   "most": (TensorProto.FLOAT, "FP32", [-1]),
                                   "least": (TensorProto.FLOAT, "FP32", [-1])}, ("least",))  # fmt: skip


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    return twice(tmp_path_factory.mktemp("model"))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-9, 9)), min_size=1, max_size=20))
def test_what_comes_again_is_answered_like_what_comes_for_the_first_time(
    doubled: LoadedVersion, asked: list[tuple[int, int]]
) -> None:
    matrices = [np.arange(rows * WIDTH, dtype="<f4").reshape(rows, WIDTH) * value for rows, value in asked]
    found = [doubled.compute(matrix.tobytes()) for matrix in matrices]
    for matrix, (double, most, least) in zip(matrices, found, strict=True):  # later ones wrote over no earlier ones
        np.testing.assert_array_equal(double, matrix * 2)
        np.testing.assert_array_equal(most, matrix.max(axis=1))
        np.testing.assert_array_equal(least, matrix.min(axis=1))


def test_memory_is_bound_for_the_second_of_a_size_running_and_for_small_ones_only(doubled: LoadedVersion) -> None:
    small, large = bytes(4 * WIDTH * 7), bytes(4 * WIDTH * 10_000)
    for matrix in (small, large, small, large, large, large):
        assert doubled.runtime.run_bound(matrix) is None
        doubled.compute(matrix)
    doubled.compute(small)
    doubled.compute(small)
    assert doubled.runtime.run_bound(small) is not None
    assert doubled.runtime.run_bound(large) is None


def test_threads_do_not_share_it(doubled: LoadedVersion) -> None:
    def ask(value: int) -> None:
        matrix = np.full((2, WIDTH), value, "<f4")
        for _ in range(200):
            double, most, _ = doubled.compute(matrix.tobytes())
            np.testing.assert_array_equal(double, matrix * 2)
            np.testing.assert_array_equal(most, [value, value])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(8)))


def test_outputs_whose_shape_depends_on_the_values_are_not_bound(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["features"], ["places"]),
        helper.make_node("Constant", [], ["columns"], value_ints=[1]),
        helper.make_node("Gather", ["places", "columns"], ["found"], axis=0),
    ]
    model = version(tmp_path, nodes, {"found": (TensorProto.INT64, "INT64", [-1, -1])})
    for count in (1, 1, 1, 3, 2, 3, 3):
        matrix = np.zeros((1, WIDTH), "<f4")
        matrix[0, :count] = 1
        (found,) = model.compute(matrix.tobytes())
        np.testing.assert_array_equal(found, [list(range(count))])


def test_what_must_be_converted_is_converted_each_time(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["features", "axis"], ["sum"], keepdims=1)]
    nodes.insert(0, helper.make_node("Constant", [], ["axis"], value_ints=[1]))
    model = version(tmp_path, nodes, {"sum": (TensorProto.FLOAT, "FP64", [-1])})  # FP32 of [rows, 1] is declared so
    for value in (1, 2, 3, 4):
        (found,) = model.compute(np.full((1, WIDTH), value, "<f4").tobytes())
        assert (found.dtype, found.tolist()) == (np.dtype("<f8"), [3.0 * value])


def test_a_model_that_is_gone_computes_nothing(tmp_path: Path) -> None:
    model = twice(tmp_path)
    for _ in range(3):
        model.compute(bytes(4 * WIDTH))
    model.runtime = Gone()
    with pytest.raises(Exception, match="unloaded"):
        model.compute(bytes(4 * WIDTH))
