"""The ONNX form of a model: converted, brought to one shape, and kept only if it answers as the original does.

A graph computes in 32 bits. Both forms are therefore asked about the same 32-bit features, on the sample and on copies
of it with values missing or zero: trees decide there by rules that converters have got wrong before. Where the sample
has no missing values, a difference on such rows is told and does not count.
"""

from __future__ import annotations

import re
from typing import Any

from homeostat.core.errors import InvalidInput, MissingExtra
from homeostat.core.extras import require
from homeostat.registry import catboost_form, torch_form, xgboost_form
from homeostat.registry.model import FEATURES, OnnxReport
from homeostat.registry.original import Original, Predict
from homeostat.registry.tree_score import as_column, as_score

TOLERANCE = 1e-5
FILE = "model.onnx"

# The newest operator set that ONNX Runtime releases of the last years all read.
_OPSET = 18
SAMPLE, MISSING = "the sample", "rows with missing values"
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


def convert(original: Original, features: Any, tolerance: float = TOLERANCE) -> tuple[OnnxReport, bytes | None]:
    """The report, and the graph's bytes where it agrees. `features` is a float64 array [n, k] of sample rows.

    One input, `features` FP32 [-1, k]; one output, named and shaped as the original's. Only where trees add up to one
    number a row it is the [-1, 1] that they give: to make it [-1] is a view for whoever asks, and an operator more for
    the graph, which takes as long as twenty trees.
    """
    try:
        graph = _shaped(_converted(original, features.shape[1]), original)
        predict = session(graph, len(original.output.shape))
    except MissingExtra as error:
        return _none(error.message, tolerance), None
    except Exception as error:  # converters and runtimes raise anything; the model is kept in its own form then
        words = re.split(r"[\n{]", str(error))[0][:200].strip(" =:,")
        return _none(f"{type(original.estimator).__name__} does not convert: {words}", tolerance), None
    report = compare(original.predict, predict, features, tolerance)
    return report, graph if report.agrees else None


def compare(original: Predict, onnx: Predict, features: Any, tolerance: float) -> OnnxReport:
    """How far `onnx` lies from `original`; both take float arrays [n, k]."""
    import numpy as np

    narrow = features.astype(np.float32)
    worst, note = 0.0, ""
    whole = not np.isnan(narrow).any()
    for what, rows in _probes(narrow):
        try:
            expected = np.asarray(original(rows.astype(np.float64)))
        except ValueError:
            if what == SAMPLE:
                raise
            continue  # the original refuses such rows, so nobody can ask the graph about them in its stead
        found = np.asarray(onnx(rows))
        if found.shape != expected.shape:
            reason = f"the graph gives shape {found.shape} where the original gives {expected.shape} on {what}"
            return OnnxReport(available=True, agrees=False, tolerance=tolerance, reason=reason)
        difference = _distance(found, expected)
        if what == MISSING and whole and difference > tolerance:
            note = f"on rows with missing values, of which the sample has none, it differs by up to {difference:.2g}"
            continue
        worst = max(worst, difference)
        if not difference <= tolerance:
            reason = f"differs from the original by up to {difference:.2g} on {what}; allowed is {tolerance:g}"
            return OnnxReport(
                available=True, agrees=False, tolerance=tolerance, max_difference=difference, reason=reason
            )
    return OnnxReport(
        available=True, agrees=True, tolerance=tolerance, max_difference=worst, file=FILE,
        reason="; ".join(filter(None, [note, _rounding(original, features, tolerance)])),
    )  # fmt: skip


def session(graph: bytes, axes: int) -> Predict:
    """A graph with one input as a function; one thread. Where the answer has one of the `axes`, [n, 1] is [n]."""
    import numpy as np

    runtime = require("onnxruntime", extra="ml")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    loaded = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = loaded.get_inputs()[0].name

    def predict(features: Any) -> Any:
        found = loaded.run(None, {name: np.ascontiguousarray(features, dtype=np.float32)})[-1]
        return found[:, 0] if axes == 1 and found.shape[1:] == (1,) else found

    return predict


