"""ONNX Runtime with one thread: on small models a pool costs more than it gives, and on n processes it is n pools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from homeostat.core.errors import Corrupt, InvalidInput
from homeostat.core.extras import require
from homeostat.serving import tensors
from homeostat.serving.contract import TensorSpec
from homeostat.serving.runtimes.runtime import Runtime

_ORT = {
    "float": "FP32", "double": "FP64", "float16": "FP16", "bool": "BOOL", "string": "BYTES",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
}  # fmt: skip


class OnnxRuntime(Runtime):
    """A session on one ONNX file. `inputs` and `outputs` are the graph's own, as tensors.

    Raises: Corrupt when the file is not a graph that ONNX Runtime can run.
    """

    name = "onnxruntime"

    def __init__(self, path: Path) -> None:
        ort = require("onnxruntime", extra="ml")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a family of classes without a common one of their own
            reason = str(error).replace(str(path.parent), "…")
            raise Corrupt(f"'{path.name}' cannot be loaded: {reason}", hint="register the model again") from error
        self.inputs = [_spec(node) for node in self._session.get_inputs()]
        self.outputs = [_spec(node) for node in self._session.get_outputs()]
        self._feeds = [spec.name for spec in self.inputs]
        self._texts = [spec.datatype == "BYTES" for spec in self.inputs]
        self._fetch = [spec.name for spec in self.outputs]

    def select(self, names: list[str]) -> None:
        """Compute only the outputs `names`, in this order. InvalidInput when the graph lacks one."""
        absent = [name for name in names if name not in {spec.name for spec in self.outputs}]
        if absent:
            raise InvalidInput(f"the ONNX graph has no output '{absent[0]}'", graph=[s.name for s in self.outputs])
        self._fetch = names

    def run(self, arrays: list[tensors.Array]) -> list[tensors.Array]:
        feeds = dict(zip(self._feeds, arrays, strict=True))
        if any(self._texts):
            for name, text in zip(self._feeds, self._texts, strict=True):
                if text:
                    feeds[name] = _decoded(name, feeds[name])
        return self._session.run(self._fetch, feeds)


def _decoded(name: str, array: tensors.Array) -> tensors.Array:
    try:
        texts = [item.decode() for item in array.reshape(-1).tolist()]
    except UnicodeDecodeError:
        raise InvalidInput(f"input '{name}' holds bytes that are not text in UTF-8") from None
    return np.array(texts, dtype=object).reshape(array.shape)


def _spec(node: Any) -> TensorSpec:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _ORT:
        raise InvalidInput(f"the ONNX graph's '{node.name}' is a {node.type}, which is not a tensor the protocol knows")
    shape = [size if isinstance(size, int) and size > 0 else -1 for size in node.shape]
    return TensorSpec(name=node.name, datatype=_ORT[kind], shape=shape)
