"""Clients that hold or fill connections: each is cut off, and the others are answered meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.server import protocol, up
from tests.server.running import Running

HALF_A_HEAD = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
UPLOAD = "PUT /api/2.0/mlflow-artifacts/artifacts/slow.bin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def hasty(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that waits a tenth of a second instead of a minute."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    monkeypatch.setattr(protocol, "SILENT_S", 0.1)
    monkeypatch.setattr(up, "_SWEEP_TICKS", 1)
    running = Running(ws)
    yield running
    running.stop()


def line(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=300)


def ended(sock: socket.socket) -> bool:
    """Whether the server ends the connection; what it says before does not count."""
    try:
        while sock.recv(65_536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "said",
    [b"", b"G", HALF_A_HEAD, b"\r\n", UPLOAD.encode() + b"half"],
    ids=["nothing", "a letter", "half a head", "an empty line", "half a body"],
)  # fmt: skip
def test_who_says_nothing_more_is_cut_off(hasty: Running, said: bytes):
    with line(hasty) as sock:
        sock.sendall(said)
        assert ended(sock)
    assert hasty.request("GET", "/health").status == 200


def test_half_an_upload_leaves_nothing(hasty: Running, tmp_path: Path):
    with line(hasty) as sock:
        sock.sendall(UPLOAD.encode() + b"x" * 999)
        assert ended(sock)
    assert hasty.request("GET", "/api/2.0/mlflow-artifacts/artifacts/slow.bin").status == 404


def test_a_body_that_comes_in_drops_is_cut_off(hasty: Running):
    """It never falls silent, and would take days."""
    with line(hasty) as sock:
        sock.sendall(UPLOAD.replace("1000", "1000000").encode())
        for _ in range(6000):
            try:
                sock.sendall(b"x")
            except OSError:
                break
            threading.Event().wait(0.01)
        else:
            pytest.fail("it was listened to all the time")
    assert hasty.request("GET", "/health").status == 200


def test_who_does_not_take_the_answer_is_cut_off(hasty: Running):
    """The answer does not fit what lies between the two: the rest waits in the server, but not for ever."""
    hasty.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/large.bin", b"x" * (32 << 20))
    with line(hasty) as sock:
        sock.sendall(b"GET /api/2.0/mlflow-artifacts/artifacts/large.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while hasty.connections:
            threading.Event().wait(0.02)
    assert hasty.request("GET", "/health").status == 200


def test_many_who_wait_keep_nobody_out(shared: Running):
    held = [line(shared) for _ in range(300)]
    for sock in held:
        sock.sendall(HALF_A_HEAD)
    assert shared.request("GET", "/health").status == 200
    for sock in held:
        sock.close()


@pytest.mark.parametrize("head", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\n"])
def test_an_endless_head_is_refused(shared: Running, head: bytes):
    more = b"X-More: y\r\n" if head.endswith(b"\n") else b"y"
    with line(shared) as sock:
        sock.sendall(head)
        try:
            for _ in range(100):
                sock.sendall(more * (65_536 // len(more)))
            answer = sock.recv(1000)
        except ConnectionError:  # closed while we were sending
            answer = b"HTTP/1.1 4"
    assert answer.startswith(b"HTTP/1.1 4")
    assert shared.request("GET", "/health").status == 200


SMUGGLED = b"GET /api/2.0/mlflow/experiments/search HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
TWICE = {
    "a length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 70\r\n\r\n{}",
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "a length in hex": b"Content-Length: 0x2\r\n\r\n{}",
    "chunked, misspelt": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, and more": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 2\r\n\r\n{}",
    "a folded header": b"X: a\r\n Content-Length: 2\r\n\r\n{}",
    "a bare line feed": b"X: a\nContent-Length: 2\n\n{}",
    "a chunk of a wrong size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a null in a header": b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("case", TWICE.values(), ids=TWICE.keys())
def test_where_a_request_ends_is_not_guessed(shared: Running, case: bytes):
    """Request smuggling: what follows an ambiguous request is not taken for another one."""
    with line(shared) as sock:
        head = b"POST /api/2.0/mlflow/runs/search HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        sock.sendall(head + case + SMUGGLED)
        sock.shutdown(socket.SHUT_WR)
        said = b""
        while piece := sock.recv(65_536):
            said += piece
    assert said.startswith(b"HTTP/1.1 4")
    assert said.count(b"HTTP/1.1 ") == 1