def read_graph(data: bytes) -> Any:
    """A foreign graph, checked. Raises InvalidInput for what is no graph, reads other files, or needs own operators."""
    onnx = require("onnx", extra="ml")
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise unrelated classes
        raise InvalidInput(f"this is not a valid ONNX model: {' '.join(str(error).split())[:200]}") from error
    foreign = sorted({entry.domain for entry in model.opset_import} - _DOMAINS)
    if foreign:
        raise InvalidInput(
            f"the ONNX model needs operators of '{foreign[0]}'", hint="export it with standard ones only"
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise InvalidInput("the ONNX model keeps weights in other files", hint="make it one file with onnx.save")
    return model


def _converted(original: Original, width: int) -> Any:
    if original.flavor == "lightgbm":
        types = require("onnxmltools.convert.common.data_types", extra="ml")
        return require("onnxmltools", extra="ml").convert_lightgbm(
            original.estimator, initial_types=[(FEATURES, types.FloatTensorType([None, width]))], zipmap=False
        )
    if original.flavor == "xgboost":
        return xgboost_form.graph_of(original.estimator, width, FEATURES)
    if original.flavor == "catboost":
        return catboost_form.graph_of(original.estimator)
    if original.flavor == "torch":
        return torch_form.graph_of(original.estimator, width, FEATURES)
    types = require("skl2onnx.common.data_types", extra="ml")
    return require("skl2onnx", extra="ml").convert_sklearn(
        original.estimator,
        initial_types=[(FEATURES, types.FloatTensorType([None, width]))],
        options={"zipmap": False} if original.output.name == "probability" else None,
        target_opset=_OPSET,
    )


def _shaped(model: Any, original: Original) -> bytes:
    """The graph with our one output, without what only served the others and without names drawn by lot."""
    onnx = require("onnx", extra="ml")
    graph, output = model.graph, original.output
    # Classifiers give the label first, then the probabilities.
    raw = graph.output[1 if output.name == "probability" and len(graph.output) > 1 else 0].name
    axes = len(output.shape)
    dtype = {"FP32": onnx.TensorProto.FLOAT, "INT64": onnx.TensorProto.INT64}.get(output.dtype, onnx.TensorProto.STRING)
    tail = output.shape[1:]
    positive = output.name == "probability" and axes == 1
    if axes == 1 and (as_score if positive else as_column)(graph, raw, output.name):
        tail = [1]
    elif positive:
        graph.initializer.append(onnx.helper.make_tensor("positive", onnx.TensorProto.INT64, [], [1]))
        graph.node.append(onnx.helper.make_node("Gather", [raw, "positive"], [output.name], axis=1))
    else:
        shape = [-1, *output.shape[1:]]
        graph.initializer.append(onnx.helper.make_tensor("rows", onnx.TensorProto.INT64, [axes], shape))
        graph.node.append(onnx.helper.make_node("Reshape", [raw, "rows"], [output.name]))
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info(output.name, dtype, ["n", *tail]))
    del graph.value_info[:]
    _prune(graph)
    graph.name, graph.doc_string, model.doc_string = "model", "", ""
    # A graph of trees alone need not name the standard operators; what was put behind it does.
    imports = {"": _OPSET} | {entry.domain: entry.version for entry in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, imports[domain]) for domain in sorted(imports))
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _prune(graph: Any) -> None:
    needed = {output.name for output in graph.output}
    kept: list[Any] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    nodes = [type(node).FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(nodes)
    weights = [type(w).FromString(w.SerializeToString()) for w in graph.initializer if w.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _probes(narrow: Any) -> list[tuple[str, Any]]:
    import numpy as np

    lot = np.random.default_rng(0)
    some = narrow[:500]
    missing = np.where(lot.random(some.shape) < 0.25, np.float32("nan"), some)
    zero = np.where(lot.random(some.shape) < 0.25, np.float32(0), some)
    return [(SAMPLE, narrow), (MISSING, missing), ("rows with zeros", zero)]


def _distance(found: Any, expected: Any) -> float:
    import numpy as np

    if expected.dtype.kind in "OUS":
        return float(np.any(found.astype(str) != expected.astype(str)))
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    gap = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    return float(np.max(np.where(np.isnan(found) & np.isnan(expected), 0.0, np.nan_to_num(gap, nan=np.inf))))


def _rounding(original: Predict, features: Any, tolerance: float) -> str:
    """A warning where features in 32 bits, as they arrive over the wire, already change the original's answers."""
    import numpy as np

    exact = np.asarray(original(features))
    rounded = np.asarray(original(features.astype(np.float32).astype(np.float64)))
    moved = _distance(rounded, exact)
    if moved <= tolerance:
        return ""
    return f"rounding the features to 32 bits itself moves the original's predictions by up to {moved:.2g}"


def _none(reason: str, tolerance: float) -> OnnxReport:
    return OnnxReport(available=False, agrees=False, tolerance=tolerance, reason=reason)
