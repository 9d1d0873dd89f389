"""The short way for foreign calls: what is answered on it is what would be answered without it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.server import ServerState

import homeostat as hs
from homeostat.core.heads import Heads
from homeostat.server import protocol, up
from homeostat.server.app import make_app
from homeostat.server.direct import Direct, DirectConnection, KnownRequest
from homeostat.server.up import configured
from tests.server.running import Running

ROOT = "/api/2.0/mlflow/"
UNKNOWN = b'{"run_id": "0123456789abcdef0123456789abcdef", "key": "loss", "value": %d, "timestamp": 1}'


def request(
    method: str, call: str, body: bytes = b"", headers: str = "", version: str = "1.1", host: str = "127.0.0.1"
) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body and "Transfer-Encoding" not in headers else ""
    return f"{method} {ROOT}{call} HTTP/{version}\r\nHost: {host}\r\n{headers}{length}\r\n".encode() + body


GET = request("GET", "experiments/get-by-name?experiment_name=Default")
LOG = request("POST", "runs/log-metric", UNKNOWN % 1)
PACKETS = [
    GET, LOG, request("POST", "runs/log-metric", UNKNOWN % 2), request("POST", "runs/log-metric", b"x" * len(UNKNOWN)),
    request("POST", "experiments/search", b'{"max_results": 1}'), request("POST", "runs/log-metric"),
    request("POST", "runs/log-batch", b'{"run_id": "0", "metrics": []}'),
    request("POST", "runs/log-batch", b'{"run_id": "0", "metrics": [{"key": "a", "value": 1, "timestamp": 1}]}'),
    request("HEAD", "experiments/get-by-name?experiment_name=Default"), request("PUT", "runs/log-metric", b"{}"),
    request("GET", "experiments/get?experiment_id=0", b"{}"), request("GET", "experiments/get", b'{"x": 1}'),
    request("POST", "no/such/call", b"{}"), request("GET", "../artifacts/0"),
    request("GET", "experiments/get?experiment_id=%30", headers="X-Forwarded-For: 1.2.3.4\r\n"),
    request("POST", "experiments/search", b'{"max_results": 1}', "X-Request-Id: 7\r\n"),
    request("POST", "experiments/search", b'{"max_results": 1}', "Expect: 100-continue\r\n"),
    request("POST", "experiments/search", b'12\r\n{"max_results": 1}\r\n0\r\n\r\n', "Transfer-Encoding: chunked\r\n"),
    request("POST", "experiments/search", b'{"max_results": 1}', "Connection: close\r\n"),
    request("POST", "experiments/search", b'{"max_results": 1}', "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    request("POST", "experiments/search", b'{"max_results": 1}', version="1.0"),
    request("POST", "experiments/search", b'{"max_results": 1}', host="evil.example"),
    request("POST", "experiments/search", b'{"max_results": 1}', "Origin: http://evil.example\r\n"),
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"abc", b"\r\n", b"\x00",
]  # fmt: skip
TOKEN = request("GET", "experiments/get?experiment_id=0", headers="Authorization: Bearer hst_wrong\r\n")


class Never(Heads[KnownRequest]):
    """Knows nothing."""

    def find(self, data: bytes) -> None:
        return None


class Wire(asyncio.Transport):
    """What a client sees of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Server:
    """An app, and connections to it that are fed by hand."""

    def __init__(self, ws: hs.Workspace) -> None:
        self.app = make_app(ws)
        self.config = configured(self.app, log_level="critical")
        self.config.load()
        self.direct: Direct = self.app.state.direct

    def told(self, connections: Sequence[Sequence[bytes]], heads: Heads[KnownRequest]) -> list[tuple[bytes, bool]]:
        """What each connection was answered, and whether it was closed."""
        self.direct.heads = heads
        return asyncio.run(self._told(connections))

    async def _told(self, connections: Sequence[Sequence[bytes]]) -> list[tuple[bytes, bool]]:
        loop, found = asyncio.get_running_loop(), list[tuple[bytes, bool]]()
        for packets in connections:
            state, wire = ServerState(), Wire()
            one = self.config.http_protocol_class(  # type: ignore[call-arg] - as uvicorn calls it
                config=self.config, server_state=state, app_state={}, _loop=loop
            )
            assert isinstance(one, DirectConnection)
            one.connection_made(wire)
            for packet in packets:
                if wire.closed:
                    break
                one.data_received(packet)
                await _answered(one, state)
            one.shutdown()
            found.append((re.sub(rb"date: [^\r]*\r\n", b"", wire.written), wire.closed))
            for task in list(state.tasks):
                task.cancel()
            one.connection_lost(None)
        return found


async def _answered(one: Any, state: ServerState) -> None:
    """Until nothing goes on, except that a body is waited for."""
    while state.tasks and not (one._asked is None and one._answering and one.cycle.more_body):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with hs.open(tmp_path_factory.mktemp("direct") / "home") as ws:
        yield Server(ws)


packets = st.lists(st.sampled_from(PACKETS) | st.sampled_from(PACKETS[:5]), max_size=6)


@given(st.lists(packets, min_size=1, max_size=3))
@example([[each] for each in PACKETS])
@example([[LOG, GET, LOG + GET, GET, GET[:30], GET[30:] + LOG, LOG[:-1], LOG[-1:] + LOG, LOG[:-5], LOG[-5:-3]]])
def test_the_answers_are_those_of_the_long_way(server: Server, connections: list[list[bytes]]) -> None:
    again = [*connections, *connections]
    assert server.told(again, Heads[KnownRequest]()) == server.told(again, Never())


