"""The HTTP/2 connection alone, on a transport that records: frames cut anywhere, windows, refusals, draining."""

from __future__ import annotations

import struct
from typing import Any

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.serving.http1 import Connection, Limits, Server
from homeostat.serving.http2.call import Call
from homeostat.serving.http2.connection import Http2
from homeostat.serving.http2.frames import PREFACE
from tests.serving.test_http1 import Transport as Recorder
from tests.serving.test_http1 import asleep

LIMITS = Limits(body=70_000, head=2000, in_flight=8)
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9


class Transport(Recorder):
    def is_closing(self) -> bool:
        return self.closed


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def message(text: bytes, compressed: int = 0) -> bytes:
    return bytes([compressed]) + struct.pack(">I", len(text)) + text


class Client:
    """Writes what a client writes, and reads what came back."""

    def __init__(self, *, later: bool = False, limits: Limits = LIMITS) -> None:
        self.heard: list[Call] = []
        self.encoder = hpack.Encoder()
        self.transport = Transport()
        self.server = Server(lambda exchange: None, limits, asleep())

        def handle(call: Call) -> None:
            self.heard.append(call)
            if not later:
                call.answer(call.target + b" " + call.body)

        self.connection = Http2(self.server, handle)
        self.connection.connection_made(self.transport)

    def headers(self, stream: int, path: str = "/s/Call", end: bool = False, **more: str) -> bytes:
        return frame(HEADERS, 4 | end, stream, self.block(path, **more))

    def block(self, path: str = "/s/Call", **more: str) -> bytes:
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
                  ("te", "trailers"), ("content-type", "application/grpc"), *more.items()]  # fmt: skip
        return self.encoder.encode(fields)

    def call(self, stream: int, text: bytes = b"hello") -> bytes:
        return self.headers(stream) + frame(DATA, 1, stream, message(text))

    def send(self, *parts: bytes) -> None:
        self.connection.data_received(b"".join(parts))

    def answers(self) -> dict[int, tuple[bytes, dict[bytes, bytes]]]:
        """Data and headers by stream."""
        found: dict[int, tuple[bytes, dict[bytes, bytes]]] = {}
        decoder = hpack.Decoder()
        for kind, _, stream, payload in self.frames():
            data, headers = found.get(stream, (b"", {}))
            if kind == DATA:
                found[stream] = data + payload, headers
            elif kind == HEADERS:
                found[stream] = data, {**headers, **dict(decoder.decode(payload, raw=True))}
        return found

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        found: list[tuple[int, int, int, bytes]] = []
        data = self.transport.written
        while data:
            length = int.from_bytes(data[:3], "big")
            found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
            data = data[9 + length :]
        return found

    def goodbye(self) -> int | None:
        """The code of the GOAWAY, or None."""
        return next((int.from_bytes(p[4:8], "big") for kind, _, _, p in self.frames() if kind == GOAWAY), None)


HELLO = PREFACE + frame(SETTINGS, 0, 0)


@given(st.lists(st.integers(1, 60), max_size=20))
def test_any_split_of_the_bytes_gives_the_same_answers(cuts: list[int]) -> None:
    client = Client()
    whole = HELLO + b"".join([client.call(n, b"%d" % n) for n in (1, 3, 5, 7, 9)])
    for cut in cuts:
        client.send(whole[:cut])
        whole = whole[cut:]
    client.send(whole)
    answers = client.answers()
    assert {n: data[5:] for n, (data, _) in answers.items()} == {n: b"/s/Call %d" % n for n in (1, 3, 5, 7, 9)}
    for _, headers in answers.values():
        assert headers == {b":status": b"200", b"content-type": b"application/grpc", b"grpc-status": b"0"}
    assert not client.connection.calls


def test_header_tables_that_change_are_followed() -> None:
    client = Client()
    client.send(HELLO, *[client.headers(n, f"/s/{n % 4}", True, k=str(n % 6)) for n in range(1, 99, 2)])
    assert [call.target for call in client.heard] == []  # no message: refused, but read
    client.send(*[client.headers(n, f"/s/{n % 3}") + frame(DATA, 1, n, message(b"")) for n in range(99, 199, 2)])
    assert [call.target for call in client.heard] == [b"/s/%d" % (n % 3) for n in range(99, 199, 2)]


