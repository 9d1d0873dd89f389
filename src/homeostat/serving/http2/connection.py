"""One HTTP/2 connection that carries unary gRPC calls, on an asyncio transport. It knows nothing about models.

Its receiving half is here: frames are read, calls put together and handed on; `answers` is the sending one. Kept: flow
control both ways, interleaved calls, padding, cancellation, compressed messages, draining. Refused by closing with
GOAWAY: what breaks RFC 9113, and clients that make work without waiting for answers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from homeostat.core.errors import HomeostatError
from homeostat.serving.coding import CODINGS, inflate
from homeostat.serving.http2.answers import Answers
from homeostat.serving.http2.call import Call
from homeostat.serving.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_LIMIT,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    INTERNAL_ERROR,
    NO_ERROR,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_SIZE,
    WINDOW_UPDATE,
    Broken,
    goaway,
    greeting,
    header,
    uint32,
    unpadded,
    window_update,
)
from homeostat.serving.http2.header_blocks import HeaderBlocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeostat.serving.http1 import Server

log = logging.getLogger("homeostat.serving")

# Frames that carry nothing, and calls taken back, that a client may send beyond those that made sense.
_PATIENCE = 1000


class Http2(asyncio.Protocol):
    """Reads frames and hands whole calls to `handle`, which has them answered at any later time."""

    def __init__(self, server: Server, handle: Callable[[Call], None], call: Callable[..., Call] = Call) -> None:
        self.server = server
        self.limits = server.limits
        self.handle = handle
        self.answers = Answers(server)
        self.calls = self.answers.calls  # one dictionary: opened here, forgotten where they are answered
        self.transport: asyncio.Transport | None = None
        self._call = call
        self._greeted = False
        self._buffer = b""
        self._headers = HeaderBlocks(server.limits.head)
        self._known = self._headers.known
        self._block: tuple[int, int, bytearray] | None = None
        self._last = 0
        self._unread = 0
        self._held = 0  # bytes of calls that are not complete
        self._idle_frames = 0

    # --- asyncio ---
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if len(self.server.connections) >= self.limits.connections:
            self.server.refused += 1
            self.transport.close()
            self.transport = None
            return
        self.server.connections.add(self)
        self.answers.transport = self.transport
        self.transport.write(greeting(self.limits.in_flight, self.limits.head))

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.transport = None
        self.answers.lost()

    def pause_writing(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()  # who does not read is not read either

    def resume_writing(self) -> None:
        if self.transport is not None:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        answers = self.answers
        answers.active = self.server.now
        self.server.polling.heard()
        if self._buffer:
            data = self._buffer + data
        try:
            self._buffer = self._read(data)
        except Broken as error:
            self.server.malformed += 1
            self._close(error.code, str(error))
        except Exception:
            log.exception("a gRPC connection could not be read")
            self._close(INTERNAL_ERROR, "internal error")
        else:
            if answers.ready:
                answers.write_ready()
        finally:
            self.server.polling.understood()

    def _read(self, data: bytes) -> bytes:
        at, end = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[:24]):
                raise Broken(PROTOCOL_ERROR, "the connection does not begin as HTTP/2 does")
            if end < 24:
                return data
            self._greeted = True
            at = 24
        while end - at >= 9:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if length > FRAME_LIMIT:
                raise Broken(FRAME_SIZE_ERROR, "a frame is longer than the settings allow")
            stop = at + 9 + length
            if stop > end:
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF
            kind, flags = data[at + 3], data[at + 4]
            payload = data[at + 9 : stop]
            at = stop
            if self._block is not None and kind != CONTINUATION:
                raise Broken(PROTOCOL_ERROR, "a header block is interrupted")
            if kind == DATA:
                self._on_data(flags, stream, payload)
            elif kind == HEADERS:
                self._on_headers(flags, stream, payload)
            else:
                self._on_other(kind, flags, stream, payload)
        return data[at:] if at < end else b""

    # --- frames ---
    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        length = len(payload)
        if stream == 0 or stream > self._last:
            raise Broken(PROTOCOL_ERROR, "data for a call that was never opened")
        self._unread += length
        if self._unread > WINDOW_SIZE // 2:
            self.answers.write(window_update(0, self._unread))
            self._unread = 0
        if flags & PADDED:
            payload = unpadded(payload)
        call = self.calls.get(stream)
        if call is None or call.began is None:
            return  # refused or taken back while this was on its way
        if not length and not flags & END_STREAM:
            self._wasted()
        call.parts.append(payload)
        call.size += len(payload)
        call.unread += length
        self._held += len(payload)
        if call.size > self.limits.body + 5 or self._held > 2 * (self.limits.body + 5):
            self._finish(call)
            call.fail(413, f"the message is longer than the {self.limits.body} bytes that are read")
            return
        if flags & END_STREAM:
            self._complete(call)
        elif call.unread > WINDOW_SIZE // 2:
            self.answers.write(window_update(stream, call.unread))
            call.unread = 0

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & PADDED:
            payload = unpadded(payload)
        if flags & PRIORITISED:
            if len(payload) < 5:
                raise Broken(FRAME_SIZE_ERROR, "a header frame is cut off")
            payload = payload[5:]
        if stream % 2 == 0:
            raise Broken(PROTOCOL_ERROR, "a client's calls have odd numbers")
        if flags & END_HEADERS:
            self._open(flags, stream, payload)
        else:
            self._block = (stream, flags, bytearray(payload))

    def _on_other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            self.answers.open_window(stream, payload)
        elif kind == PING:
            if len(payload) != 8 or stream:
                raise Broken(FRAME_SIZE_ERROR, "a ping has eight bytes")
            if not flags & ACK:
                self._wasted()
                self.answers.write(header(8, PING, ACK, 0) + payload)
        elif kind == SETTINGS:
            self._on_settings(flags, stream, payload)
        elif kind == RST_STREAM:
            if len(payload) != 4 or stream == 0 or stream > self._last:
                raise Broken(PROTOCOL_ERROR, "a call that was never opened is taken back")
            self._wasted(10)
            call = self.calls.pop(stream, None)
            if call is not None:
                self._finish(call)
                call.gone = True
        elif kind == CONTINUATION:
            self._on_continuation(flags, stream, payload)
        elif kind == PUSH_PROMISE:
            raise Broken(PROTOCOL_ERROR, "clients do not push")
        elif kind in (PRIORITY, GOAWAY):
            self._wasted()

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) % 6:
            raise Broken(FRAME_SIZE_ERROR, "settings come in sixes, for the connection")
        if flags & ACK:
            return
        self._wasted()
        self.answers.read_settings(payload)

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise Broken(PROTOCOL_ERROR, "a header block goes on that never began")
        _, first, block = self._block
        block += payload
        self._wasted()
        if len(block) > self.limits.head:
            raise Broken(ENHANCE_YOUR_CALM, f"the headers exceed {self.limits.head} bytes")
        if flags & END_HEADERS:
            self._block = None
            self._open(first, stream, bytes(block))

    # --- calls ---
    def _open(self, flags: int, stream: int, block: bytes) -> None:
        known = self._known.get(block)
        target, headers = known if known is not None else self._headers.read(block)
        call = self.calls.get(stream)
        if call is not None:  # trailers, of which gRPC clients have none that matter
            if not flags & END_STREAM or call.began is None:
                raise Broken(PROTOCOL_ERROR, "headers come twice")
            self._complete(call)
            return
        if stream <= self._last:
            raise Broken(STREAM_CLOSED, "a call that has ended is opened again")
        self._last = stream
        if len(self.calls) >= self.limits.in_flight or self.answers.draining:
            self.answers.write(header(4, RST_STREAM, 0, stream) + uint32(REFUSED_STREAM))
            self._wasted(10)
            return
        call = self.calls[stream] = self._call(self.answers, stream, target, headers, self.server.now)
        if not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self._finish(call)
            call.fail(415, "this is not a gRPC call (content-type application/grpc)")
        elif flags & END_STREAM:
            self._complete(call)

    def _complete(self, call: Call) -> None:
        parts = call.parts
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        self._finish(call)
        if len(whole) < 5 or int.from_bytes(whole[1:5], "big") != len(whole) - 5:
            call.fail(400, "a unary call sends one message, with its length before it")
            return
        message = whole[5:]
        coding = call.headers.get(b"grpc-encoding", b"identity") if whole[0] else b"identity"
        if coding not in CODINGS:
            call.fail(415, f"the message coding '{coding[:40].decode('latin-1')}' is not known; use gzip")
            return
        try:
            message = inflate(coding, message, self.limits.body)
            call.body = message
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

    def _wasted(self, cost: int = 1) -> None:
        # What was answered made sense; what is only asked does not: who takes each call back at once has it computed.
        self._idle_frames = max(0, self._idle_frames - 10 * self.answers.answered) + cost
        self.answers.answered = 0
        if self._idle_frames > _PATIENCE * 10:
            raise Broken(ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def _close(self, code: int, reason: str) -> None:
        if self.transport is not None:
            self.transport.write(goaway(self._last, code, reason.encode()))
            self.transport.close()

    # --- the server's clock ---
    def drain(self) -> None:
        """Answer what was asked, then close."""
        self.answers.draining = True
        if self.transport is not None:
            self.transport.write(goaway(self._last, NO_ERROR))
            if not self.calls:
                self.transport.close()

    def sweep(self, now: float) -> None:
        """End calls that are not sent to their end in time, and connections on which nothing happens."""
        self._idle_frames = max(0, self._idle_frames - 100)
        for call in tuple(self.calls.values()):
            if call.began is not None and now - call.began > self.limits.request_s:
                self._finish(call)
                call.fail(408, f"the message was not complete after {self.limits.request_s:g} s")
        if self.transport is None or now - self.answers.active <= self.limits.idle_s:
            return
        if not self.calls:
            self._close(NO_ERROR, "nothing has happened here for long")
        elif self.answers.blocked:
            self.transport.abort()  # an answer that nobody reads
