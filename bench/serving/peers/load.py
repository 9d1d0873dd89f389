"""The load of the comparisons: HTTP/1.1 keep-alive connections, one request in flight on each, in a process of its own.

    python -m bench.serving.peers.load HOST PORT PATH BODY_FILE --connections 64 --seconds 2 [--header "Name: value"]

Prints one line of JSON: requests per second, median and 99th percentile in milliseconds, answers that were not 200.
It waits on its sockets directly, so that it costs the machine a small part of what the servers do.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Line:
    """A connection: its socket, what has arrived, when its request went out."""

    socket: socket.socket
    incoming: bytearray = field(default_factory=bytearray)
    sent: float = 0.0


def complete(data: bytearray) -> int:
    """The status of the answer in `data` when it is whole, else 0."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(data[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        return int(head[9:12]) if data.endswith(b"0\r\n\r\n") else 0  # a chunked answer ends so
    stop = head.find(b"\r\n", at)
    length = int(head[at + 15 : stop if stop >= 0 else None])
    return int(head[9:12]) if len(data) >= end + 4 + length else 0


def load(address: tuple[str, int], request: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Ask for `seconds`. Every connection sends its next request when its answer is whole."""
    selector = selectors.DefaultSelector()
    lines: list[Line] = []
    for _ in range(connections):
        line = Line(socket.create_connection(address, timeout=60))
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line.socket, selectors.EVENT_READ, line)
        lines.append(line)
    times: list[float] = []
    failed = 0
    clock = time.perf_counter
    began = clock()
    end = began + seconds
    for line in lines:
        line.sent = clock()
        line.socket.sendall(request)
    waiting = connections
    while waiting:
        ready = selector.select(30)
        if not ready:
            failed += waiting
            break
        for key, _ in ready:
            line = key.data
            data = line.socket.recv(1 << 20)
            line.incoming += data
            status = complete(line.incoming)
            if not status and data:
                continue
            now = clock()
            if status == 200:
                times.append(now - line.sent)
            else:
                failed += 1
            line.incoming.clear()
            if now < end and data:
                line.sent = now
                line.socket.sendall(request)
            else:
                selector.unregister(line.socket)
                waiting -= 1
    took = clock() - began
    for line in lines:
        line.socket.close()
    times.sort()
    count = len(times)
    return {
        "requests": count,
        "per_s": count / took,
        "p50_ms": 1e3 * times[count // 2] if times else 0.0,
        "p99_ms": 1e3 * times[int(count * 0.99)] if times else 0.0,
        "failed": failed,
    }


def main() -> None:
    """Run one load and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body", type=Path)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--header", action="append", default=[])
    args = parser.parse_args()
    body = args.body.read_bytes()
    lines = [f"POST {args.path} HTTP/1.1", f"Host: {args.host}:{args.port}", f"Content-Length: {len(body)}"]
    lines += args.header or ["Content-Type: application/json"]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    print(json.dumps(load((args.host, args.port), request, args.connections, args.seconds)))


if __name__ == "__main__":
    main()
