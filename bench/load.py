"""The load of the comparisons: HTTP/1.1 keep-alive connections, one request in flight on each.

It waits on its sockets directly, so that it costs the machine a small part of what the servers do; the same code asks
every server.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass, field

# What one connection does: requests out, whole answers in; None after each operation. It may end after one.
Script = Generator[bytes | None, bytes, None]

_STATUS, _LENGTH = slice(9, 12), re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Line:
    """A connection: its script, its socket, what has arrived, when its operation began."""

    script: Script
    socket: socket.socket
    incoming: bytearray = field(default_factory=bytearray)
    whole: int = 0  # bytes of the answer that is arriving, 0 while its head is not here
    began: float = 0.0


def request(method: str, path: str, body: bytes = b"", headers: tuple[str, ...] = ()) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    if body and not headers:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + body


def arrived(line: Line) -> bool:
    """Whether the answer in `line.incoming` is whole."""
    data = line.incoming
    if not line.whole:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        found = _LENGTH.search(data, 0, end + 2)
        if found is None:  # a chunked answer ends so
            return data.endswith(b"0\r\n\r\n")
        line.whole = end + 4 + int(found[1])
    return len(data) >= line.whole


def load(address: tuple[str, int], scripts: list[Script], seconds: float, most: int = 0) -> dict[str, float]:
    """Run each script on a connection of its own; none begins an operation after `seconds`, or after `most` of them."""
    selector = selectors.DefaultSelector()
    times: list[float] = []
    failed = requests = 0
    clock = time.perf_counter
    lines = [Line(script, socket.create_connection(address, timeout=120)) for script in scripts]
    for line in lines:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line.socket, selectors.EVENT_READ, line)
    began = clock()
    end = began + seconds
    for line in lines:
        line.began = clock()
        line.socket.sendall(next(line.script) or b"")
    waiting = len(lines)
    while waiting:
        ready = selector.select(60)
        if not ready:
            failed += waiting
            break
        for key, _ in ready:
            line = key.data
            data = line.socket.recv(1 << 20)
            line.incoming += data
            if data and not arrived(line):
                continue
            requests += 1
            failed += line.incoming[_STATUS] != b"200"
            step = line.script.send(bytes(line.incoming))
            now = clock()
            line.incoming.clear()
            line.whole = 0
            if step is None:
                times.append(now - line.began)
                if data and now < end and not (most and len(times) >= most):
                    line.began = clock()
                    step = next(line.script, None)
            if step is None:
                selector.unregister(line.socket)
                waiting -= 1
            else:
                line.socket.sendall(step)
    took = clock() - began
    for line in lines:
        line.socket.close()
    times.sort()
    count = len(times)
    return {
        "requests": requests,
        "operations": count,
        "per_s": count / took,
        "p50_ms": 1e3 * times[count // 2] if times else 0.0,
        "p99_ms": 1e3 * times[int(count * 0.99)] if times else 0.0,
        "failed": failed,
    }
