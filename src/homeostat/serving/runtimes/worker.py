"""The process of a model: `python -m homeostat.serving.runtimes.worker SOCKET_FD MEMORY_FD MEMORY_FD`.

It may be a Python that has nothing of ours: what is imported here is the standard library, NumPy, and modules that take
no more. See `process.py` for how such a one is started.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from homeostat.serving.runtimes.arena import Arena
from homeostat.serving.runtimes.own import Ask, Asked, Told, open_file, open_mlflow
from homeostat.serving.runtimes.wire import receive, send, stow, unstow
from homeostat.serving.tensors import Array


def serve(sock: socket.socket, asking: Arena, answering: Arena) -> None:
    """Load the model, then answer batches until the data plane closes the socket. Large ones come by `asking`."""
    told: Told = json.loads(receive(sock)[0])
    kinds = [datatype for _, datatype in told["outputs"]]
    try:
        ask = _OPEN[told["how"]](told)
    except BaseException as error:  # whatever the model's code raises is told, never a crash without words
        send(sock, _reply(f"{type(error).__name__}: {error}"))
        return
    send(sock, _reply())
    while True:
        try:
            head, blob = receive(sock)
        except ConnectionError:
            return
        try:
            shared, places, asked = json.loads(head)
            answers = ask(unstow(shared, places, blob, asking), asked)
            shared, places, parts = stow(kinds, answers, answering)
        except Exception as error:  # the same: told to whoever asked
            send(sock, _reply(f"{type(error).__name__}: {error}"))
        else:
            send(sock, _reply("", shared, places), parts)


def _reply(error: str = "", shared: bool = False, places: Any = ()) -> bytes:
    # What raised may say what is no text.
    return json.dumps([error.encode(errors="replace").decode(), shared, places]).encode()


def _open_package(told: Told) -> Ask:
    """The model in a package, by this Homeostat's own loaders."""
    from homeostat.registry import load_package

    # This process exists so that the model's code runs nowhere else; the plane has looked at where it comes from.
    model = load_package(Path(told["folder"]), engine="native", unpickle=told["recorded"])

    def ask(arrays: list[Array], asked: Asked) -> list[Array]:
        rows: Any = arrays[0]
        if not told["matrix"]:
            import polars as pl

            rows = pl.DataFrame({
                name: [item.decode() for item in array.tolist()] if datatype == "BYTES" else array
                for (name, datatype), array in zip(told["inputs"], arrays, strict=True)
            })  # fmt: skip
        return model.answers(rows)

    return ask


_OPEN = {"package": _open_package, "file": open_file, "mlflow": open_mlflow}


def run(words: list[str]) -> None:
    """Serve by the file descriptors that `words` number."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what the model prints goes to the log
    line, ask, answer = map(int, words)
    serve(socket.socket(fileno=line), Arena(ask), Arena(answer))


if __name__ == "__main__":
    run(sys.argv[1:])
