"""The servers that are compared, each on a folder of its own, and the first things they are told."""

from __future__ import annotations

import compileall
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import cpu_by_process, cpu_s, free_port, memory_bytes, running

ROOT = Path(__file__).parents[2]
_API = "/api/2.0/mlflow/"
OURS, ONE, DEFAULT, BARE = "homeostat", "MLflow, 1 worker, no jobs", "MLflow, default", "bare app"


@dataclass
class Server:
    """A running server: its process, how long it took to answer, what was made on it."""

    name: str
    pid: int
    port: int
    folder: Path
    started_s: float
    started_cpu_s: float
    database: str
    python: str  # the Python that has the peer, empty for our own
    cluster: int = 0  # the process of the PostgreSQL that it asks, if it does
    backends: dict[int, float] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    asked: int = 0  # points sent so far: none is sent twice

    def cpu_s(self) -> float:
        """Of the server, and of the processes of PostgreSQL that answer it, those too that have ended since."""
        if self.cluster:  # their titles name the database
            self.backends |= cpu_by_process(self.cluster, f" {self.database.rpartition('/')[2]} ")
        return cpu_s(self.pid) + sum(self.backends.values())

    def memory_bytes(self) -> int:
        return memory_bytes(self.pid)

    def put(self, path: str, data: bytes) -> None:
        """Upload a small artifact through the server."""
        where = f"http://127.0.0.1:{self.port}/api/2.0/mlflow-artifacts/artifacts/{path}"
        with urllib.request.urlopen(urllib.request.Request(where, data, method="PUT"), timeout=120):
            pass

    def call(self, call: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to one call of MLflow's protocol; GET without a body."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{_API}{call}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{self.name} refuses {call}: {error.code} {error.read()[:500]!r}") from None


@dataclass(frozen=True)
class Kind:
    """A way to start a server: the command for a port, the folder it runs in and a database's URL."""

    name: str
    command: Callable[[int, Path, str], list[str]]
    environment: dict[str, str]
    python: str = ""

    def store(self, folder: Path, database: str) -> str:
        """The database's URL as MLflow writes it."""
        return database.replace("postgresql://", "postgresql+psycopg2://") or f"sqlite:///{folder}/mlflow.db"


def ours() -> Kind:
    """Our server with default settings, the data plane beside it as always; compiled, as an installer leaves it."""
    compileall.compile_dir(str(ROOT / "src"), quiet=2)

    def command(port: int, folder: Path, database: str) -> list[str]:
        home = database or str(folder / "home")
        return [sys.executable, "-m", "homeostat", "up", "--home", home, "--port", str(port),
                "--serve-port", str(free_port())]  # fmt: skip

    return Kind(OURS, command, {"PYTHONPATH": str(ROOT / "src")})


def mlflow(environment: Path, name: str, *options: str, jobs: bool) -> Kind:
    """MLflow's server, which serves artifacts itself, as by default; with the processes for jobs, or without."""

    def command(port: int, folder: Path, database: str) -> list[str]:
        return [str(environment / "bin" / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), *options,
                "--backend-store-uri", made.store(folder, database),
                "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip

    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin"}
    if not jobs:
        settings["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    made = Kind(name, command, settings, str(environment / "bin" / "python"))
    return made


def bare() -> Kind:
    """The app of `peers/bare.py`, which knows one call only."""

    def command(port: int, folder: Path, database: str) -> list[str]:
        return [sys.executable, "-m", "bench.tracking.peers.bare", str(port), str(folder / "bare.db")]

    return Kind(BARE, command, {"PYTHONPATH": str(ROOT)})


@contextmanager
def started(kind: Kind, folder: Path, database: str, cluster: int = 0) -> Iterator[Server]:
    """The server, once it answers. `cluster`: the process of the PostgreSQL that has `database`."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "server.log"
    began = time.perf_counter()
    with running(kind.command(port, folder, database), folder, log, **kind.environment) as process:
        while not _healthy(port):
            if process.poll() is not None or time.perf_counter() - began > 240:
                raise SystemExit(f"{kind.name} does not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.02)
        took = time.perf_counter() - began
        yield Server(
            kind.name, process.pid, port, folder, took, cpu_s(process.pid),
            kind.store(folder, database), kind.python, cluster,
        )  # fmt: skip


def _healthy(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return sock.recv(64)[9:12] == b"200"
    except OSError:
        return False


def settle(server: Server, most_s: float = 90) -> None:
    """Return when the server has come to rest: what it starts beside itself is up."""
    deadline = time.monotonic() + most_s
    before = server.cpu_s()
    while time.monotonic() < deadline:
        time.sleep(1.5)
        now = server.cpu_s()
        if now - before < 0.06:
            return
        before = now
