"""PyTorch: a module of one matrix in and one tensor out, kept as the exported program of its forward pass.

An exported program holds weights and a graph of operators, not the classes of the module. PyTorch may unpickle parts
of it while loading, so it counts as a pickle here. TorchScript is converted to one, as PyTorch advises.
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
    """Whether this is a module of PyTorch (TorchScript too) or an exported program; nothing is imported to find out."""
    return any(
        kind.__module__.split(".")[0] == "torch" and kind.__name__ in ("Module", "ExportedProgram")
        for kind in type(estimator).__mro__
    )


def read_torch(module: Any, rows: Any) -> Original:
    """A module or exported program, with the rows (float array [n, k]) it is traced with. It is put in its evaluation
    mode.

    Raises: InvalidInput for a module whose forward pass PyTorch cannot export.
    """
    torch = require("torch", extra="torch")
    given, example = type(module).__name__, torch.from_numpy(narrow(rows[:1].repeat(_TRACED_ROWS, axis=0)))
    if given == "ExportedProgram":
        module = module.module()
    with contextlib.suppress(NotImplementedError):  # a program that was exported before has no modes
        module.eval()
    try:
        if isinstance(module, torch.jit.ScriptModule):
            module = _converted(torch, module, example)
        program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    except Exception as error:  # whatever the module's code and the tracer raise is the reason
        raise InvalidInput(
            f"PyTorch cannot export this {given}: {' '.join(str(error).split())[:300]}",
            hint="its forward takes one FP32 matrix of any number of rows and has no branches on values; or give its"
            " ONNX file",
        ) from error
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return Original(
        flavor="torch", file=FILE, data=buffer.getvalue(), predict=answer_of_torch(module),
        output=Field(name="prediction", dtype="FP32"), estimator=module, weights=_weights(torch, module),
    )  # fmt: skip


def width_of_torch(module: Any) -> int:
    """How many columns a module takes, as far as it tells: an exported program by its input, any other by its first
    matrix of weights; 0 if by neither."""
    torch = require("torch", extra="torch")
    for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
        shape = getattr(node.meta.get("val"), "shape", ()) if node.op == "placeholder" else ()
        if len(shape) == 2:
            return int(shape[1])
    return next((int(weights.shape[1]) for weights in module.parameters() if weights.dim() == 2), 0)


def _converted(torch: Any, script: Any, example: Any) -> Any:
    """TorchScript as a module of operators that answers alike."""
    from torch._export.converter import TS2EPConverter  # pyright: ignore[reportMissingImports]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's end; that is why it is converted
        module = TS2EPConverter(script, (example,)).convert().module()
        with torch.no_grad():
            if not torch.allclose(module(example), script(example), rtol=1e-5, atol=1e-6, equal_nan=True):
                raise InvalidInput("the program that it is converted to answers otherwise")
    return module


def graph_of(module: Any, width: int, feature: str) -> Any:
    """The module as an ONNX graph, whose input is named `feature`."""
    torch, onnx = require("torch", extra="torch"), require("onnx", extra="ml")
    if isinstance(module, torch.fx.GraphModule):
        module = _enclosed(torch, module)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # It recommends its newer exporter, which needs a further package. What it makes is compared with the module.
        warnings.simplefilter("ignore", DeprecationWarning)
        # An exported program looks whether its input has the sizes it was exported for.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            module, (torch.zeros((_TRACED_ROWS, width)),), buffer, dynamo=False, opset_version=18,
            input_names=[feature], output_names=["answer"], dynamic_axes={feature: {0: "n"}, "answer": {0: "n"}},
        )  # fmt: skip
    return onnx.load_model_from_string(buffer.getvalue())


def _enclosed(torch: Any, program: Any) -> Any:
    """An exported program as a module that has modes, which the exporter sets and the program refuses."""

    class Enclosed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(program.parameters())  # the exporter looks for them here

        def forward(self, rows: Any) -> Any:
            return program(rows)

    return Enclosed()


def _weights(torch: Any, module: Any) -> bytes | None:
    state: dict[str, Any] = module.state_dict()
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        return None  # a module may keep anything as extra state
    wide = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in state.items()}
    return write_safetensors({name: value.detach().cpu().numpy() for name, value in wide.items()})
