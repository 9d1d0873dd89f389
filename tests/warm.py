"""Processes of their own that have the large libraries before they begin.

What is killed at fifty points is started fifty times, and a fresh interpreter spends seconds of computing on importing
LightGBM, Polars and SQLAlchemy before it comes to a line of ours. Here one process imports them, does nothing else, and
is copied for each start. A copy is a process like any other: it imports all of ours afresh, under an environment of its
own, and what kills it kills nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

# None of them begins a thread of its own that a copy would miss. What is not installed is passed over.
LIBRARIES = [
    "deltalake", "lightgbm", "msgspec", "numpy", "obstore", "onnx", "onnxmltools", "polars", "psycopg", "pyarrow",
    "scipy.stats", "skl2onnx", "sqlalchemy", "yaml",
]  # fmt: skip

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(LIBRARIES)


class Warm:
    """Python code in a process of its own, from the moment it is made; to be asked as a `subprocess.Popen`."""

    def __init__(self, code: str, *arguments: str, environment: Mapping[str, str]) -> None:
        self._code = code
        self._files = tempfile.TemporaryDirectory(prefix="homeostat-warm-")
        self._told = {name: Path(self._files.name) / name for name in ("stdout", "stderr")}
        paths = {name: str(path) for name, path in self._told.items()}
        self._process = _processes.Process(
            target=_become, args=(code, arguments, dict(environment), os.getcwd(), paths), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None as long as it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit code. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._code, timeout or 0)
        return self.returncode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Wait for its end; what it wrote to standard output and standard error."""
        self.wait(timeout)
        stdout, stderr = (path.read_bytes() if path.exists() else b"" for path in self._told.values())
        return stdout, stderr


def run(code: str, *arguments: str, environment: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run Python code to its end, as `subprocess.run` would."""
    process = Warm(code, *arguments, environment=environment)
    stdout, stderr = process.communicate(timeout)
    return subprocess.CompletedProcess([code, *arguments], process.wait(), stdout.decode(), stderr.decode())


def _become(
    code: str, arguments: tuple[str, ...], environment: dict[str, str], folder: str, told: dict[str, str]
) -> None:
    """What `python -c` does, in this fresh copy."""
    for number, name in enumerate(("stdout", "stderr"), start=1):
        file = os.open(told[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["-c", *arguments]
    assert not any(name.partition(".")[0] == "homeostat" for name in sys.modules), "a copy begins without ours"
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), main.__dict__)
