"""The header X-Request-Id: which id a client gives its request by it, and the line that tells an answer's."""

from __future__ import annotations

from collections.abc import Mapping

_LONGEST = 200


def given_id(headers: Mapping[bytes, bytes]) -> str:
    """The id that a request's head names, or none."""
    return headers.get(b"x-request-id", b"")[:_LONGEST].decode("latin-1")


def id_line(identity: str) -> bytes:
    """The header line of an answer; without what no header may hold, which a client's own id can contain.

    >>> id_line("r-1\\r\\nSet-Cookie: a=b")
    b'X-Request-Id: r-1Set-Cookie: a=b\\r\\n'
    """
    told = "".join([c for c in identity[:_LONGEST] if " " <= c <= "~"])
    return b"X-Request-Id: %b\r\n" % told.encode() if told else b""


def without_id(lines: bytes) -> bytes:
    """Header lines without the one of an id: for whoever passes an answer on under an id of its own.

    >>> without_id(b"Retry-After: 1\\r\\nX-Request-Id: r-1\\r\\n")
    b'Retry-After: 1\\r\\n'
    """
    return b"".join(line for line in lines.splitlines(keepends=True) if not line.startswith(b"X-Request-Id:"))
