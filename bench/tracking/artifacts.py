"""A large artifact up and down, and what the disk alone does with as many bytes.

    python -m bench.tracking.artifacts PORT up|down PATH

in a process of its own, as the other requests. Prints the seconds it took.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.load import request
from bench.tracking.servers import ROOT, Server

MEGABYTES = 100
_PIECE = 1 << 20
_API = "/api/2.0/mlflow-artifacts/artifacts/"


def path_of(experiment: str, run: str) -> str:
    """Where the artifact of a run lies, for the proxy."""
    return f"{experiment}/{run}/artifacts/large.bin"


def up(port: int, path: str) -> float:
    """Seconds to send bytes that the server has never seen."""
    data = os.urandom(_PIECE) * MEGABYTES
    head = request("PUT", _API + path).replace(b"Content-Length: 0", b"Content-Length: %d" % len(data))
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        began = time.perf_counter()
        sock.sendall(head)
        sock.sendall(data)
        answer = sock.recv(1 << 16)
        took = time.perf_counter() - began
    _check(answer)
    return took


def down(port: int, path: str) -> float:
    """Seconds until every byte has arrived."""
    buffer = bytearray(_PIECE)
    size = MEGABYTES * _PIECE
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        began = time.perf_counter()
        sock.sendall(request("GET", _API + path))
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1 << 16)
        _check(head)
        found = len(head.partition(b"\r\n\r\n")[2])
        while found < size:
            got = sock.recv_into(buffer)
            if not got:
                raise SystemExit(f"{size} bytes came as {found}")
            found += got
        return time.perf_counter() - began


def _check(answer: bytes) -> None:
    if answer[9:12] != b"200":
        raise SystemExit(f"refused: {answer[:500]!r}")


def sent(server: Server, way: str, path: str) -> dict[str, float]:
    """The artifact up or down; megabytes per second, CPU for each of them."""
    os.sync()  # what others have not written yet is not to be waited for
    before = server.cpu_s()
    command = [sys.executable, "-m", "bench.tracking.artifacts", str(server.port), way, path]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{server.name}, artifact {way}: {done.stderr[-1000:]}")
    return {"per_s": MEGABYTES / float(done.stdout), "cpu_s": (server.cpu_s() - before) / MEGABYTES}


def disk(way: str, folder: Path) -> dict[str, float]:
    """The same bytes written to a file that is then on disk, as our server promises; or read from a file."""
    data = os.urandom(_PIECE) * MEGABYTES
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        os.sync()
        began = time.perf_counter()
        for at in range(0, len(data), 4 * _PIECE):
            file.write(memoryview(data)[at : at + 4 * _PIECE])
        os.fsync(file.fileno())
        if way == "down":
            file.seek(0)
            buffer = bytearray(4 * _PIECE)
            began = time.perf_counter()
            while file.readinto(buffer):
                pass
        return {"per_s": MEGABYTES / (time.perf_counter() - began)}


if __name__ == "__main__":
    print({"up": up, "down": down}[sys.argv[2]](int(sys.argv[1]), sys.argv[3]))
