"""One unary gRPC call, from its headers to its answer."""

from __future__ import annotations

import asyncio
from typing import Protocol

from homeostat.serving.http2.frames import uint32

# What gRPC calls the statuses of HTTP (https://grpc.io/docs/guides/status-codes).
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 409: 10, 413: 8, 415: 12, 422: 9, 429: 8, 501: 12, 503: 14,
          504: 4, 507: 8}  # fmt: skip
_INTERNAL = 13


class Outgoing(Protocol):
    """Where answers go. `call_window`: bytes that the peer takes of the answer to a call that begins now."""

    transport: asyncio.Transport | None
    call_window: int
    ready: list[Call]

    def write_ready(self) -> None:
        """Send the answers that are ready."""
        ...


class Call:
    """One call. `answer` or `fail` may be called at any later time, once; `put` leaves the writing to `write_ready`.

    `connection` is the sending half of the one it came on.
    """

    __slots__ = (
        "began", "body", "code", "connection", "data", "gone", "headers", "parts", "sent", "size", "stream", "target",
        "unread", "window",
    )  # fmt: skip

    def __init__(
        self, connection: Outgoing, stream: int, target: bytes, headers: dict[bytes, bytes], now: float
    ) -> None:
        self.connection = connection
        self.stream = stream
        self.target = target
        self.headers = headers
        self.parts: list[bytes] = []
        self.size = 0
        self.unread = 0  # bytes received since the window was last opened
        self.window = connection.call_window  # bytes of the answer that may be sent
        self.began: float | None = now  # None: nothing more is read for it
        self.body = b""
        self.data: bytes | None = None
        self.code = -1
        self.sent = 0
        self.gone = False

    def put(self, message: bytes) -> None:
        """Have `message` be the answer; it is sent by the connection's next `write_ready`."""
        if self.code < 0:
            self.code = 0
            self.data = b"\x00" + uint32(len(message)) + message
            self.connection.ready.append(self)

    def answer(self, message: bytes) -> None:
        """Send `message` as the answer."""
        self.put(message)
        self.connection.write_ready()

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """End the call with the gRPC status that HTTP's `status` stands for."""
        if self.code < 0:
            self.code = _CODES.get(status, _INTERNAL)
            self.data = message.encode("utf-8", "replace")
            self.connection.ready.append(self)
            self.connection.write_ready()
