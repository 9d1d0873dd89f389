"""A model that only Python can load, in a process of its own: nothing is unpickled in the data plane.

The two sides exchange frames over a socket pair: a 32-bit length, then MessagePack of tensors. The bytes of small
batches are part of the frame; those of large ones lie in memory that both share.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from homeostat.core.errors import HomeostatError, StepFailed, Unavailable
from homeostat.serving import tensors
from homeostat.serving.contract import TensorSpec
from homeostat.serving.runtimes.arena import INLINE_BYTES, Arena
from homeostat.serving.runtimes.runtime import Runtime
from homeostat.serving.weight import private_bytes

MAX_FRAME = 1 << 30


class WireArray(msgspec.Struct, array_like=True):
    """A tensor between the two processes. `data` is empty where its bytes lie in shared memory, at (start, size)."""

    name: str
    datatype: str
    shape: list[int]
    data: bytes
    place: tuple[int, int] | None = None


class Reply(msgspec.Struct):
    """The worker's answer: outputs, or what the model raised."""

    outputs: list[WireArray] = []
    error: str = ""


_decode_reply = msgspec.msgpack.Decoder(Reply).decode


def send(sock: socket.socket, value: Any) -> None:
    """One frame."""
    data = msgspec.msgpack.encode(value)
    sock.sendall(struct.pack("<I", len(data)) + data)


def receive(sock: socket.socket) -> bytes:
    """The next frame's content; ConnectionError when the other side has gone."""
    (size,) = struct.unpack("<I", _exactly(sock, 4))
    if size > MAX_FRAME:
        raise ConnectionError("a frame is too long")
    return _exactly(sock, size)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        got = sock.recv_into(view[at:])
        if not got:
            raise ConnectionError("the other side has gone")
        at += got
    return bytes(data)


def stow(wires: list[WireArray], arena: Arena) -> list[WireArray]:
    """The tensors as they are when they are small; else with their bytes moved into the shared memory."""
    if sum(len(wire.data) for wire in wires) <= INLINE_BYTES:
        return wires
    places = arena.write([wire.data for wire in wires])
    return [
        WireArray(wire.name, wire.datatype, wire.shape, b"", place) for wire, place in zip(wires, places, strict=True)
    ]


def unstow(wire: WireArray, arena: Arena) -> tensors.Array:
    """The tensor as an array."""
    data = wire.data if wire.place is None else arena.read(*wire.place)
    return tensors.from_bytes(wire.name, wire.datatype, wire.shape, data)


class ProcessRuntime(Runtime):
    """Starts the worker, asks it one batch at a time, and starts it again after it died.

    `recorded` is the digest under which the workspace knows the pickle.
    """

    name = "python"
    in_loop = False

    def __init__(
        self, folder: Path, recorded: str, inputs: list[TensorSpec], outputs: list[TensorSpec], start_s: float = 60.0
    ) -> None:
        self._folder = folder
        self._inputs = inputs
        self._outputs = outputs
        self._recorded = recorded
        self._start_s = start_s
        self._lock = threading.Lock()
        self._closed = False
        self._fresh = True
        self._asking = Arena.make()
        self._answering = Arena.make()
        try:
            self._start()
        except BaseException:
            self._forget()
            raise

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def run(self, arrays: list[tensors.Array]) -> list[tensors.Array]:
        wires = [
            WireArray(spec.name, spec.datatype, list(array.shape), tensors.to_bytes(spec.datatype, array))
            for spec, array in zip(self._inputs, arrays, strict=True)
        ]
        with self._lock:
            if self._closed:
                raise Unavailable("the model is being unloaded")
            if self._process.poll() is not None:
                self._start()
            # What is imported at first use takes its time once.
            patience_s = max(self._start_s, self.answer_s) if self._fresh else self.answer_s
            try:
                self._socket.settimeout(patience_s or None)
                send(self._socket, stow(wires, self._asking))
                reply = _decode_reply(receive(self._socket))
                self._fresh = False
                outputs = [unstow(wire, self._answering) for wire in reply.outputs]
            except TimeoutError as error:
                self._stop(at_once=True)
                raise Unavailable(
                    f"the model computed for {patience_s:g} s without an end; its process is started again"
                ) from error
            except (OSError, msgspec.DecodeError) as error:
                self._stop()
                raise Unavailable(
                    "the model's worker process died while it computed; it is started again",
                    hint="send it again",
                    crashed=True,
                ) from error
        if reply.error:
            raise StepFailed(f"the model raised {reply.error}")
        return outputs

    def memory(self) -> int:
        return private_bytes(self._process.pid)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._stop()
            self._forget()

    def _forget(self) -> None:
        self._asking.close()
        self._answering.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(self._start_s)
        self._fresh = True
        self._socket = ours
        try:
            with theirs:
                passed = [theirs.fileno(), self._asking.file, self._answering.file]
                # Its own session: a Ctrl-C meant for the server must not end it before the last answer.
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "homeostat.serving.runtimes.worker",
                        str(self._folder),
                        *map(str, passed),
                    ],
                    pass_fds=passed,
                    stdin=subprocess.DEVNULL,
                    env={k: v for k, v in os.environ.items() if "TOKEN" not in k and "SECRET" not in k},
                    start_new_session=True,
                )
            send(ours, [self._recorded, self._inputs, self._outputs])
            reply = _decode_reply(receive(ours))
        except OSError as error:
            self._stop()
            raise Unavailable(f"the worker process of {self._folder.name} did not start: {error}") from error
        ours.settimeout(None)
        if reply.error:
            self._stop()
            raise HomeostatError(
                f"the model cannot be loaded: {reply.error}", hint="is its environment installed here?"
            )

    def _stop(self, at_once: bool = False) -> None:
        self._socket.close()  # the worker ends when its socket does
        if at_once:
            self._process.kill()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
