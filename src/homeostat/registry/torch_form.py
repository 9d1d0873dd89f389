"""PyTorch: a module of one matrix in and one tensor out, kept as the exported program of its forward pass.

An exported program holds weights and a graph of operators, not the classes of the module. PyTorch may unpickle parts
of it while loading, so it counts as a pickle here.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.registry.model import Field
from homeostat.registry.original import Original
from homeostat.registry.safetensors import write_safetensors
from homeostat.registry.torch_answer import answer_of_torch, narrow

FILE = "model.pt2"
# More rows than one: a size of one would be taken for a constant of the graph.
_TRACED_ROWS = 3


def is_torch(estimator: Any) -> bool:
    """Whether this is a module of PyTorch; nothing is imported to find out."""
    return any(
        kind.__module__.split(".")[0] == "torch" and kind.__name__ == "Module" for kind in type(estimator).__mro__
    )


def read_torch(module: Any, rows: Any) -> Original:
    """A module with the rows (float array [n, k]) it is traced with. It is put in its evaluation mode.

    Raises: InvalidInput for a module whose forward pass PyTorch cannot export.
    """
    torch = require("torch", extra="torch")
    with contextlib.suppress(NotImplementedError):  # a program that was exported before has no modes
        module.eval()
    example = torch.from_numpy(narrow(rows[:1].repeat(_TRACED_ROWS, axis=0)))
    try:
        program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    except Exception as error:  # whatever the module's code and the tracer raise is the reason
        raise InvalidInput(
            f"PyTorch cannot export this {type(module).__name__}: {' '.join(str(error).split())[:300]}",
            hint="its forward takes one FP32 matrix and has no branches on values; or give its ONNX file",
        ) from error
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return Original(
        flavor="torch", file=FILE, data=buffer.getvalue(), predict=answer_of_torch(module),
        output=Field(name="prediction", dtype="FP32"), estimator=module, weights=_weights(torch, module),
    )  # fmt: skip


def graph_of(module: Any, width: int, feature: str) -> Any:
    """The module as an ONNX graph, whose input is named `feature`."""
    torch, onnx = require("torch", extra="torch"), require("onnx", extra="ml")
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # It recommends its newer exporter, which needs a further package. What it makes is compared with the module.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module, (torch.zeros((_TRACED_ROWS, width)),), buffer, dynamo=False, opset_version=18,
            input_names=[feature], output_names=["answer"], dynamic_axes={feature: {0: "n"}, "answer": {0: "n"}},
        )  # fmt: skip
    return onnx.load_model_from_string(buffer.getvalue())


def _weights(torch: Any, module: Any) -> bytes | None:
    state: dict[str, Any] = module.state_dict()
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        return None  # a module may keep anything as extra state
    wide = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in state.items()}
    return write_safetensors({name: value.detach().cpu().numpy() for name, value in wide.items()})
