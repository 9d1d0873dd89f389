"""One HTTP/1.1 connection on an asyncio transport, parsed by httptools (llhttp). It knows nothing about models.

Kept: keep-alive, pipelining with answers in the order of their questions, chunked bodies, `Expect: 100-continue`, HEAD,
slow readers (reading stops while the peer does not read), draining; offers to speak another protocol are passed over.
Refused with `{"error": …}` and a closed connection: what llhttp calls malformed, Transfer-Encoding beside
Content-Length, codings other than chunked, heads, bodies and waits over their limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol, cast

import httptools
import msgspec

from homeostat.core.heads import LONGEST, Heads, comes_again
from homeostat.core.records import Record
from homeostat.serving.polling import Polling

log = logging.getLogger("homeostat.serving")

JSON = b"application/json"
REASONS = {
    200: b"200 OK", 400: b"400 Bad Request", 401: b"401 Unauthorized", 403: b"403 Forbidden", 404: b"404 Not Found",
    405: b"405 Method Not Allowed", 408: b"408 Request Timeout", 409: b"409 Conflict",
    413: b"413 Content Too Large", 415: b"415 Unsupported Media Type", 417: b"417 Expectation Failed",
    422: b"422 Unprocessable Content", 429: b"429 Too Many Requests", 431: b"431 Request Header Fields Too Large",
    500: b"500 Internal Server Error", 501: b"501 Not Implemented", 503: b"503 Service Unavailable",
    504: b"504 Gateway Timeout", 507: b"507 Insufficient Storage",
}  # fmt: skip
# Only these headers are looked at; every other one costs a lookup and nothing more.
_WANTED = {
    name: name
    for name in (
        b"host", b"origin", b"authorization", b"content-length", b"transfer-encoding", b"expect", b"content-encoding",
        b"inference-header-content-length", b"content-type", b"x-request-id", b"traceparent", b"tracestate",
    )
}  # fmt: skip
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Limits(Record):
    """What one connection may ask for. Sizes in bytes, times in seconds."""

    body: int = 64 << 20
    head: int = 32 << 10
    connections: int = 4096
    in_flight: int = 256
    idle_s: float = 75.0
    request_s: float = 60.0
    linger_s: float = 2.0


class Head(NamedTuple):
    """What the parser has told of a head, and the length of the body that it announces."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    length: int


class _Awaited(NamedTuple):
    """A known head, what is there of its body, and how many bytes are not."""

    head: Head
    parts: list[bytes]
    missing: int


class _Stop(Exception):
    """Leaves the parser from inside one of its callbacks."""


def error_body(message: str) -> bytes:
    """The one shape of every failure.

    >>> error_body("no")
    b'{"error":"no"}'
    """
    return msgspec.json.encode({"error": message})


_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n%b"
) % (len(error_body("too many connections are open")), error_body("too many connections are open"))


class Exchange(msgspec.Struct, eq=False):
    """One request and the place of its answer in the connection's line.

    `answer(...)` may be called at any later time, once. To answer many at once, set `data` (from `compose`) on each and
    call `write_ready()` once for every connection concerned.
    """

    connection: Connection
    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes
    persistent: bytes | None  # the Connection header to answer with; None: this answer is the last one
    data: bytes | None = None
    last: bool = False

    def compose(self, status: int, media: bytes, body: bytes, extra: bytes = b"") -> bytes:
        """The whole answer as bytes; `extra` holds further header lines, each with its line end."""
        persistence = self.persistent
        if persistence is None or (self.connection.draining and self.connection.line[-1] is self):
            self.last = True
            persistence = b"Connection: close\r\n"
        return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
            REASONS[status], media, len(body), extra, persistence, b"" if self.method == b"HEAD" else body,
        )  # fmt: skip

    def answer(self, status: int, media: bytes, body: bytes, extra: bytes = b"") -> None:
        """Put the answer in its place and send what is ready. Nothing happens when the peer has gone."""
        if self.data is None:
            self.data = self.compose(status, media, body, extra)
            self.connection.write_ready()

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """Answer with `{"error": message}`."""
        self.answer(status, JSON, error_body(message), extra)


