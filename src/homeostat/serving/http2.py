"""One HTTP/2 connection that carries unary gRPC calls, on an asyncio transport. It knows nothing about models.

The frames are read here; header blocks by `hpack`, and remembered while they say the same with the same table: after
its first calls a client sends the same few bytes each time. Kept: flow control both ways, interleaved calls, padding,
cancellation, compressed messages, draining. Refused by closing with GOAWAY: what breaks RFC 9113, and clients that
make work without waiting for answers. See https://www.rfc-editor.org/rfc/rfc9113.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import hpack

from homeostat.core.errors import HomeostatError
from homeostat.serving.coding import inflate

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeostat.serving.http1 import Server

log = logging.getLogger("homeostat.serving")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _PRIORITY, _RST, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = range(10)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20
_NO_ERROR, _PROTOCOL, _FLOW, _CLOSED, _SIZE, _REFUSED, _COMPRESSION, _CALM = 0, 1, 3, 5, 6, 7, 9, 11
_frame = Struct(">HBBBI").pack  # the length's upper 16 and lower 8 bits, type, flags, stream
_long = Struct(">I").pack
_FRAME_LIMIT = 1 << 20
_WINDOW_SIZE = 8 << 20
_LARGEST_WINDOW = (1 << 31) - 1
# Frames that carry nothing, and calls taken back, that a client may send beyond those that made sense.
_PATIENCE = 1000

# :status 200, content-type application/grpc; then the trailers. Literals without indexing: the same bytes each time.
_HEAD = b"\x88\x0f\x10\x10application/grpc"
_OK = b"\x00\x0bgrpc-status\x010"
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 409: 10, 413: 8, 415: 12, 422: 9, 429: 8, 501: 12, 503: 14,
          504: 4, 507: 8}  # fmt: skip


class Broken(Exception):
    """The peer broke the protocol; `code` is what GOAWAY says."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Call:
    """One call. `answer` or `fail` may be called at any later time, once; `put` leaves the writing to `write_ready`."""

    __slots__ = (
        "began", "body", "code", "connection", "data", "gone", "headers", "parts", "sent", "size", "stream", "target",
        "unread", "window",
    )  # fmt: skip

    def __init__(self, connection: Http2, stream: int, target: bytes, headers: dict[bytes, bytes], now: float) -> None:
        self.connection = connection
        self.stream = stream
        self.target = target
        self.headers = headers
        self.parts: list[bytes] = []
        self.size = 0
        self.unread = 0  # bytes received since the window was last opened
        self.window = connection.peer_window
        self.began: float | None = now
        self.body = b""
        self.data: bytes | None = None
        self.code = -1
        self.sent = 0
        self.gone = False

    def put(self, message: bytes) -> None:
        """Have `message` be the answer; it is sent by the connection's next `write_ready`."""
        if self.code < 0:
            self.code = 0
            self.data = b"\x00" + _long(len(message)) + message
            self.connection.ready.append(self)

    def answer(self, message: bytes) -> None:
        """Send `message` as the answer."""
        self.put(message)
        self.connection.write_ready()

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """End the call with the gRPC status that HTTP's `status` stands for."""
        if self.code < 0:
            self.code = _CODES.get(status, 13)
            self.data = message.encode("utf-8", "replace")
            self.connection.ready.append(self)
            self.connection.write_ready()


