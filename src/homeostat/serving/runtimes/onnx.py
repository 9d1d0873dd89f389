"""ONNX Runtime with one thread: on small models a pool costs more than it gives, and on n processes it is n pools.

Small matrices of sizes that come again go through memory that is bound to the session once (I/O binding): for a lone
row, looking up names, checking them and making tensors costs as much as a hundred trees.
"""

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

# Matrices of at most so many bytes are bound, of at most so many sizes.
_BOUND_BYTES = 1 << 16
_BOUND_SIZES = 32


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
        # Memory by its size in bytes. Taken out by whoever computes with it, and put back: two that compute at once do
        # not share it, one of them goes without.
        self._bound: dict[int, tuple[Any, memoryview, list[tensors.Array]]] = {}
        self._unfit: set[int] = set()  # sizes that are not bound again

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

    def run_bound(self, matrix: bytes) -> list[tensors.Array] | None:
        size = len(matrix)
        bound = self._bound.pop(size, None)
        if bound is None:
            return None
        binding, place, outputs = bound
        place[:] = matrix
        try:
            self._session.run_with_iobinding(binding)
        except Exception:  # `run` fails, too; or the shapes of the outputs depend on the values
            self._unfit.add(size)
            return None
        found = [output.copy() for output in outputs]
        self._bound[size] = bound
        return found

    def bind(self, matrix: tensors.Array, outputs: list[tensors.Array], shapes: list[tuple[int, ...]]) -> None:
        size = matrix.nbytes
        if size > _BOUND_BYTES or len(self._bound) >= _BOUND_SIZES or size in self._unfit:
            return
        if any(output.dtype == object for output in outputs):  # no memory is shared for texts
            return
        value = require("onnxruntime", extra="ml").OrtValue.ortvalue_from_numpy  # it shares the array's memory
        binding = self._session.io_binding()
        place, results = np.array(matrix, order="C"), [np.array(output, order="C") for output in outputs]
        binding.bind_ortvalue_input(self._feeds[0], value(place))
        for name, array in zip(self._fetch, results, strict=True):
            binding.bind_ortvalue_output(name, value(array))
        views = [array.reshape(shape) for array, shape in zip(results, shapes, strict=True)]
        self._bound[size] = (binding, place.data.cast("B"), views)


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
