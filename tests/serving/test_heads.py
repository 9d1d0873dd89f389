"""Heads that are known: what is not parsed again is understood as the parser would."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homeostat.core import heads
from homeostat.core.heads import Heads
from homeostat.serving.http1 import Connection, Exchange, Head, Server
from tests.serving.test_http1 import LIMITS, Transport, asleep

POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
PACKETS = [
    POST % (3, b"abc"), POST % (3, b"xyz"), POST % (0, b""), POST % (5, b"abc"), POST % (3, b"abcd"), POST % (201, b""),
    POST % (4, b"\r\n\r\n"), POST % (3, b"abc") * 2, b"\r\n" + POST % (3, b"abc"), b"\r\n\r\n" + POST % (3, b"abc"),
    b"GET /g HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD /g HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /g HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET /g HTTP/1.1\r\nHost: a\r\n\r\n" + POST % (3, b"abc"),
    b"GET /g HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET /g HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET /g HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", b"GET /g HTTP/1.1\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Request-Id: 7\r\n\r\nabc",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /g HTTP/1.1\nHost: a\n\n", b"abc", b"\r\n", b"\r", b"P", b"\x00",
    POST % (99, b"y" * 99), b"\r\n\r\n" + POST % (99, b"z" * 99), POST % (99, b""), b"v" * 99, b"w" * 40,
]  # fmt: skip


class Never(Heads[Head]):
    """Knows nothing."""

    def find(self, data: bytes) -> None:
        return None


Heard = list[tuple[bytes, bytes, dict[bytes, bytes], bytes]]


def told(connections: Sequence[Sequence[bytes]], known: Heads[Head]) -> tuple[list[tuple[bytes, bool]], Heard]:
    """What each connection was answered, and whether it was closed, and what was asked of the server."""
    heard: Heard = []

    def handle(exchange: Exchange) -> None:
        heard.append((exchange.method, exchange.target, dict(exchange.headers), exchange.body))
        exchange.answer(200, b"text/plain", exchange.body)

    server = Server(handle, LIMITS, asleep())
    server.heads = known
    found: list[tuple[bytes, bool]] = []
    for packets in connections:
        transport = Transport()
        connection = Connection(server)
        connection.connection_made(transport)
        for packet in packets:
            connection.data_received(packet)
        found.append((transport.written, transport.closed))
    return found, heard


HEAD, BODY = POST % (99, b""), b"v" * 99
packets = st.lists(st.sampled_from(PACKETS) | st.sampled_from(PACKETS[:3]), max_size=8)


@given(st.lists(packets, min_size=1, max_size=4))
@example([[PACKETS[0], PACKETS[1], b"\r", PACKETS[0], b"P", PACKETS[0]], [PACKETS[1]]])
@example([[HEAD, BODY], [HEAD, BODY[:9], BODY[9:]], [HEAD + BODY[:9], BODY[9:] + HEAD, BODY + HEAD + BODY]])
@example([[b"\r\n\r\n" + HEAD, BODY], [b"\r\n\r\nGET /g HTTP/1.1\r\nHost: a\r\n\r\n"]])
@example([[HEAD, BODY + b"GET /g HTTP/1.1\r\nHost: a\r\n\r\n"], [HEAD, BODY]])
@example([[HEAD, BODY], [HEAD, BODY[:9]], [HEAD, BODY[:9] + BODY + HEAD, BODY]])
def test_known_heads_are_understood_as_the_parser_would(connections: list[list[bytes]]) -> None:
    assert told(connections, Heads[Head]()) == told(connections, Never())


@given(st.lists(packets, min_size=1, max_size=3), st.data())
def test_however_the_packets_are_cut(connections: list[list[bytes]], data: st.DataObject) -> None:
    cut: list[list[bytes]] = []
    for each in connections:
        stream = b"".join(each)
        ends = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
        cut.append([stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True) if a < b])
    again = [*cut, *cut]
    assert told(again, Heads[Head]()) == told(again, Never())


def test_what_is_learned_is_one_whole_request_that_comes_again() -> None:
    for packet, learned in (
        (PACKETS[0], True), (PACKETS[10], True), (PACKETS[8], True), (PACKETS[6], True), (PACKETS[7], False),
        (PACKETS[13], False), (PACKETS[14], False), (PACKETS[15], False), (PACKETS[18], False), (PACKETS[19], False),
        (PACKETS[20], False),
    ):  # fmt: skip
        known = Heads[Head]()
        told([[packet]], known)
        assert (known.find(packet) is not None) == learned, packet
    for packets, learned in (
        ([PACKETS[0][:20], PACKETS[0][20:]], False), ([HEAD + BODY[:9], BODY[9:]], False), ([HEAD, BODY], True),
        ([HEAD, BODY[:9], BODY[9:]], True), ([HEAD, BODY + b"G"], False), ([b"\r\n\r\n" + HEAD, BODY], False),
    ):  # fmt: skip
        known = Heads[Head]()
        told([packets], known)
        assert (known.find(HEAD if HEAD in packets[0] else PACKETS[0]) is not None) == learned, packets
        assert known.find(b"\r\n\r\n") is None


def test_heads_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "MOST", 3)
    known = Heads[Head]()
    found: list[bool] = []
    for at in range(4):
        data = b"GET /%d HTTP/1.1\r\n\r\n" % at
        known.learn(data, Head(b"GET", b"/%d" % at, {}, 0))
        found.append(known.find(data) is not None)
    assert found == [True] * 4
    assert known.find(b"GET /0 HTTP/1.1\r\n\r\n") is None
    long = b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * heads.LONGEST)
    known.learn(long, Head(b"GET", b"", {}, 0))
    assert known.find(long) is None