@given(st.lists(packets, min_size=1, max_size=2), st.data())
def test_however_the_packets_are_cut(server: Server, connections: list[list[bytes]], data: st.DataObject) -> None:
    cut: list[list[bytes]] = []
    for each in connections:
        stream = b"".join(each)
        ends = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        cut.append([stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True) if a < b])
    again = [*connections, *cut, *cut]
    assert server.told(again, Heads[KnownRequest]()) == server.told(again, Never())


def test_which_heads_are_learned(server: Server) -> None:
    def learned(*packets: bytes) -> bool:
        heads = Heads[KnownRequest]()
        server.told([packets], heads)
        return heads.find(packets[0]) is not None

    assert [learned(each) for each in PACKETS[:12]] == [True] * 8 + [False] * 2 + [True] * 2
    assert not any(learned(each) for each in [*PACKETS[12:14], *PACKETS[15:]])
    assert learned(TOKEN) and not learned(TOKEN.replace(b"Host", b"X-Forwarded-For: 1.2.3.4\r\nHost"))
    at = LOG.index(b"\r\n\r\n") + 4
    assert learned(LOG[:at], LOG[at:]) and not learned(LOG[:20], LOG[20:]) and not learned(LOG + LOG)
    large = request("POST", "runs/log-batch", b" " * (1 << 20) + b"{}")
    assert not learned(large)


@pytest.fixture
def hasty(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that waits a tenth of a second instead of a minute, and that knows `LOG`'s head."""
    monkeypatch.setattr(protocol, "SILENT_S", 0.1)
    monkeypatch.setattr(up, "_SWEEP_TICKS", 1)
    running = Running(ws)
    with line(running) as sock:
        asked(sock, LOG)
    yield running
    running.stop()


def line(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=300)


def asked(sock: socket.socket, data: bytes) -> Any:
    """The JSON that one request is answered with."""
    sock.sendall(data)
    said = b""
    while b"\r\n\r\n" not in said or len(said.partition(b"\r\n\r\n")[2]) < int(
        re.findall(rb"content-length: (\d+)", said)[0]
    ):
        said += (piece := sock.recv(65_536))
        assert piece, said
    return json.loads(said.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("missing", [len(UNKNOWN % 1), 5], ids=["none of it", "half"])
def test_who_does_not_send_the_rest_of_a_body_is_cut_off(hasty: Running, missing: int) -> None:
    assert hasty.app.state.direct.heads.find(LOG[:-missing]) is not None
    with line(hasty) as sock:
        sock.sendall(LOG[:-missing])
        assert sock.recv(1000) == b""
    with line(hasty) as sock:
        assert asked(sock, LOG)["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_a_connection_is_closed_some_time_after_its_last_request(ws: hs.Workspace) -> None:
    running = Running(ws)
    try:
        running._server.config.timeout_keep_alive = 1  # pyright: ignore[reportPrivateUsage]
        with line(running) as sock:
            for _ in range(3):
                assert asked(sock, LOG)["error_code"]
            assert sock.recv(1) == b""
    finally:
        running.stop()


def test_a_server_that_ends_answers_first_what_was_asked(ws: hs.Workspace) -> None:
    """The answer waits for a write that waits for another one."""
    run = ws.tracking.create_run().id
    point = request(
        "POST", "runs/log-metric", json.dumps({"run_id": run, "key": "k", "value": 1, "timestamp": 1}).encode()
    )
    running = Running(ws)
    with line(running) as sock:
        assert asked(sock, point) == {}
        held, go = threading.Event(), threading.Event()
        holding = threading.Thread(target=ws.db.write, args=(lambda _: (held.set(), go.wait(300)),))
        holding.start()
        assert held.wait(300)
        sock.sendall(point)
        ending = threading.Thread(target=partial(Running.stop, running))
        ending.start()
        while running.connections == 0 or not running._server.should_exit:  # pyright: ignore[reportPrivateUsage]
            threading.Event().wait(0.01)
        go.set()
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert sock.recv(1000) == b""
        ending.join()
        holding.join()


def test_what_goes_wrong_ends_one_request(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    running = Running(ws)
    try:
        with line(running) as sock:
            assert asked(sock, GET)["experiment"]
            call = running.app.state.direct.heads.find(GET)[0].call
            with monkeypatch.context() as patched:
                patched.setattr(call, "_answering", broken)
                assert asked(sock, GET)["error_code"] == "INTERNAL_ERROR"
            assert asked(sock, GET)["experiment"]
    finally:
        running.stop()


def test_a_token_is_asked_about_each_time(ws: hs.Workspace) -> None:
    running = Running(ws, host="0.0.0.0")
    try:
        made = ws.team.create_token("ann", role="editor")
        with line(running) as sock:
            assert asked(sock, LOG)["error_code"] == "UNAUTHENTICATED"
            assert asked(sock, LOG)["error_code"] == "UNAUTHENTICATED"
            bearing = LOG.replace(b"Host", f"Authorization: Bearer {made.secret}\r\nHost".encode())
            assert asked(sock, bearing)["error_code"] == asked(sock, bearing)["error_code"] == "RESOURCE_DOES_NOT_EXIST"
            assert running.app.state.direct.heads.find(bearing) is not None
            ws.team.set_role("ann", "viewer")
            assert asked(sock, bearing)["error_code"] == "PERMISSION_DENIED"
            ws.team.set_role("ann", "admin")
            assert asked(sock, bearing)["error_code"] == "RESOURCE_DOES_NOT_EXIST"
            ws.team.revoke_token(made.token.id)
            told = [asked(sock, bearing)["error_code"] for _ in range(40)]
            assert told[0] == "UNAUTHENTICATED" and told[-1] == "REQUEST_LIMIT_EXCEEDED"
    finally:
        running.stop()
