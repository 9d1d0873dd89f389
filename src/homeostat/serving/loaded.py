"""A model version in memory, ready to answer: its contract, its runtime, how long it takes."""

from __future__ import annotations

import logging
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from homeostat.core.errors import Corrupt, Refused, StepFailed
from homeostat.core.frames import from_ipc_file
from homeostat.registry import Package, Signature, read_asks
from homeostat.serving import tensors
from homeostat.serving.asked_by_mlflow import AskedContract, AskedTensors
from homeostat.serving.contract import (
    ColumnsContract,
    Contract,
    MatrixContract,
    TensorsContract,
    TensorSpec,
)
from homeostat.serving.counts import VersionCounts
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.oip import AnswerWriter
from homeostat.serving.package import read_package, specs
from homeostat.serving.runtimes.runtime import Runtime

log = logging.getLogger("homeostat.serving")

# The event loop is not held longer than this by one batch; what takes longer runs in the model's thread.
LOOP_NS = 2_000_000
MAX_ROWS = 4096


class LoadedVersion:
    """What the data plane keeps of a version. `loop_rows`: rows that the event loop computes at once; 0 for none."""

    def __init__(
        self, model: str, version: int, contract: Contract, runtime: Runtime, outputs: list[TensorSpec]
    ) -> None:
        self.model = model
        self.version = version
        self.contract = contract
        self.runtime = runtime
        self.outputs = outputs
        self.writer = AnswerWriter(model, version, outputs)
        self.counts = VersionCounts()
        self.loop_rows = 0
        self.log_policy = LogPolicy()
        self.weight = 0  # bytes that loading it took in this process, where that was measured
        self._matrix = isinstance(contract, MatrixContract)
        self._last = 0  # size of the last matrix that no memory was bound for
        self.sample: Any = None  # a payload of some recorded rows, to show what a request looks like

    @property
    def memory(self) -> int:
        """Bytes that it takes at the moment, here and in processes of its own."""
        return self.weight + self.runtime.memory()

    def compute(self, payload: Any) -> list[tensors.Array]:
        """The outputs for a merged payload, in the shapes that the signature states.

        Raises: Corrupt when the model gives something else than its signature says, with the fact `rows` when it gives
        another number of them than it was asked, where those of several requests are computed together: nobody knows
        which of them are whose.
        """
        if self._matrix:
            found = self.runtime.run_bound(payload)
            if found is not None:
                return found
        arrays = self.contract.feed(payload)
        results = self.runtime.run(arrays)
        found = [_fit(spec, array) for spec, array in zip(self.outputs, results, strict=True)]
        if self.contract.batchable:
            self._check_rows(len(arrays[0]), found)
        if self._matrix:
            self._bind(arrays[0], results, found)
        return found

    def _check_rows(self, rows: int, found: list[tensors.Array]) -> None:
        for spec, array in zip(self.outputs, found, strict=True):
            if array.shape[:1] != (rows,):
                raise Corrupt(
                    f"the output '{spec.name}' has the shape {list(array.shape)} for {rows} rows",
                    hint="a model answers each row with one",
                    rows=rows,
                )

    def _bind(self, matrix: tensors.Array, results: list[tensors.Array], fitted: list[tensors.Array]) -> None:
        # The second of a size running: more of them may come.
        alike = all(one.dtype == other.dtype for one, other in zip(results, fitted, strict=True))
        if matrix.nbytes == self._last and alike:
            self.runtime.bind(matrix, results, [one.shape for one in fitted])
        self._last = matrix.nbytes

    def rehearse(self, payload: Any) -> None:
        """Compute a payload that another version was asked, so that its size and its values are no news."""
        for _ in range(3):
            self.compute(payload)

    def warm_up(self, payload: Any, rows: int) -> None:
        """Compute the sample a few times, and measure how many rows the event loop may compute at once."""
        if not self.runtime.in_loop or not self.contract.batchable:
            self.compute(payload)
            # A request that cannot be joined with others runs alone: in the loop only if it is quick.
            took = _best_ns(lambda: self.compute(payload))
            self.loop_rows = MAX_ROWS if self.runtime.in_loop and took < LOOP_NS else 0
            return
        many = max(1, 64 // rows)
        self.compute(payload)
        small = _best_ns(lambda: self.compute(payload)) / rows
        large = _best_ns(lambda: self.compute(self.contract.merge([payload] * many)))
        per_row = max(large / (many * rows), 1.0)
        self.loop_rows = 0 if small * rows > LOOP_NS else max(1, min(MAX_ROWS, int(LOOP_NS / per_row)))


def load(
    folder: Path,
    model: str,
    version: int,
    *,
    key: str = "key",
    time: str = "time",
    recorded: str | None = None,
    python: Path | None = None,
) -> LoadedVersion:
    """The version in the package `folder`, warmed up on its sample.

    ONNX Runtime where there is a conversion that agrees with the original, else the flavour's own runtime. `recorded`,
    the digest of a pickled model that this workspace has made, lets it run in a process of its own; so does a file that
    runs no code. `python` is the interpreter of its own environment.

    Raises: Corrupt for a broken package; Refused for a pickled model that this workspace has not made.
    """
    package = read_package(folder)
    names = (model, key, time)
    file = package.file if package.flavor == "onnx" else package.onnx.file if package.onnx.agrees else None
    if file is not None:
        runtime, contract = _open_onnx(folder / file, package, names)
    elif package.flavor == "catboost" or (package.flavor in ("lightgbm", "xgboost") and package.signature.tensor):
        runtime, contract = _open_booster(folder / package.file, package, names)
    elif recorded is not None or not package.runs_code:
        runtime, contract = _open_process(folder, recorded, package, names, python)
    else:
        raise Refused(
            f"model '{model}' version {version} is a pickle that no run of this workspace has made",
            hint="register it from a run, or with an ONNX form that agrees with it",
        )
    loaded = LoadedVersion(model, version, contract, runtime, specs(package.signature.outputs))
    try:
        payload, rows, shown = sample_payload(folder, package, contract)
        loaded.sample = payload
        _warm_up(loaded, payload, rows, shown)
    except BaseException:
        runtime.close()
        raise
    return loaded


def _warm_up(loaded: LoadedVersion, payload: Any, rows: int, shown: bool) -> None:
    try:
        if isinstance(loaded.contract, TensorsContract):
            _see_rows(loaded, payload)
        loaded.warm_up(payload, rows)
    except StepFailed:
        # Own code may well refuse rows that were made up, and answer real ones.
        if shown or loaded.runtime.in_loop:
            raise


def _see_rows(loaded: LoadedVersion, payload: Any) -> None:
    """Have each request computed alone where the model does not give a row for each, as those that find what is in an
    image: their signature does not tell that its first dimension is no request's."""
    contract = loaded.contract
    if contract.batchable:
        try:
            loaded.compute(contract.merge([payload, payload]))
        except Corrupt as error:
            if "rows" not in error.facts:
                raise
            contract.batchable = False


def _open_onnx(path: Path, package: Package, names: tuple[str, str, str]) -> tuple[Runtime, Contract]:
    from homeostat.serving.runtimes.onnx import OnnxRuntime

    signature = package.signature
    runtime = OnnxRuntime(path)
    runtime.select([field.name for field in signature.outputs])
    graph = runtime.inputs
    if signature.tensor is not None:
        if len(graph) != 1 or len(graph[0].shape) != 2 or graph[0].shape[1] not in (-1, len(signature.inputs)):
            raise Corrupt(f"'{path.name}' does not take one matrix of {len(signature.inputs)} columns",
                          hint="register the model again", graph=[spec.name for spec in graph])  # fmt: skip
        return runtime, MatrixContract(names[0], specs(signature.inputs), *names[1:], tensor=signature.tensor)
    if [spec.name for spec in graph] != [field.name for field in signature.inputs]:
        raise Corrupt(f"'{path.name}' takes {[spec.name for spec in graph]}, the signature names others",
                      hint="register the model again")  # fmt: skip
    batchable = all(spec.shape[:1] == [-1] for spec in runtime.outputs)
    declared = [
        # NumPy has no BF16: a graph of FP32 stands for it, and is fed what the protocol's half of it says.
        replace(spec, datatype="BF16") if (field.dtype, spec.datatype) == ("BF16", "FP32") else spec
        for spec, field in zip(graph, signature.inputs, strict=True)
    ]
    return runtime, TensorsContract(names[0], declared, *names[1:], batchable=batchable)


def _open_booster(path: Path, package: Package, names: tuple[str, str, str]) -> tuple[Runtime, Contract]:
    """A model of a library whose files are data, asked by its own predictor."""
    if package.flavor == "lightgbm":
        from homeostat.serving.runtimes.lightgbm import LightgbmRuntime

        runtime = LightgbmRuntime(path)
    elif package.flavor == "xgboost":
        from homeostat.serving.runtimes.xgboost import XgboostRuntime

        runtime = XgboostRuntime(path)
    else:
        from homeostat.serving.runtimes.catboost import CatboostRuntime

        runtime = CatboostRuntime(path)
    form = MatrixContract if package.signature.tensor else ColumnsContract
    contract = form(names[0], specs(package.signature.inputs), *names[1:])
    if runtime.width != len(contract.inputs):
        raise Corrupt(f"'{path.name}' takes {runtime.width} columns, the signature names {len(contract.inputs)}",
                      hint="register the model again")  # fmt: skip
    return runtime, contract


def _asked_contract(mlmodel: Path, signature: Signature, names: tuple[str, str, str]) -> Contract:
    """The contract of what MLflow itself loads: columns, or tensors where one is none."""
    asks = read_asks(mlmodel.read_bytes())
    contract = AskedContract(names[0], specs(signature.inputs), *names[1:])
    if any(field.shape != [-1] for field in signature.inputs):
        whole = all(field.shape[:1] == [-1] for field in signature.outputs)
        contract = AskedTensors(names[0], specs(signature.inputs), *names[1:], batchable=whole)
    contract.declare(asks.params, asks.optional)
    return contract


def _open_process(
    folder: Path, recorded: str | None, package: Package, names: tuple[str, str, str], python: Path | None
) -> tuple[Runtime, Contract]:
    from homeostat.serving.runtimes.process import Order, ProcessRuntime
    from homeostat.serving.runtimes.replicas import Replicas

    signature = package.signature
    contract: Contract = ColumnsContract(names[0], specs(signature.inputs), *names[1:])
    if signature.tensor is not None:
        contract = MatrixContract(names[0], specs(signature.inputs), *names[1:], tensor=signature.tensor)
    elif package.flavor == "pyfunc":
        contract = _asked_contract(folder / package.file, signature, names)
    order = Order(
        how="mlflow" if package.flavor == "pyfunc" else "package" if python is None else "file",
        folder=folder, file=package.file, recorded=recorded or "", flavor=package.flavor,
        inputs=[(field.name, field.dtype) for field in signature.inputs],
        outputs=[(field.name, field.dtype) for field in signature.outputs],
        matrix=signature.tensor is not None, python=python,
    )  # fmt: skip
    # MLflow and what it loads may take its time to import.
    start_s = 60.0 if order.how == "package" else 300.0
    return Replicas(lambda: ProcessRuntime(order, start_s)), contract


def sample_payload(folder: Path, package: Package, contract: Contract) -> tuple[Any, int, bool]:
    """The package's sample as a payload (at most 32 rows), how many rows that is, and that they are real; or zeros
    where there is none, or nothing to read it with."""
    named = bool(package.sample) and not isinstance(contract, TensorsContract)
    # An image of ours does without Polars.
    able = find_spec("polars") is not None and find_spec("pyarrow") is not None
    if named and package.sample and able and (folder / package.sample).is_file():
        frame = from_ipc_file((folder / package.sample).read_bytes()).head(32)
        if frame.height and set(contract.names) <= set(frame.columns):
            return payload_of(frame, contract), frame.height, True
    if isinstance(contract, MatrixContract):
        return bytes(contract.row_bytes), 1, False
    arrays = [np.zeros([max(1, size) for size in spec.shape], tensors.NUMPY[spec.datatype]) for spec in contract.inputs]
    for spec, array in zip(contract.inputs, arrays, strict=True):
        if spec.datatype == "BYTES":
            array.fill(b"")
    return arrays, 1, False


def payload_of(frame: Any, contract: Contract) -> Any:
    """The rows of a table, which has the contract's columns, as a payload. What is missing is NaN where the datatype
    has one, else 0 or an empty text."""
    import polars as pl

    if isinstance(contract, MatrixContract):
        matrix = frame.select(list(contract.names)).cast(pl.Float32).fill_null(float("nan")).to_numpy()
        return np.ascontiguousarray(matrix, "<f4").tobytes()
    return [_column(frame[spec.name], spec) for spec in contract.inputs]


def _column(series: Any, spec: TensorSpec) -> tensors.Array:
    if spec.datatype == "BYTES":
        return np.array([str(value).encode() for value in series.fill_null("").to_list()], dtype=object)
    return (
        series.fill_null(float("nan") if spec.datatype in ("FP32", "FP64") else 0)
        .to_numpy()
        .astype(tensors.NUMPY[spec.datatype])
    )


def _fit(spec: TensorSpec, array: tensors.Array) -> tensors.Array:
    if spec.datatype != "BYTES" and array.dtype != tensors.NUMPY[spec.datatype]:
        array = array.astype(tensors.NUMPY[spec.datatype])
    if array.ndim != len(spec.shape):
        if array.ndim == 2 and array.shape[1] == 1 and len(spec.shape) == 1:
            return array[:, 0]
        raise Corrupt(f"the output '{spec.name}' has the shape {list(array.shape)}, the signature says {spec.shape}")
    return array


def _best_ns(call: Any, times: int = 3) -> int:
    best = 1 << 62
    for _ in range(times):
        started = time.perf_counter_ns()
        call()
        best = min(best, time.perf_counter_ns() - started)
    return best
