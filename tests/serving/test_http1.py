"""The connection alone, on a transport that records: however the bytes are cut, the answers are the same."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.serving.http1 import JSON, Connection, Exchange, Limits, Server
from homeostat.serving.polling import Polling

LIMITS = Limits(body=200, head=400, in_flight=8)


class Transport(asyncio.Transport):
    """Keeps what is written; `reading` says whether the connection wants more."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.closed
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def asleep() -> Polling:
    """Of a loop that never turns."""
    loop: Any = SimpleNamespace(call_soon=lambda call: None)
    return Polling(loop)


def talk(chunks: list[bytes], *, later: bool = False, limits: Limits = LIMITS) -> tuple[Transport, list[Exchange]]:
    """Feed the chunks to a connection that echoes method, target and body; `later` answers at the end, newest first."""
    heard: list[Exchange] = []

    def echo(exchange: Exchange) -> None:
        exchange.answer(200, b"text/plain", b"%b %b %b" % (exchange.method, exchange.target, exchange.body))

    def handle(exchange: Exchange) -> None:
        heard.append(exchange)
        if not later:
            echo(exchange)

    transport = Transport()
    connection = Connection(Server(handle, limits, asleep()))
    connection.connection_made(transport)
    for chunk in chunks:
        connection.data_received(chunk)
    if later:
        for exchange in reversed(heard):
            echo(exchange)
    return transport, heard


