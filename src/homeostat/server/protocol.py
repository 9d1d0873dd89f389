"""HTTP connections that cannot be held or filled by whoever opens them.

uvicorn reads headers of any size and waits for them, and for bodies, as long as it takes: a few thousand connections
that say almost nothing keep everybody else out, and one endless header takes all memory. Here a head has a largest
size and a longest time, and a body has to keep coming.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from homeostat.server.joined import Joined

HEAD_BYTES = 128 << 10
HEAD_S = 20.0
SILENT_S = 60.0
# What has to come of a body in that time: a byte a minute would hold a connection for days.
LEAST_BYTES = 4 << 10

_SAID = b"the head of the request is too large"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_SAID), _SAID)
)


class Bounded(HttpToolsProtocol):
    """One connection. `overdue` says whether its client keeps it waiting for too long."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._since_s = 0.0  # when the head began, or so much of a body had come that the time began anew
        self._body_bytes = 0  # come since then
        self._stuck: tuple[int, float] | None = None  # bytes that the client does not take, and since when

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] - as uvicorn narrows it
        self._joined = Joined(transport, self.loop)
        super().connection_made(self._joined)
        self._since_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if not self._in_head and self._answering:
            self._came(len(data))
        super().data_received(data)
        if self._in_head:  # what came is, but for a little, part of a head that is not whole
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._since_s = True, 0, self.loop.time()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._since_s, self._body_bytes = self.loop.time(), 0
        super().on_headers_complete()

    def _came(self, size: int) -> None:
        """So many bytes of a body."""
        self._body_bytes += size
        if self._body_bytes >= LEAST_BYTES:
            self._since_s, self._body_bytes = self.loop.time(), 0

    def _silent(self, now_s: float) -> bool:
        """Whether too little of a body came for too long."""
        return now_s - self._since_s > SILENT_S

    def overdue(self, now_s: float) -> bool:
        """Whether a head is not whole after `HEAD_S`, or in `SILENT_S` too little of a body came or none of an answer
        went."""
        if self.flow.write_paused:
            left = self.transport.get_write_buffer_size()
            if self._stuck is None or self._stuck[0] != left:
                self._stuck = (left, now_s)
            return now_s - self._stuck[1] > SILENT_S
        self._stuck = None
        if not self._answering:  # between two requests a shorter timer of uvicorn's own runs
            return self.timeout_keep_alive_task is None and now_s - self._since_s > HEAD_S
        if self.flow.read_paused:  # it is we who do not read
            self._since_s, self._body_bytes = now_s, 0
        return self.cycle.more_body and self._silent(now_s)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]


def close_overdue(connections: Iterable[Any], now_s: float) -> int:
    """Close the connections that are overdue; how many."""
    late = [one for one in connections if isinstance(one, Bounded) and one.overdue(now_s)]
    for one in late:
        one.transport.abort()  # closing would wait until the client takes what is left
    return len(late)


def most_connections() -> int:
    """How many connections are served at once: half of the files this process may open, which is raised first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft // 2