def test_large_answers_wait_for_the_windows() -> None:
    client = Client(later=True)
    client.send(PREFACE, frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 10)), client.call(1), client.call(3))
    for call, text in zip(client.heard, (b"a" * 35, b"b" * 15), strict=True):
        call.answer(text)
    assert [len(data) for data, _ in client.answers().values()] == [10, 10]
    client.send(frame(WINDOW, 0, 3, struct.pack(">I", 100)))
    assert client.answers()[3][0][5:] == b"b" * 15
    assert client.answers()[3][1][b"grpc-status"] == b"0"
    client.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 30)))
    assert len(client.answers()[1][0]) == 30
    client.send(frame(WINDOW, 0, 1, struct.pack(">I", 100)))
    assert client.answers()[1][0][5:] == b"a" * 35


def test_the_receiving_window_is_opened_again() -> None:
    client = Client(limits=Limits(body=20 << 20))
    client.send(HELLO, client.headers(1))
    for _ in range(10):
        client.send(frame(DATA, 0, 1, bytes(1 << 20)))
    opened = [(stream, int.from_bytes(p, "big")) for kind, _, stream, p in client.frames() if kind == WINDOW]
    assert sum(size for stream, size in opened if stream == 0) >= (8 << 20) - 65_535 + (5 << 20)
    assert sum(size for stream, size in opened if stream == 1) >= 5 << 20


def test_padding_priorities_continuations_and_unknown_frames_are_read() -> None:
    client = Client()
    block = client.block()
    padded = frame(DATA, 1 | 8, 1, b"\x03" + message(b"x") + b"\0\0\0")
    client.send(
        HELLO, frame(HEADERS, 0x20, 1, b"\0\0\0\0\x10" + block[:9]), frame(CONTINUATION, 0, 1, block[9:12]),
        frame(CONTINUATION, 4, 1, block[12:]), frame(0x2A, 0, 0, b"?"), frame(2, 0, 1, bytes(5)), padded,
        frame(PING, 0, 0, b"12345678"),
    )  # fmt: skip
    assert client.answers()[1][0][5:] == b"/s/Call x"
    assert (PING, 1, 0, b"12345678") in client.frames()