class Http2(asyncio.Protocol):
    """Reads frames, hands whole calls to `handle`, and writes answers as the peer's windows allow."""

    def __init__(self, server: Server, handle: Callable[[Call], None], call: Callable[..., Call] = Call) -> None:
        self.server = server
        self.limits = server.limits
        self.handle = handle
        self._call = call
        self.calls: dict[int, Call] = {}
        self.ready: list[Call] = []
        self.peer_window = 65_535
        self.transport: asyncio.Transport | None = None
        self.active = server.now
        self._draining = False
        self._greeted = False
        self._buffer = b""
        self._decoder = hpack.Decoder(max_header_list_size=server.limits.head)
        self._known: dict[bytes, tuple[bytes, dict[bytes, bytes]]] = {}
        self._block: tuple[int, int, bytearray] | None = None
        self._last = 0
        self._window = 65_535  # what may be sent on the connection
        self._peer_frame = 16_384
        self._unread = 0
        self._held = 0  # bytes of calls that are not complete
        self._idle_frames = 0
        self._blocked: deque[Call] = deque()

    # --- asyncio ---
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if len(self.server.connections) >= self.limits.connections:
            self.server.refused += 1
            self.transport.close()
            self.transport = None
            return
        self.server.connections.add(self)
        settings = b"".join(
            number.to_bytes(2, "big") + _long(value)
            for number, value in ((3, self.limits.in_flight), (4, _WINDOW_SIZE), (5, _FRAME_LIMIT),
                                  (6, self.limits.head))
        )  # fmt: skip
        self.transport.write(_header(len(settings), _SETTINGS, 0, 0) + settings + _opened(0, _WINDOW_SIZE - 65_535))

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.transport = None
        for call in self.calls.values():
            call.gone = True
        self.calls.clear()
        self._blocked.clear()

    def pause_writing(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()  # who does not read is not read either

    def resume_writing(self) -> None:
        if self.transport is not None:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.active = self.server.now
        self.server.heard()
        if self._buffer:
            data = self._buffer + data
        try:
            self._buffer = self._read(data)
        except Broken as error:
            self.server.malformed += 1
            self._close(error.code, str(error))
        except Exception:
            log.exception("a gRPC connection could not be read")
            self._close(2, "internal error")
        else:
            if self.ready:
                self.write_ready()

    def _read(self, data: bytes) -> bytes:
        at, end = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[:24]):
                raise Broken(_PROTOCOL, "the connection does not begin as HTTP/2 does")
            if end < 24:
                return data
            self._greeted = True
            at = 24
        while end - at >= 9:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if length > _FRAME_LIMIT:
                raise Broken(_SIZE, "a frame is longer than the settings allow")
            stop = at + 9 + length
            if stop > end:
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF
            kind, flags = data[at + 3], data[at + 4]
            payload = data[at + 9 : stop]
            at = stop
            if self._block is not None and kind != _CONTINUATION:
                raise Broken(_PROTOCOL, "a header block is interrupted")
            if kind == _DATA:
                self._on_data(flags, stream, payload)
            elif kind == _HEADERS:
                self._on_headers(flags, stream, payload)
            else:
                self._on_other(kind, flags, stream, payload)
        return data[at:] if at < end else b""

    # --- frames ---
    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        length = len(payload)
        if stream == 0 or stream > self._last:
            raise Broken(_PROTOCOL, "data for a call that was never opened")
        self._unread += length
        if self._unread > _WINDOW_SIZE // 2:
            self._write(_opened(0, self._unread))
            self._unread = 0
        if flags & _PADDED:
            payload = _unpadded(payload)
        call = self.calls.get(stream)
        if call is None or call.began is None:
            return  # refused or taken back while this was on its way
        if not length and not flags & _END_STREAM:
            self._wasted()
        call.parts.append(payload)
        call.size += len(payload)
        call.unread += length
        self._held += len(payload)
        if call.size > self.limits.body + 5 or self._held > 2 * (self.limits.body + 5):
            self._finish(call)
            call.fail(413, f"the message is longer than the {self.limits.body} bytes that are read")
            return
        if flags & _END_STREAM:
            self._complete(call)
        elif call.unread > _WINDOW_SIZE // 2:
            self._write(_opened(stream, call.unread))
            call.unread = 0

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & _PADDED:
            payload = _unpadded(payload)
        if flags & _PRIORITISED:
            if len(payload) < 5:
                raise Broken(_SIZE, "a header frame is cut off")
            payload = payload[5:]
        if stream % 2 == 0:
            raise Broken(_PROTOCOL, "a client's calls have odd numbers")
        if flags & _END_HEADERS:
            self._headers(flags, stream, payload)
        else:
            self._block = (stream, flags, bytearray(payload))

    def _on_other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW:
            self._on_window(stream, payload)
        elif kind == _PING:
            if len(payload) != 8 or stream:
                raise Broken(_SIZE, "a ping has eight bytes")
            if not flags & _ACK:
                self._wasted()
                self._write(_header(8, _PING, _ACK, 0) + payload)
        elif kind == _SETTINGS:
            self._on_settings(flags, stream, payload)
        elif kind == _RST:
            if len(payload) != 4 or stream == 0 or stream > self._last:
                raise Broken(_PROTOCOL, "a call that was never opened is taken back")
            self._wasted(10)
            call = self.calls.pop(stream, None)
            if call is not None:
                self._finish(call)
                call.gone = True
        elif kind == _CONTINUATION:
            self._on_continuation(flags, stream, payload)
        elif kind == _PUSH:
            raise Broken(_PROTOCOL, "clients do not push")
        elif kind in (_PRIORITY, _GOAWAY):
            self._wasted()

    def _on_window(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(_SIZE, "a window update has four bytes")
        more = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if stream == 0:
            self._window += more
            if not more or self._window > _LARGEST_WINDOW:
                raise Broken(_FLOW, "the window is opened too far")
        else:
            call = self.calls.get(stream)
            if call is None:
                return
            call.window += more
            if not more or call.window > _LARGEST_WINDOW:
                raise Broken(_FLOW, "the window is opened too far")
        if self._blocked:
            self._unblock()

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) % 6:
            raise Broken(_SIZE, "settings come in sixes, for the connection")
        if flags & _ACK:
            return
        self._wasted()
        for at in range(0, len(payload), 6):
            number = int.from_bytes(payload[at : at + 2], "big")
            value = int.from_bytes(payload[at + 2 : at + 6], "big")
            if number == 4:
                if value > _LARGEST_WINDOW:
                    raise Broken(_FLOW, "the window is opened too far")
                for call in self.calls.values():
                    call.window += value - self.peer_window
                self.peer_window = value
            elif number == 5:
                if not 16_384 <= value < 1 << 24:
                    raise Broken(_PROTOCOL, "the frame size is out of range")
                self._peer_frame = value
        self._write(_header(0, _SETTINGS, _ACK, 0))
        if self._blocked:
            self._unblock()

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise Broken(_PROTOCOL, "a header block goes on that never began")
        _, first, block = self._block
        block += payload
        self._wasted()
        if len(block) > self.limits.head:
            raise Broken(_CALM, f"the headers exceed {self.limits.head} bytes")
        if flags & _END_HEADERS:
            self._block = None
            self._headers(first, stream, bytes(block))

    # --- calls ---
    def _headers(self, flags: int, stream: int, block: bytes) -> None:
        known = self._known.get(block)
        target, headers = known if known is not None else self._decode(block)
        call = self.calls.get(stream)
        if call is not None:  # trailers, of which gRPC clients have none that matter
            if not flags & _END_STREAM or call.began is None:
                raise Broken(_PROTOCOL, "headers come twice")
            self._complete(call)
            return
        if stream <= self._last:
            raise Broken(_CLOSED, "a call that has ended is opened again")
        self._last = stream
        if len(self.calls) >= self.limits.in_flight or self._draining:
            self._write(_header(4, _RST, 0, stream) + _long(_REFUSED))
            self._wasted(10)
            return
        call = self.calls[stream] = self._call(self, stream, target, headers, self.server.now)
        if not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self._finish(call)
            call.fail(415, "this is not a gRPC call (content-type application/grpc)")
        elif flags & _END_STREAM:
            self._complete(call)

    def _decode(self, block: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        try:
            fields = cast("list[tuple[bytes, bytes]]", self._decoder.decode(block, raw=True))
        except hpack.HPACKError as error:
            raise Broken(_COMPRESSION, f"the headers cannot be read: {type(error).__name__}") from None
        headers = {name: value for name, value in fields if name[:1] != b":"}
        pseudo = {name: value for name, value in fields if name[:1] == b":"}
        if b":authority" in pseudo:
            headers[b"host"] = pseudo[b":authority"]
        decoded = pseudo.get(b":path", b""), headers
        # One byte per field, each a reference to the table: that left the table as it was, and means the same again.
        if not block or min(block) < 0x80 or 0xFF in block:
            self._known.clear()
        elif len(self._known) < 256:
            self._known[block] = decoded
        return decoded

    def _complete(self, call: Call) -> None:
        parts = call.parts
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        self._finish(call)
        if len(whole) < 5 or int.from_bytes(whole[1:5], "big") != len(whole) - 5:
            call.fail(400, "a unary call sends one message, with its length before it")
            return
        message = whole[5:]
        try:
            if whole[0]:
                message = inflate(call.headers.get(b"grpc-encoding", b"identity"), message, self.limits.body)
            call.body = message
            self._idle_frames = max(0, self._idle_frames - 10)
            self.handle(call)
        except HomeostatError as error:
            call.fail(error.status, error.message)
        except Exception:  # whatever goes wrong in one call must not end the others
            log.exception("a call could not be handled")
            call.fail(500, "internal error; the server's log has the details")

    def _finish(self, call: Call) -> None:
        """Nothing more is read for the call."""
        if call.began is not None:
            self._held -= call.size
            call.began = None
            call.parts = []

    # --- answers ---
    def write_ready(self) -> None:
        """Send the answers that are ready."""
        ready, self.ready = self.ready, []
        if self.transport is None:
            return
        out: list[bytes] = []
        for call in ready:
            if call.gone:
                continue
            data = call.data
            assert data is not None
            size = len(data)
            if call.code:
                block = _HEAD + _trailers(call.code, data)
                out += (_header(len(block), _HEADERS, _END_HEADERS | _END_STREAM, call.stream), block)
                self._forget(call)
            elif size <= self._window and size <= call.window and size <= self._peer_frame and not self._blocked:
                self._window -= size
                stream = call.stream
                out += (_header(len(_HEAD), _HEADERS, _END_HEADERS, stream), _HEAD, _header(size, _DATA, 0, stream),
                        data, _header(len(_OK), _HEADERS, _END_HEADERS | _END_STREAM, stream), _OK)  # fmt: skip
                self._forget(call)
            else:
                out += (_header(len(_HEAD), _HEADERS, _END_HEADERS, call.stream), _HEAD)
                self._blocked.append(call)
        if out:
            self.transport.write(b"".join(out))
        if self._blocked:
            self._unblock()
        if self._draining and not self.calls:
            self._close_quietly()

    def _close_quietly(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _unblock(self) -> None:
        """Send as much of the large answers as the windows allow, those first that came first."""
        out: list[bytes] = []
        for call in tuple(self._blocked):
            data = call.data or b""
            while not call.gone and call.sent < len(data):
                size = min(len(data) - call.sent, self._peer_frame, self._window, call.window)
                if size <= 0:
                    break
                out += (_header(size, _DATA, 0, call.stream), data[call.sent : call.sent + size])
                call.sent += size
                call.window -= size
                self._window -= size
            if call.gone or call.sent == len(data):
                self._blocked.remove(call)
                if not call.gone:
                    out += (_header(len(_OK), _HEADERS, _END_HEADERS | _END_STREAM, call.stream), _OK)
                    self._forget(call)
        if out:
            self._write(b"".join(out))

    def _forget(self, call: Call) -> None:
        self.calls.pop(call.stream, None)
        if not self.calls:
            self.active = self.server.now

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _wasted(self, cost: int = 1) -> None:
        self._idle_frames += cost
        if self._idle_frames > _PATIENCE * 10:
            raise Broken(_CALM, "too many frames that ask for nothing")

    def _close(self, code: int, reason: str) -> None:
        if self.transport is not None:
            text = reason.encode()
            self.transport.write(_header(8 + len(text), _GOAWAY, 0, 0) + _long(self._last) + _long(code) + text)
            self.transport.close()

    # --- the server's clock ---
    def drain(self) -> None:
        """Answer what was asked, then close."""
        self._draining = True
        if self.transport is not None:
            self.transport.write(_header(8, _GOAWAY, 0, 0) + _long(self._last) + _long(_NO_ERROR))
            if not self.calls:
                self.transport.close()

    def sweep(self, now: float) -> None:
        """End calls that are not sent to their end in time, and connections on which nothing happens."""
        self._idle_frames = max(0, self._idle_frames - 100)
        for call in tuple(self.calls.values()):
            if call.began is not None and now - call.began > self.limits.request_s:
                self._finish(call)
                call.fail(408, f"the message was not complete after {self.limits.request_s:g} s")
        if self.transport is None or now - self.active <= self.limits.idle_s:
            return
        if not self.calls:
            self._close(_NO_ERROR, "nothing has happened here for long")
        elif self._blocked:
            self.transport.abort()  # an answer that nobody reads


def _header(length: int, kind: int, flags: int, stream: int) -> bytes:
    return _frame(length >> 8, length & 0xFF, kind, flags, stream)


def _opened(stream: int, size: int) -> bytes:
    return _header(4, _WINDOW, 0, stream) + _long(size)


def _unpadded(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise Broken(_PROTOCOL, "a frame is padded beyond its end")
    return payload[1 : len(payload) - payload[0]]


def _trailers(code: int, message: bytes) -> bytes:
    status = b"%d" % code
    text = quote(message[:1000], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()
    size = len(text)
    # A length of seven bits or more goes on in the bytes after it (RFC 7541, 5.1).
    coded = bytes([size]) if size < 127 else b"\x7f" + _varint(size - 127)
    return b"\x00\x0bgrpc-status%b%b\x00\x0cgrpc-message%b%b" % (bytes([len(status)]), status, coded, text)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