class Connection(asyncio.Protocol):
    """Feeds the parser, hands whole requests to `handle`, and writes answers in order."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.limits = server.limits
        self.line: deque[Exchange] = deque()
        self.draining = False
        self.deaf = False  # nothing more is read: an answer that closes is on its way, or went out
        self.lingering_since: float | None = None
        self.active = server.now
        self.began: float | None = None
        self.transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._in_head = False
        self._head = 0  # bytes of the head that were parsed
        self._fed = 0  # bytes that arrived since the head began, but for its first packet
        self._body_size = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._write_paused = False
        self._read_paused = False
        self._newer = True  # HTTP/1.1, not 1.0
        self._fresh = True  # no request has been read yet
        self._offered = False  # the head that was read last offers to speak another protocol
        self._whole: Head | None = None  # of the last request that was read whole and may be followed by others
        self._first = b""  # the packet that a message began with which is parsed
        self._completed = 0  # messages since
        self._awaited: _Awaited | None = None  # a request whose head is known and whose body is still to come

    # --- asyncio ---
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if len(self.server.connections) >= self.limits.connections:
            self.server.refused += 1
            self.transport.write(_FULL)
            self.transport.close()
            self.transport = None
            return
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.transport = None
        self.line.clear()
        self._parts.clear()
        self._awaited = None

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        server = self.server
        self.active = server.now
        polling = server.polling
        polling.heard()
        try:
            self._read(data, server)
        finally:
            polling.understood()

    def _read(self, data: bytes, server: Server) -> None:
        if self._awaited is not None:
            self._more(data, self._awaited)
            return
        begins = self.began is None
        if begins:
            known = server.heads.find(data)
            if known is not None:
                head, body = known
                self._fresh = False
                if len(body) == head.length:
                    self._ask(head.method, head.target, head.headers, body, b"")
                else:
                    self.began = server.now
                    self._awaited = _Awaited(head, [body], head.length - len(body))
                return
            self._first, self._completed = data, 0
        self._parse(data, server)
        if self.began is not None:
            if len(self._first) > LONGEST:
                self._first = b""  # no head by itself
        elif self._completed == 1 and self._whole is not None and comes_again(self._whole.headers):
            # One message, and nothing of another, began with that packet.
            server.heads.learn(self._first, self._whole, alone=self._first is not data)
            self._first = b""

    def _more(self, data: bytes, awaited: _Awaited) -> None:
        """More of a body whose head is known, and what comes behind it."""
        head, parts, missing = awaited
        parts.append(data[:missing])
        if len(data) < missing:
            self._awaited = _Awaited(head, parts, missing - len(data))
            return
        self._awaited = self.began = None
        self._ask(head.method, head.target, head.headers, b"".join(parts), b"")
        if len(data) > missing and not self.deaf:
            self._read(data[missing:], self.server)

    def _parse(self, data: bytes, server: Server) -> None:
        head_was_open = self._in_head
        self._whole = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._stay(data[stopped.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Stop):
                log.error("a request could not be handled", exc_info=error.__context__)
                self._refuse_later(500, "internal error; the server's log has the details")
        except httptools.HttpParserError as error:
            if self._fresh and self.server.second is not None and data.startswith(b"PRI * HTTP/2.0\r\n"):
                self._hand_over(self.server.second(), data)
                return
            self._refuse_later(400, f"malformed HTTP: {error}")
        if head_was_open and self._in_head and not self.deaf:
            # The parser hands over whole headers only: one that never ends is bounded here.
            self._fed += len(data)
            if self._fed > self.limits.head:
                self._refuse_later(431, f"the request's head exceeds {self.limits.head} bytes")

    def eof_received(self) -> bool:
        if self._in_head or self.began is not None:
            self.deaf = True  # a request cut off in the middle asks nothing
        if not self.line:
            return False
        self.line[-1].persistent = None
        self.deaf = True
        return True

    def pause_writing(self) -> None:
        self._write_paused = True
        self._throttle()

    def resume_writing(self) -> None:
        self._write_paused = False
        self.write_ready()

    # --- httptools ---
    def on_message_begin(self) -> None:
        self._in_head = True
        self._head = self._fed = 0
        self._body_size = 0
        self._target = b""
        self._headers = {}
        self.began = self.server.now
        if self.deaf:
            raise _Stop

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head += len(url)
        if self._head > self.limits.head:
            self._stop(431, f"the request's head exceeds {self.limits.head} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value) + 4
        if self._head > self.limits.head:
            self._stop(431, f"the request's head exceeds {self.limits.head} bytes")
        wanted = _WANTED.get(name.lower())
        if wanted is not None:
            if wanted in self._headers and wanted != b"origin":
                value = self._second(wanted, value)
            self._headers[wanted] = value

    def _second(self, name: bytes, value: bytes) -> bytes:
        """What a header that comes again stands for; most may not."""
        if name == b"traceparent":
            return b""  # neither is to be believed
        if name != b"tracestate":
            self._stop(400, f"the header {name.decode()} is given twice")
        return self._headers[name] + b"," + value

    def on_headers_complete(self) -> None:
        self._in_head = False
        headers = self._headers
        length = headers.get(b"content-length")
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            if length is not None:
                self._stop(400, "Transfer-Encoding and Content-Length are given together")
            if coding.strip().lower() != b"chunked":
                self._stop(400, "the only transfer coding known here is chunked")
        elif length is not None and int(length) > self.limits.body:
            self._stop(413, f"the body has {int(length)} bytes; at most {self.limits.body} are read")
        self._newer = newer = self._parser.get_http_version() == "1.1"
        if not newer and self._parser.get_http_version() != "1.0":
            self._stop(400, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        if b"host" not in headers and newer:
            self._stop(400, "the Host header is missing")
        if self._parser.should_upgrade():
            self._offered = True
            if self._parser.get_method() == b"CONNECT" or coding or not newer or not self._parser.should_keep_alive():
                self._stop(400, "protocol upgrades are not supported here; speak HTTP/1.1")
        expected = headers.get(b"expect")
        if expected is not None:
            if expected.lower() != b"100-continue":
                self._stop(417, "the only expectation known here is 100-continue")
            if newer:  # HTTP/1.0 knows no interim answers
                interim = Exchange(self, b"", b"", {}, b"", b"")
                interim.data = _CONTINUE
                self.line.append(interim)
                self.write_ready()

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > self.limits.body:
            self._stop(413, f"the body is longer than the {self.limits.body} bytes that are read")
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._offered:
            return  # its body is still to come
        parser, parts = self._parser, self._parts
        if not parts:
            body = b""
        else:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
        self.began = None
        self._fresh = False
        self._completed += 1
        persistent: bytes | None = None
        if parser.should_keep_alive():
            persistent = b"" if self._newer else b"Connection: keep-alive\r\n"
        else:
            self.deaf = True
        method = parser.get_method()
        if persistent == b"":
            self._whole = Head(method, self._target, self._headers, len(body))
        self._ask(method, self._target, self._headers, body, persistent)

    def _stay(self, data: bytes) -> None:
        """Answer a request that offers to speak another protocol in this one (RFC 9110, 7.8), as Java's HttpClient does
        by default. `data` follows its head; the parser leaves everything from there on to the other protocol."""
        head = Head(self._parser.get_method(), self._target, self._headers,
                    int(self._headers.get(b"content-length", 0)))  # fmt: skip
        self._parser = httptools.HttpRequestParser(self)
        self._offered = self._fresh = False
        self._more(data, _Awaited(head, [], head.length))

    def _ask(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes, persistent: bytes | None
    ) -> None:
        """Hand over a whole request. `headers` may be those of other requests, too."""
        exchange = self.server.exchange(self, method, target, headers, body, persistent)
        self.line.append(exchange)
        if len(self.line) >= self.limits.in_flight:
            self._throttle()
        try:
            self.server.handle(exchange)
        except Exception:  # whatever goes wrong in one request must not hold up the line behind it
            log.exception("a request could not be handled")
            exchange.fail(500, "internal error; the server's log has the details")

    # --- answers ---
    def write_ready(self) -> None:
        """Send every answer whose turn has come."""
        line, transport = self.line, self.transport
        if transport is None:
            return
        data = line[0].data if line else None
        last = False
        if data is not None:
            last = line.popleft().last
            if line and not last:
                ready = [data]
                while line and not last and (data := line[0].data) is not None:
                    ready.append(data)
                    last = line.popleft().last
                data = b"".join(ready)
            transport.write(data)
        if last or (not line and (self.deaf or (self.draining and self.began is None))):
            self._finish(transport)
        elif self._read_paused:
            self._throttle()

    def drain(self) -> None:
        """Answer what was asked, then close."""
        self.draining = True
        if not self.line and self.began is None and self.transport is not None:
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Close what has waited too long."""
        limits, transport = self.limits, self.transport
        if transport is None:
            return
        if self.lingering_since is not None:
            if now - self.lingering_since > limits.linger_s:
                transport.abort()
        elif self.began is not None and not self.deaf and now - self.began > limits.request_s:
            self._refuse_later(408, f"the request was not complete after {limits.request_s:g} s")
        elif not self.line and self.began is None and now - self.active > limits.idle_s:
            transport.close()
        elif self._write_paused and now - self.active > limits.idle_s:
            transport.abort()

    def _finish(self, transport: asyncio.Transport) -> None:
        # Closing at once while the peer still sends would reset the connection and destroy the answer on its way.
        self.deaf = True
        self.line.clear()
        if self.began is None or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()
            self.lingering_since = self.server.now

    def _hand_over(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """Let `protocol` have the connection, and what has been read of it."""
        transport = self.transport
        self.server.connections.discard(self)
        self.transport = None
        self.deaf = True
        if transport is not None:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(data)

    def _throttle(self) -> None:
        transport = self.transport
        if transport is None:
            return
        full = len(self.line) >= (self.limits.in_flight // 2 if self._read_paused else self.limits.in_flight)
        wanted = full or self._write_paused
        if wanted != self._read_paused:
            self._read_paused = wanted
            (transport.pause_reading if wanted else transport.resume_reading)()

    def _refuse_later(self, status: int, message: str) -> None:
        """Refuse what is being read, after the answers to what was read before it."""
        if self.deaf:
            return
        self.deaf = True
        self._in_head = False
        self._parts.clear()
        if self.began is None:
            self.began = self.server.now  # the peer may still be sending: linger
        self.server.malformed += 1
        refusal = Exchange(self, b"", b"", {}, b"", None)
        self.line.append(refusal)
        refusal.fail(status, message)

    def _stop(self, status: int, message: str) -> NoReturn:
        self._refuse_later(status, message)
        raise _Stop


class Link(Protocol):
    """A connection as the server sees it."""

    def sweep(self, now: float) -> None:
        """Close what has waited too long."""
        ...

    def drain(self) -> None:
        """Answer what was asked, then close."""
        ...


class Server:
    """What the connections of one process share: the handler, the limits, the clock, the counts. Of one event loop."""

    def __init__(self, handle: Callable[[Exchange], None], limits: Limits, polling: Polling) -> None:
        self.handle = handle
        self.limits = limits
        self.polling = polling  # told of every packet
        self.connections: set[Link] = set()
        # Makes the protocol of connections that begin as HTTP/2 does; without it they are refused.
        self.second: Callable[[], asyncio.Protocol] | None = None
        # Makes the exchange of a whole request.
        self.exchange: Callable[[Connection, bytes, bytes, dict[bytes, bytes], bytes, bytes | None], Exchange] = (
            Exchange
        )
        self.heads = Heads[Head]()
        self.now = 0.0
        self.refused = 0
        self.malformed = 0

    def sweep(self, now: float) -> None:
        """Called about once a second with the event loop's time."""
        self.now = now
        for connection in tuple(self.connections):
            connection.sweep(now)

    def drain(self) -> None:
        """Let every connection end after the answers it waits for."""
        for connection in tuple(self.connections):
            connection.drain()