CALLS: dict[str, tuple[bytes, dict[str, str], bytes]] = {
    "no message": (b"", {}, b"3"),
    "cut off": (message(b"hello")[:-1], {}, b"3"),
    "two messages": (message(b"a") + message(b"b"), {}, b"3"),
    "unknown coding": (message(b"a", 1), {"grpc-encoding": "snappy"}, b"12"),
    "broken coding": (message(b"a", 1), {"grpc-encoding": "gzip"}, b"3"),
    "too long": (message(b"a" * 70_001), {}, b"8"),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_cannot_be_read_are_told_why_and_leave_the_others_alone(name: str) -> None:
    data, headers, code = CALLS[name]
    client = Client()
    client.send(HELLO, client.headers(1, **headers), frame(DATA, 1, 1, data), client.call(3))
    answers = client.answers()
    assert answers[1][1][b"grpc-status"] == code
    assert answers[1][1][b"grpc-message"]
    assert answers[3][0][5:] == b"/s/Call hello"


BROKEN: dict[str, tuple[bytes, int]] = {
    "data for nothing": (frame(DATA, 1, 5, b""), 1),
    "data on the connection": (frame(DATA, 1, 0, b""), 1),
    "an even number": (frame(HEADERS, 5, 2, b""), 1),
    "too long a frame": (b"\xff\xff\xff" + bytes(6), 6),
    "an interrupted block": (frame(HEADERS, 0, 1, b"") + frame(PING, 0, 0, bytes(8)), 1),
    "an endless block": (frame(HEADERS, 0, 1, b"") + 50 * frame(CONTINUATION, 0, 1, bytes(100)), 11),
    "a block of nothing": (frame(CONTINUATION, 4, 1, b""), 1),
    "headers that are noise": (frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff"), 9),
    "padding beyond the end": (frame(HEADERS, 4 | 8, 1, b"\x09abc"), 1),
    "a short ping": (frame(PING, 0, 0, b"1"), 6),
    "a window too far": (frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 1)), 3),
    "odd settings": (frame(SETTINGS, 0, 0, bytes(5)), 6),
    "a push": (frame(5, 4, 1, b""), 1),
    "a reset of nothing": (frame(RST, 0, 9, bytes(4)), 1),
    "a flood of pings": (11_000 * frame(PING, 0, 0, bytes(8)), 11),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(name: str) -> None:
    data, code = BROKEN[name]
    client = Client()
    client.send(HELLO, client.call(1), data)
    if name in ("padding beyond the end", "headers that are noise"):
        client = Client()
        client.send(HELLO, data)
    assert client.goodbye() == code
    assert client.transport.closed
    assert client.server.malformed == 1


def test_a_cancelled_call_is_not_answered_and_too_many_are_refused() -> None:
    client = Client(later=True)
    client.send(HELLO, *[client.call(n) for n in range(1, 21, 2)])
    refused = [stream for kind, _, stream, p in client.frames() if kind == RST]
    assert refused == [17, 19]
    client.send(frame(RST, 0, 1, struct.pack(">I", 8)))
    for call in client.heard:
        call.fail(503, "späť 100%")
    answers = client.answers()
    assert sorted(answers) == [0, *range(3, 17, 2)] or sorted(answers) == list(range(3, 17, 2))
    assert answers[3][1][b"grpc-message"] == b"sp%C3%A4%C5%A5 100%25"
    assert answers[3][1][b"grpc-status"] == b"14"


def test_whoever_takes_back_each_call_at_once_is_sent_away_and_whoever_reads_answers_is_not() -> None:
    cancelled = struct.pack(">I", 8)
    attacker, patient = Client(later=True), Client(later=True)
    for client in (attacker, patient):
        client.send(HELLO)
        stream = 1
        while client.goodbye() is None and stream < 5000:
            for _ in range(50):  # a call that is taken back, and one that is waited for
                client.send(client.call(stream), frame(RST, 0, stream, cancelled))
                if client is patient:
                    client.send(client.call(stream + 2))
                    client.heard[-1].answer(b"done")
                stream += 4
    assert attacker.goodbye() == 11  # ENHANCE_YOUR_CALM
    assert len(attacker.heard) < 1100
    assert patient.goodbye() is None
    assert len(patient.heard) == 2500


def test_draining_answers_what_was_asked_and_then_closes() -> None:
    client = Client(later=True)
    client.send(HELLO, client.call(1))
    client.server.drain()
    assert client.goodbye() == 0
    assert not client.transport.closed
    client.heard[0].answer(b"done")
    assert client.transport.closed
    assert client.answers()[1][0][5:] == b"done"


def test_time_runs_out_for_half_calls_and_for_quiet_connections() -> None:
    client = Client()
    client.send(HELLO, client.headers(1))
    client.server.sweep(LIMITS.request_s + 1)
    assert client.answers()[1][1][b"grpc-status"] == b"4"
    client.server.sweep(2 * LIMITS.idle_s + LIMITS.request_s)
    assert client.transport.closed


def test_the_port_of_http1_hands_over_who_speaks_http2() -> None:
    client = Client()
    transport = Transport()
    protocols: list[Any] = []
    transport.set_protocol = protocols.append  # type: ignore[method-assign]
    client.server.second = lambda: Http2(client.server, client.heard.append)
    connection = Connection(client.server)
    connection.connection_made(transport)
    connection.data_received(HELLO + client.call(1))
    assert isinstance(protocols[0], Http2)
    assert client.heard[0].body == b"hello"
    connection.data_received(b"nothing more is read here")
    other = Connection(client.server)
    second = Transport()
    other.connection_made(second)
    other.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    other.data_received(PREFACE)
    assert len(protocols) == 1


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.binary(max_size=40),
    st.integers(0, 300),
)  # fmt: skip
def test_noise_never_raises(changes: list[tuple[int, int]], tail: bytes, cut: int) -> None:
    client = Client()
    data = bytearray(HELLO + client.call(1) + client.call(3) + frame(WINDOW, 0, 0, struct.pack(">I", 9)))
    for at, value in changes:
        data[24 + at % (len(data) - 24)] = value
    client.send(bytes(data[: len(data) - cut % 50]) + tail)
    client.send(client.call(5))
    for call in client.heard:
        assert call.code == 0
