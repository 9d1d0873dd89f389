"""The sending half of a connection: answers, as the peer's windows and frame size allow (flow control)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from homeostat.serving.http2.call import Call
from homeostat.serving.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HEADERS,
    INITIAL_FRAME,
    INITIAL_WINDOW,
    LARGEST_WINDOW,
    PROTOCOL_ERROR,
    SETTINGS,
    Broken,
    header,
)
from homeostat.serving.http2.header_blocks import HEAD, OK, trailers

if TYPE_CHECKING:
    from homeostat.serving.http1 import Server


class Answers:
    """Sends what is `ready`, small answers whole and at once, large ones piece by piece. `calls` are those that are
    not answered to their end, `answered` the number of those that were, as far as nobody has looked. `draining`: the
    connection ends with the last of them."""

    def __init__(self, server: Server) -> None:
        self.calls: dict[int, Call] = {}
        self.ready: list[Call] = []
        self.blocked: deque[Call] = deque()  # their answers wait for the peer to open its windows
        self.call_window = INITIAL_WINDOW  # of a call that begins now
        self.transport: asyncio.Transport | None = None
        self.draining = False
        self.answered = 0
        self.active = server.now  # when something was last heard, or the last call answered
        self._server = server
        self._window = INITIAL_WINDOW  # what may be sent on the connection
        self._frame = INITIAL_FRAME

    def write(self, data: bytes) -> None:
        """Send frames that no window holds back; nothing when the connection is lost."""
        if self.transport is not None:
            self.transport.write(data)

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
                block = HEAD + trailers(call.code, data)
                out += (header(len(block), HEADERS, END_HEADERS | END_STREAM, call.stream), block)
                self._forget(call)
            elif size <= self._window and size <= call.window and size <= self._frame and not self.blocked:
                self._window -= size
                stream = call.stream
                out += (header(len(HEAD), HEADERS, END_HEADERS, stream), HEAD, header(size, DATA, 0, stream),
                        data, header(len(OK), HEADERS, END_HEADERS | END_STREAM, stream), OK)  # fmt: skip
                self._forget(call)
            else:
                out += (header(len(HEAD), HEADERS, END_HEADERS, call.stream), HEAD)
                self.blocked.append(call)
        if out:
            self.transport.write(b"".join(out))
        if self.blocked:
            self._write_blocked()
        if self.draining and not self.calls:
            self.transport.close()

    def _write_blocked(self) -> None:
        """Send as much of the large answers as the windows allow, those first that came first."""
        out: list[bytes] = []
        for call in tuple(self.blocked):
            data = call.data or b""
            while not call.gone and call.sent < len(data):
                size = min(len(data) - call.sent, self._frame, self._window, call.window)
                if size <= 0:
                    break
                out += (header(size, DATA, 0, call.stream), data[call.sent : call.sent + size])
                call.sent += size
                call.window -= size
                self._window -= size
            if call.gone or call.sent == len(data):
                self.blocked.remove(call)
                if not call.gone:
                    out += (header(len(OK), HEADERS, END_HEADERS | END_STREAM, call.stream), OK)
                    self._forget(call)
        if out:
            self.write(b"".join(out))

    def _forget(self, call: Call) -> None:
        self.calls.pop(call.stream, None)
        self.answered += 1
        if not self.calls:
            self.active = self._server.now

    # --- what the peer allows ---
    def open_window(self, stream: int, payload: bytes) -> None:
        """Read a WINDOW_UPDATE, and send what it lets through. Raises: Broken."""
        if len(payload) != 4:
            raise Broken(FRAME_SIZE_ERROR, "a window update has four bytes")
        more = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if stream == 0:
            self._window += more
            if not more or self._window > LARGEST_WINDOW:
                raise Broken(FLOW_CONTROL_ERROR, "the window is opened too far")
        else:
            call = self.calls.get(stream)
            if call is None:
                return
            call.window += more
            if not more or call.window > LARGEST_WINDOW:
                raise Broken(FLOW_CONTROL_ERROR, "the window is opened too far")
        if self.blocked:
            self._write_blocked()

    def read_settings(self, payload: bytes) -> None:
        """Take the peer's settings that bear on answers, say so, and send what they let through. Raises: Broken."""
        for at in range(0, len(payload), 6):
            setting = int.from_bytes(payload[at : at + 2], "big")
            value = int.from_bytes(payload[at + 2 : at + 6], "big")
            if setting == 4:  # SETTINGS_INITIAL_WINDOW_SIZE
                if value > LARGEST_WINDOW:
                    raise Broken(FLOW_CONTROL_ERROR, "the window is opened too far")
                for call in self.calls.values():
                    call.window += value - self.call_window
                self.call_window = value
            elif setting == 5:  # SETTINGS_MAX_FRAME_SIZE
                if not INITIAL_FRAME <= value < 1 << 24:
                    raise Broken(PROTOCOL_ERROR, "the frame size is out of range")
                self._frame = value
        self.write(header(0, SETTINGS, ACK, 0))
        if self.blocked:
            self._write_blocked()

    def lost(self) -> None:
        """Nothing can be sent any more: whoever answers a call writes to nobody."""
        self.transport = None
        for call in self.calls.values():
            call.gone = True
        self.calls.clear()
        self.blocked.clear()
