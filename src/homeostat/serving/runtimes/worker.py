"""The worker process: `python -m homeostat.serving.runtimes.worker PACKAGE_FOLDER SOCKET_FD`."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from homeostat.serving import tensors
from homeostat.serving.contract import TensorSpec
from homeostat.serving.runtimes.process import Reply, WireArray, receive, send


def main(folder: Path, sock: socket.socket) -> None:
    """Load the model, then answer batches until the data plane closes the socket."""
    inputs, outputs = msgspec.msgpack.decode(receive(sock), type=tuple[list[TensorSpec], list[TensorSpec]])
    try:
        model = load(folder)
    except Exception as error:  # whatever the model's code raises is told, never a crash without words
        send(sock, Reply(error=f"{type(error).__name__}: {error}"))
        return
    send(sock, Reply())
    decode = msgspec.msgpack.Decoder(list[WireArray]).decode
    while True:
        try:
            wires = decode(receive(sock))
        except ConnectionError:
            return
        try:
            arrays = [tensors.from_bytes(w.name, w.datatype, w.shape, w.data) for w in wires]
            results = predict(model, inputs, outputs, arrays)
            reply = Reply([
                WireArray(spec.name, spec.datatype, list(array.shape), tensors.to_bytes(spec.datatype, array))
                for spec, array in zip(outputs, results, strict=True)
            ])  # fmt: skip
        except Exception as error:  # the same: told to whoever asked
            reply = Reply(error=f"{type(error).__name__}: {error}")
        send(sock, reply)


def load(folder: Path) -> Any:
    """The estimator or function in the package."""
    import pickle

    from homeostat.serving.package import read_package

    package = read_package(folder)
    with open(folder / package.file, "rb") as source:
        # This process exists so that this line runs nowhere else; the plane has checked the digest and its origin.
        return pickle.load(source)  # noqa: S301


def predict(
    model: Any, inputs: list[TensorSpec], outputs: list[TensorSpec], arrays: list[tensors.Array]
) -> list[tensors.Array]:
    """The outputs that the signature names, from a scikit-learn estimator or any callable."""
    import numpy as np

    table: Any = arrays[0]
    if len(arrays) > 1 or hasattr(model, "feature_names_in_"):
        table = _frame(model, inputs, arrays)
    found: list[tensors.Array] = []
    for spec in outputs:
        if spec.name.startswith("prob") and hasattr(model, "predict_proba"):
            values = np.asarray(model.predict_proba(table))
            values = values[:, 1] if len(spec.shape) == 1 else values
        else:
            values = np.asarray(model.predict(table) if hasattr(model, "predict") else model(table))
        found.append(values if spec.datatype == "BYTES" else values.astype(tensors.NUMPY[spec.datatype]))
    return found


def _frame(model: Any, inputs: list[TensorSpec], arrays: list[tensors.Array]) -> Any:
    import pandas as pd

    if len(arrays) == 1:
        return pd.DataFrame(arrays[0], columns=list(model.feature_names_in_))
    columns = {
        spec.name: [item.decode() for item in array.tolist()] if spec.datatype == "BYTES" else array
        for spec, array in zip(inputs, arrays, strict=True)
    }
    return pd.DataFrame(columns)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what the model prints goes to the log
    main(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
