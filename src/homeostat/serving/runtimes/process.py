"""A model that only Python can load, in a process of its own: nothing is unpickled in the data plane.

Its process runs this Python, or one of an environment of the model's own, which needs nothing of ours: it is handed the
few modules that take the standard library and NumPy alone.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import structs

from homeostat.core.blobs import digest_of
from homeostat.core.errors import Corrupt, HomeostatError, InvalidInput, StepFailed, Unavailable
from homeostat.core.records import Record
from homeostat.serving.runtimes.arena import Arena
from homeostat.serving.runtimes.runtime import Runtime
from homeostat.serving.runtimes.wire import Place, receive, send, stow, unstow
from homeostat.serving.tensors import Array
from homeostat.serving.weight import private_bytes

_Reply = tuple[str, bool, list[Place]]
_decode_reply = msgspec.json.Decoder(_Reply).decode
_encode = msgspec.json.Encoder(enc_hook=str).encode  # paths as text
# For a Python that has no Homeostat: this one's folder is the package, and nothing that lies beside it is found.
_ELSEWHERE = """
import importlib.util, sys
root = sys.argv[1]
spec = importlib.util.spec_from_file_location("homeostat", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["homeostat"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from homeostat.serving.runtimes.worker import run
run(sys.argv[2:])
"""
_PACKAGE = Path(__file__).parents[2]


class Order(Record):
    """What a worker is to load. `how`: with our own loaders ("package"), as a "file" alone, or by "mlflow".

    `recorded` is the digest under which the workspace knows `file` (empty for one of unknown origin, whose types must
    all be harmless), and `python` the interpreter of the model's own
    environment (None: the one that runs here). `inputs` and `outputs` are names and datatypes; with `matrix` there is
    one array whose columns the inputs are.
    """

    how: Literal["package", "file", "mlflow"]
    folder: Path
    file: str
    recorded: str
    flavor: str
    inputs: list[tuple[str, str]]
    outputs: list[tuple[str, str]]
    matrix: bool
    python: Path | None = None


class ProcessRuntime(Runtime):
    """Starts the worker, asks it one batch at a time, and starts it again after it died."""

    name = "python"
    in_loop = False

    def __init__(self, order: Order, start_s: float = 60.0) -> None:
        self._order = order
        self._start_s = start_s
        self._kinds = ["FP32"] if order.matrix else [datatype for _, datatype in order.inputs]
        self._lock = threading.Lock()
        self._closed = False
        self._fresh = True
        self._patience_s = 0.0  # how long the socket waits; 0: for ever
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

    def run(self, arrays: list[Array]) -> list[Array]:
        with self._lock:
            if self._closed:
                raise Unavailable("the model is being unloaded")
            if self._process.poll() is not None:
                self._start()
            # What is imported at first use takes its time once.
            patience_s = max(self._start_s, self.answer_s) if self._fresh else self.answer_s
            try:
                if patience_s != self._patience_s:  # each time costs a system call
                    self._socket.settimeout(patience_s or None)
                    self._patience_s = patience_s
                shared, places, parts = stow(self._kinds, arrays, self._asking)
                asked = (getattr(arrays, "params", ""), getattr(arrays, "absent", ()))
                send(self._socket, _encode((shared, places, asked)), parts)
                head, blob = receive(self._socket)
                error, shared, places = _decode_reply(head)
                self._fresh = False
                outputs = unstow(shared, places, blob, self._answering)
            except TimeoutError as late:
                self._stop(at_once=True)
                raise Unavailable(
                    f"the model computed for {patience_s:g} s without an end; its process is started again"
                ) from late
            except (OSError, msgspec.DecodeError, InvalidInput) as gone:
                self._stop()
                raise Unavailable(
                    "the model's worker process died while it computed; it is started again",
                    hint="send it again",
                    crashed=True,
                ) from gone
        if error:
            raise StepFailed(f"the model raised {error}")
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
                self._process = self._spawn(passed)
            send(ours, _encode({**structs.asdict(self._order), **self._content()}))
            error, _, _ = _decode_reply(receive(ours)[0])
        except (OSError, msgspec.DecodeError) as gone:
            self._stop()
            raise Unavailable(f"the worker process of {self._order.folder.name} did not start: {gone}") from gone
        ours.settimeout(None)
        self._patience_s = 0.0
        if error:
            self._stop()
            raise HomeostatError(f"the model cannot be loaded: {error}", hint="is its environment installed here?")

    def _spawn(self, passed: list[int]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [*_command(self._order.python), *map(str, passed)],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if "TOKEN" not in k and "SECRET" not in k},
                start_new_session=True,
            )
        except OSError as error:  # its interpreter is gone, or there is no memory for another process
            self._socket.close()
            raise Unavailable(f"the worker process of {self._order.folder.name} cannot be started: {error}") from error

    def _content(self) -> dict[str, str]:
        """How a process that does not know our digests sees that the file is what was recorded."""
        if self._order.how != "file":
            return {}
        data = (self._order.folder / self._order.file).read_bytes()
        if self._order.recorded and digest_of(data) != self._order.recorded:
            raise Corrupt(f"'{self._order.file}' is not what was registered", hint="fetch the version again")
        return {"sha256": hashlib.sha256(data).hexdigest()}

    def _stop(self, at_once: bool = False) -> None:
        self._socket.close()  # the worker ends when its socket does
        if at_once:
            self._process.kill()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _command(python: Path | None) -> list[str]:
    if python is None:
        return [sys.executable, "-m", "homeostat.serving.runtimes.worker"]
    # Isolated: what this process was told by PYTHONPATH is not meant for another environment.
    return [str(python), "-I", "-c", _ELSEWHERE, str(_PACKAGE)]
