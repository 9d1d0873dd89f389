"""Heads of requests that were parsed before: a client that is kept alive sends the same one again and again.

The parser at the beginning of a message knows nothing of the messages before it: the same bytes mean the same. So what
begins with a known head needs no parsing, as far as the body goes that the head announces. Only heads are to be
learned that the parser has taken whole, of HTTP/1.1, from connections that stay open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

_END = b"\r\n\r\n"
# In bytes; longer ones are parsed each time.
LONGEST = 2048
MOST = 1024
# Heads with these differ from request to request, or say more of the body than its length.
_UNLIKE = frozenset((b"x-request-id", b"traceparent", b"transfer-encoding", b"expect"))


class Announcing(Protocol):
    """What is known of a head."""

    @property
    def length(self) -> int:
        """Of the body, in bytes."""
        ...


H = TypeVar("H", bound=Announcing)


class Heads(Generic[H]):
    """Those of one process, by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, H] = {}
        self._last: tuple[bytes, H] | None = None  # the one that was found last: often the next one, too

    def find(self, data: bytes) -> tuple[H, bytes] | None:
        """The head that `data`, from the beginning of a message on, begins with, and what is there of its body.

        None if it is not known, or more is there than its body.
        """
        last = self._last
        if last is None or not data.startswith(last[0]):
            begin = data[: data.find(_END, 0, LONGEST) + 4]
            known = self._known.get(begin)
            if known is None:
                return None
            self._last = last = begin, known
        begin, head = last
        body = data[len(begin) :]
        return None if len(body) > head.length else (head, body)

    def learn(self, data: bytes, head: H, *, alone: bool = False) -> None:
        """Remember the head that the parser found in `data`, if there is that, and at most its body behind it; with
        `alone`, when the body came later, nothing behind it."""
        end = data.find(_END, 0, LONGEST) + 4
        # Of several requests in `data`, whichever `head` is of, more than its body is behind the first one's head. Two
        # line ends before the first one are no head: what is behind them is one, and more than nothing.
        if end < 4 or len(data) - end > (0 if alone else head.length):
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[data[:end]] = head


def comes_again(names: Iterable[bytes]) -> bool:
    """Whether a head with headers of these names, in lower case, may be sent again as it is.

    >>> comes_again([b"host", b"content-length"]), comes_again([b"host", b"expect"])
    (True, False)
    """
    return _UNLIKE.isdisjoint(names)
