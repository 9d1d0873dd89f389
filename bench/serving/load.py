"""The load of the comparisons: `wrk` for HTTP/1.1 and `h2load` for gRPC, in processes of their own.

Both cost a few microseconds for each request, so that what is compared is the servers (Debian's packages `wrk` and
`nghttp2-client`). A request is sent as soon as its connection's answer is whole.

With one request in flight the load sleeps while the server works, and so does its core: to wake it costs, on a virtual
machine, as much as a small model's whole answer. That time is the load's, and it is in its figures for every server
alike. `awake` has the same programs look for their answers without a pause (awake.c, compiled by Debian's `gcc`), so
that what is counted is the server's time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
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
        _need(tool, package)


def _need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        sys.exit(f"{tool} is not installed: apt-get install {package}")


def http(
    port: int, path: str, body: Path, headers: dict[str, str], connections: int, seconds: float, *, awake: bool = False
) -> dict[str, float]:
    """POST `body` on `connections` kept alive: requests, their rate, latencies, and those not answered by 200."""
    script = body.with_suffix(".lua")
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script.write_text(_WRK % (body, "\n".join(lines)))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script),
               f"http://127.0.0.1:{port}{path}"]  # fmt: skip
    return json.loads(_said(command, body.parent, awake).splitlines()[-1])


def grpc(port: int, path: str, body: Path, in_flight: int, seconds: float, *, awake: bool = False) -> dict[str, float]:
    """Call `path` with the framed message in `body`; up to eight calls share a connection."""
    streams = min(8, in_flight)
    command = ["h2load", "-c", str(in_flight // streams), "-m", str(streams), "-D", str(max(1, round(seconds))),
               "-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers",
               f"http://127.0.0.1:{port}{path}"]  # fmt: skip
    said = _said(command, body.parent, awake)
    done = re.search(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed", said)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", said)
    times = re.search(r"time for request:\s+\S+\s+(\S+)\s+(\S+)", said)
    if done is None or rate is None or times is None:
        sys.exit(f"h2load said something else than expected:\n{said}")
    return {"requests": int(done[1]), "per_s": float(rate[1]), "p50_ms": _ms(times[2]), "p99_ms": _ms(times[1]),
            "failed": int(done[2])}  # fmt: skip


def _said(command: list[str], folder: Path, awake: bool) -> str:
    environment = dict(os.environ)
    if awake:
        library = folder / "awake.so"
        if not library.exists():
            _need("gcc", "gcc")
            source = str(Path(__file__).with_name("awake.c"))
            subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
        environment["LD_PRELOAD"] = str(library)
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def _ms(text: str) -> float:
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    return float(found[1]) * scale[found[2]] if found else 0.0
