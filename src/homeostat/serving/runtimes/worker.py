"""The worker process: `python -m homeostat.serving.runtimes.worker PACKAGE_FOLDER SOCKET_FD MEMORY_FD MEMORY_FD`."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from homeostat.serving import tensors
from homeostat.serving.contract import TensorSpec
from homeostat.serving.runtimes.arena import Arena
from homeostat.serving.runtimes.process import Reply, WireArray, receive, send, stow, unstow

if TYPE_CHECKING:
    from homeostat.registry import LoadedModel


def main(folder: Path, sock: socket.socket, asking: Arena, answering: Arena) -> None:
    """Load the model, then answer batches until the data plane closes the socket. Large ones come by `asking`."""
    told = msgspec.msgpack.decode(receive(sock), type=tuple[str, list[TensorSpec], list[TensorSpec]])
    recorded, inputs, outputs = told
    try:
        model = load(folder, recorded)
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
            arrays = [unstow(wire, asking) for wire in wires]
            reply = Reply(stow(predict(model, inputs, outputs, arrays), answering))
        except Exception as error:  # the same: told to whoever asked
            reply = Reply(error=f"{type(error).__name__}: {error}")
        send(sock, reply)


def load(folder: Path, recorded: str) -> LoadedModel:
    """The model in the package, whose pickle has the digest `recorded`."""
    from homeostat.registry import load_package

    # This process exists so that the model's code runs nowhere else; the plane has looked at where it comes from.
    return load_package(folder, engine="native", unpickle=recorded)


def predict(
    model: LoadedModel, inputs: list[TensorSpec], outputs: list[TensorSpec], arrays: list[tensors.Array]
) -> list[WireArray]:
    """The model's answer to one batch: a matrix, or columns of several kinds."""
    rows: Any = arrays[0]
    if model.package.signature.tensor is None:
        import polars as pl

        rows = pl.DataFrame({
            spec.name: [item.decode() for item in array.tolist()] if spec.datatype == "BYTES" else array
            for spec, array in zip(inputs, arrays, strict=True)
        })  # fmt: skip
    return [
        WireArray(spec.name, spec.datatype, list(answer.shape), tensors.to_bytes(spec.datatype, answer))
        for spec, answer in zip(outputs, model.answers(rows), strict=True)
    ]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what the model prints goes to the log
    _, package, line, ask, answer = sys.argv
    main(Path(package), socket.socket(fileno=int(line)), Arena(int(ask)), Arena(int(answer)))
