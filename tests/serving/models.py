"""Small models made on the spot, registered as a user's would be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import homeostat as hs
from homeostat.core.records import to_json
from homeostat.registry import Field, ModelVersion, OnnxReport, Package, Signature, put_package, register

COLUMNS = ["distance", "hour", "wind"]


def logistic(weights: np.ndarray, columns: list[str] | None = None) -> bytes:
    """An ONNX graph: "features" [n, k] to "probability" [n], the logistic function of a weighted sum."""
    from onnx import TensorProto, helper

    k = len(weights)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "w"], ["z"]),
            helper.make_node("Sigmoid", ["z"], ["p"]),
            helper.make_node("Reshape", ["p", "flat"], ["probability"]),
        ],
        "logistic",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, k])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [k, 1], np.asarray(weights, "f4").tolist()),
            helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
        ],
    )
    return serialised(graph)


def echo(datatype: int) -> bytes:
    """An ONNX graph that gives back its tensor "x" of any shape [n, m] as "y"."""
    from onnx import helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "echo",
        [helper.make_tensor_value_info("x", datatype, [None, None])],
        [helper.make_tensor_value_info("y", datatype, [None, None])],
    )
    return serialised(graph)


def serialised(graph: Any) -> bytes:
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def expected(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-(features.astype("f8") @ weights)))).astype("f4")


def write_package(folder: Path, file: str, data: bytes, flavor: str, signature: Signature, **more: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / file).write_bytes(data)
    package = Package(
        format=1, flavor=flavor, file=file, signature=signature, environment=[], created_by="test",
        onnx=more.get("onnx", OnnxReport(available=flavor == "onnx", agrees=flavor == "onnx", tolerance=0.0)),
        sample="sample.arrow" if "sample" in more else None,
    )  # fmt: skip
    (folder / "model.json").write_text(to_json(package))
    if "sample" in more:
        more["sample"].write_ipc(folder / "sample.arrow")
    return folder


def tabular(columns: list[str] = COLUMNS, dtype: str = "FP32") -> Signature:
    return Signature(
        inputs=[Field(name=name, dtype=dtype) for name in columns],
        outputs=[Field(name="probability", dtype="FP32")],
    )


def register_logistic(
    ws: hs.Workspace, scratch: Path, model: str, weights: np.ndarray, columns: list[str] = COLUMNS
) -> ModelVersion:
    """A logistic model in ONNX, as the next version of `model`."""
    sample = pl.DataFrame({name: np.arange(4, dtype="f4") for name in columns})
    folder = write_package(
        scratch / f"{model}-{np.random.default_rng().integers(1 << 60)}", "model.onnx", logistic(weights), "onnx",
        tabular(columns), sample=sample,
    )  # fmt: skip
    return register(ws, model, put_package(ws, folder))


def register_tensor(ws: hs.Workspace, scratch: Path, model: str, datatype: int, dtype: str) -> ModelVersion:
    """The echo of a tensor of any shape."""
    signature = Signature(
        inputs=[Field(name="x", dtype=dtype, shape=[-1, -1])],
        outputs=[Field(name="y", dtype=dtype, shape=[-1, -1])],
        tensor=None,
    )
    folder = write_package(scratch / model, "model.onnx", echo(datatype), "onnx", signature)
    return register(ws, model, put_package(ws, folder))


def register_pickle(ws: hs.Workspace, scratch: Path, model: str, estimator: Any, run_id: str | None) -> ModelVersion:
    """An estimator as a pickle without an ONNX form."""
    folder = write_package(scratch / model, "model.pkl", pickle.dumps(estimator), "sklearn", tabular())
    return register(ws, model, put_package(ws, folder), run_id=run_id)
