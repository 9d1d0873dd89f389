"""The load of the comparisons: `wrk` for HTTP/1.1 and `h2load` for gRPC, in processes of their own, and a client that
stays awake.

All cost a few microseconds for each request, so that what is compared is the servers (Debian's packages `wrk` and
`nghttp2-client`). A request is sent as soon as its connection's answer is whole.

With one request in flight `wrk` sleeps while the server works, and so does its core: to wake it costs, on a virtual
machine, as much as a small model's whole answer. That time is the client's, and it is in `wrk`'s figures for every
server alike. `awake` looks for its answer without a pause, so that what is counted is the server's time.
"""

from __future__ import annotations

import gc
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

_WRK = """
wrk.method = "POST"
local file = io.open("%s", "rb")
wrk.body = file:read("*a")
file:close()
%s
done = function(summary, latency, requests)
  local bad = summary.errors
  io.write(string.format('{"requests":%%d,"per_s":%%f,"p50_ms":%%f,"p99_ms":%%f,"failed":%%d}\\n', summary.requests,
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    bad.status + bad.connect + bad.read + bad.write + bad.timeout))
end
"""


def needed() -> None:
    """End with what to install where a tool is missing."""
    for tool, package in (("wrk", "wrk"), ("h2load", "nghttp2-client")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed: apt-get install {package}")


def http(
    port: int, path: str, body: Path, headers: dict[str, str], connections: int, seconds: float
) -> dict[str, float]:
    """POST `body` on `connections` kept alive: requests, their rate, latencies, and those not answered by 200."""
    script = body.with_suffix(".lua")
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script.write_text(_WRK % (body, "\n".join(lines)))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script),
               f"http://127.0.0.1:{port}{path}"]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def awake(port: int, path: str, body: Path, headers: dict[str, str], seconds: float) -> dict[str, float]:
    """As `http` on one connection, from this process, which takes a core for itself meanwhile."""
    content = body.read_bytes()
    head = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(content)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    request = f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content
    clock, took, failed = time.perf_counter_ns, list[int](), 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        answers = _Answers(connection)
        gc.disable()
        began = sent = clock()
        end = began + round(seconds * 1e9)
        connection.send(request)
        while sent < end:
            answer = answers.next()
            now = clock()
            connection.send(request)  # first of all: what is left to do here is done while the server works
            took.append(now - sent)
            failed += not answer.startswith(b"HTTP/1.1 200 ")
            sent = now
        answers.next()
        gc.enable()
    took.sort()
    return {"requests": len(took), "per_s": len(took) / (sent - began) * 1e9, "failed": failed,
            "p50_ms": took[len(took) // 2] / 1e6, "p99_ms": took[len(took) * 99 // 100] / 1e6}  # fmt: skip


class _Answers:
    """Whole answers, looked for without sleeping. What a head says of their length is looked up when it comes again."""

    def __init__(self, connection: socket.socket) -> None:
        self._receive = connection.recv
        self._lengths: dict[bytes, int] = {}  # by head

    def next(self) -> bytes:
        """The next one."""
        read = self._more()
        while (end := read.find(b"\r\n\r\n")) < 0:
            read += self._more()
        head = read[:end]
        length = self._lengths.get(head)
        if length is None:
            found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            if found is None:
                sys.exit("a server does not say how long its answer is")
            length = self._lengths[head] = int(found[1])
        while len(read) < end + 4 + length:
            read += self._more()
        return read

    def _more(self) -> bytes:
        while True:
            try:
                part = self._receive(4096)
            except BlockingIOError:
                continue
            if not part:
                sys.exit("a server closed the connection in the middle of an answer")
            return part


def grpc(port: int, path: str, body: Path, in_flight: int, seconds: float) -> dict[str, float]:
    """Call `path` with the framed message in `body`; up to eight calls share a connection."""
    streams = min(8, in_flight)
    command = ["h2load", "-c", str(in_flight // streams), "-m", str(streams), "-D", str(max(1, round(seconds))),
               "-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers",
               f"http://127.0.0.1:{port}{path}"]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    done = re.search(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed", said)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", said)
    times = re.search(r"time for request:\s+\S+\s+(\S+)\s+(\S+)", said)
    if done is None or rate is None or times is None:
        sys.exit(f"h2load said something else than expected:\n{said}")
    return {"requests": int(done[1]), "per_s": float(rate[1]), "p50_ms": _ms(times[2]), "p99_ms": _ms(times[1]),
            "failed": int(done[2])}  # fmt: skip


def _ms(text: str) -> float:
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    return float(found[1]) * scale[found[2]] if found else 0.0
