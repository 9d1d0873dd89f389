"""Heads of requests that were parsed before: a client that is kept alive sends the same one again and again.

The parser at the beginning of a message knows nothing of the messages before it: the same bytes mean the same. So
a packet that is a known head and as many bytes behind it as the head announces needs no parsing. Only heads are known
that the parser has taken whole, of HTTP/1.1, from connections that stay open.
"""

from __future__ import annotations

from typing import NamedTuple

_END = b"\r\n\r\n"
# In bytes; longer ones are parsed each time.
LONGEST = 2048
MOST = 1024
# Heads with these differ from request to request, or mean more than is told by a packet.
_UNLIKE = (b"x-request-id", b"traceparent", b"transfer-encoding", b"expect")


class Head(NamedTuple):
    """What the parser has told of a head, and the length of the body that it announces."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    length: int


class Heads:
    """Those of one process, by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body of the one request that `data`, from the beginning of a message on, is known to be."""
        end = data.find(_END, 0, LONGEST) + 4
        head = self._known.get(data[:end])
        if head is None or len(data) - end != head.length:
            return None
        return head, data[end:]

    def learn(self, data: bytes, head: Head) -> None:
        """Remember the head that the parser found in `data`, if that was this request and nothing else."""
        end = data.find(_END, 0, LONGEST) + 4
        # Of several requests in `data`, whichever `head` is of, more than its body is behind the first one's head.
        if end < 4 or len(data) - end != head.length or not head.headers.keys().isdisjoint(_UNLIKE):
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[data[:end]] = head