def bodies(written: bytes) -> list[bytes]:
    found: list[bytes] = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        if head == b"HTTP/1.1 100 Continue":
            written = rest
            continue
        size = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
        found.append(rest[:size])
        written = rest[size:]
    return found


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Pipelined requests of several kinds, and the answers they must get."""
    stream, wanted = b"", []
    for at in range(draw(st.integers(1, 6))):
        body = draw(st.binary(max_size=50))
        path = b"/p%d" % at
        kind = draw(st.sampled_from(["length", "chunked", "get", "expect", "upgrade", "upgrade-get"]))
        # As Java's HttpClient asks by default.
        offer = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n"
        if kind.endswith("get"):
            offered = offer if kind == "upgrade-get" else b""
            stream += b"GET %b HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n%b\r\n" % (path, offered)
            wanted.append(b"GET %b " % path)
            continue
        wanted.append(b"POST %b %b" % (path, body))
        head = b"POST %b HTTP/1.1\r\nhOST: a\r\n" % path
        if kind == "chunked":
            cut = draw(st.integers(0, len(body)))
            chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part)
            stream += head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        else:
            more = {"expect": b"Expect: 100-continue\r\n", "upgrade": offer}.get(kind, b"")
            stream += head + more + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    return stream, wanted


@given(conversations(), st.data(), st.booleans())
def test_any_split_of_the_bytes_gives_the_same_answers_in_order(
    conversation: tuple[bytes, list[bytes]], data: st.DataObject, later: bool
) -> None:
    stream, wanted = conversation
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]
    transport, _ = talk(chunks, later=later)
    assert bodies(transport.written) == wanted
    assert not transport.closed


@given(st.binary(max_size=300), st.data())
def test_noise_is_refused_or_waited_for_and_never_raises(noise: bytes, data: st.DataObject) -> None:
    prefix = data.draw(st.sampled_from([b"", b"POST / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\n"]))
    transport, heard = talk([prefix + noise])
    assert len(bodies(transport.written)) >= len(heard)
    if transport.closed:
        assert b'{"error":' in transport.written or heard


REFUSED = {
    "smuggled: both framings": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
    ),
    "smuggled: two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "smuggled: odd coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "smuggled: bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "smuggled: space before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "smuggled: folded header": (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "negative length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "upgrade, chunked": (b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "upgrade, the last": (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n", 400),
    "announced too long": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 201\r\n\r\n", 413),
    "chunked too long": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc9\r\n" + bytes(201), 413),
    "long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: x\r\n" * 200 + b"\r\n", 431),
    "endless header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500, 431),
    "endless target": (b"GET /" + b"x" * 500, 431),
    "other expectation": (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("whole", [True, False])
def test_refusals_are_answered_after_what_came_before_and_close(name: str, whole: bool) -> None:
    bad, status = REFUSED[name]
    stream = b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n" + bad + b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
    chunks = [stream] if whole else [stream[at : at + 1] for at in range(len(stream))]
    transport, heard = talk(chunks)
    first, second = bodies(transport.written)
    assert first == b"GET /before "
    assert second.startswith(b'{"error":"')
    assert b"HTTP/1.1 %d " % status in transport.written
    assert transport.closed
    assert [exchange.target for exchange in heard] == [b"/before"]


def test_a_long_body_before_it_does_not_count_for_a_head() -> None:
    first = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n" + bytes(200)
    head = b"GET /2 HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 300 + b"\r\n\r\n"
    transport, heard = talk([first + head[:200], head[200:]])
    assert [exchange.target for exchange in heard] == [b"/1", b"/2"]
    assert not transport.closed


def test_persistence_follows_the_version_and_the_connection_header() -> None:
    for request, closes, says in (
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False, b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", True, b"Connection: close"),
        (b"GET / HTTP/1.0\r\n\r\n", True, b"Connection: close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False, b"Connection: keep-alive"),
    ):
        transport, _ = talk([request])
        assert transport.closed is closes
        assert says in transport.written


def test_what_is_older_than_interim_answers_gets_none() -> None:
    asked = b"POST /p HTTP/1.%d\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
    for minor in (0, 1):
        transport, _ = talk([asked % minor])
        assert transport.written.startswith(b"HTTP/1.1 100 Continue") == bool(minor)
        assert bodies(transport.written) == [b"POST /p abc"]


def test_head_gets_the_length_and_no_body() -> None:
    transport, _ = talk([b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert transport.written.endswith(b"Content-Length: 7\r\n\r\n")


def test_a_client_that_pipelines_too_much_is_not_read_until_it_is_answered() -> None:
    transport, heard = talk([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 8], later=False)
    assert transport.reading
    waiting = Transport()
    held: list[Exchange] = []
    connection = Connection(Server(held.append, LIMITS, asleep()))
    connection.connection_made(waiting)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 8)
    assert not waiting.reading
    for exchange in held[:5]:
        exchange.answer(200, JSON, b"{}")
    assert waiting.reading
    assert len(heard) == 8


def test_a_client_that_does_not_read_is_not_read_either() -> None:
    transport = Transport()
    connection = Connection(Server(lambda exchange: None, LIMITS, asleep()))
    connection.connection_made(transport)
    connection.pause_writing()
    assert not transport.reading
    connection.resume_writing()
    assert transport.reading


def test_draining_answers_what_was_asked_and_then_closes() -> None:
    held: list[Exchange] = []
    server = Server(held.append, LIMITS, asleep())
    busy, idle = Transport(), Transport()
    asked, silent = Connection(server), Connection(server)
    asked.connection_made(busy)
    silent.connection_made(idle)
    asked.data_received(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    server.drain()
    assert idle.closed
    assert not busy.closed
    for exchange in held:
        exchange.answer(200, JSON, b"{}")
    assert busy.closed
    assert busy.written.count(b"200 OK") == 2
    assert busy.written.count(b"Connection: close") == 1


def test_time_runs_out_for_idle_connections_and_for_half_requests() -> None:
    server = Server(lambda exchange: None, LIMITS, asleep())
    idle, half = Transport(), Transport()
    first, second = Connection(server), Connection(server)
    first.connection_made(idle)
    second.connection_made(half)
    second.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
    server.sweep(LIMITS.request_s - 1)
    assert not idle.closed
    assert not half.closed
    server.sweep(LIMITS.request_s + 1)
    assert b"408 Request Timeout" in half.written
    server.sweep(LIMITS.idle_s + 1)
    assert idle.closed


def test_connections_beyond_the_limit_are_refused() -> None:
    server = Server(lambda exchange: None, Limits(connections=1), asleep())
    first, second = Transport(), Transport()
    Connection(server).connection_made(first)
    Connection(server).connection_made(second)
    assert not first.closed
    assert second.closed
    assert bodies(second.written) == [b'{"error":"too many connections are open"}']


def test_a_handler_that_raises_is_an_answered_failure(caplog: pytest.LogCaptureFixture) -> None:
    def broken(exchange: Exchange) -> None:
        raise RuntimeError("broken")

    transport = Transport()
    connection = Connection(Server(broken, LIMITS, asleep()))
    connection.connection_made(transport)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"500 Internal Server Error" in transport.written
    assert "broken" in caplog.text
