"""The frames of HTTP/2: their kinds, flags and error codes, how one is written, and what the settings promise.

See https://www.rfc-editor.org/rfc/rfc9113#section-6.
"""

from __future__ import annotations

from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = (
    0, 1, 2, 3, 5, 6, 7)  # fmt: skip
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11
INITIAL_WINDOW = 65_535
LARGEST_WINDOW = (1 << 31) - 1
INITIAL_FRAME = 16_384
# What is received: the longest frame, and the bytes that a call or a connection may have on their way.
FRAME_LIMIT = 1 << 20
WINDOW_SIZE = 8 << 20

_header = Struct(">HBBBI").pack  # the length's upper 16 and lower 8 bits, kind, flags, stream
uint32 = Struct(">I").pack


class Broken(Exception):
    """The peer broke the protocol; `code` is what GOAWAY says."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def header(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes before a payload of `length` bytes.

    >>> header(8, PING, ACK, 0)
    b'\\x00\\x00\\x08\\x06\\x01\\x00\\x00\\x00\\x00'
    """
    return _header(length >> 8, length & 0xFF, kind, flags, stream)


def greeting(in_flight: int, head: int) -> bytes:
    """What a server says first: its settings, and the connection's window opened as wide as that of a call.

    `in_flight`: calls that may be open at once; `head`: bytes of headers that are read.
    """
    # SETTINGS_MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE
    values = ((3, in_flight), (4, WINDOW_SIZE), (5, FRAME_LIMIT), (6, head))
    settings = b"".join([key.to_bytes(2, "big") + uint32(value) for key, value in values])
    return header(len(settings), SETTINGS, 0, 0) + settings + window_update(0, WINDOW_SIZE - INITIAL_WINDOW)


def window_update(stream: int, size: int) -> bytes:
    """The frame that lets the peer send `size` bytes more."""
    return header(4, WINDOW_UPDATE, 0, stream) + uint32(size)


def goaway(last: int, code: int, reason: bytes = b"") -> bytes:
    """The frame that ends a connection: calls after `last` are not answered."""
    return header(8 + len(reason), GOAWAY, 0, 0) + uint32(last) + uint32(code) + reason


def unpadded(payload: bytes) -> bytes:
    """A payload without its padding. Raises: Broken when the padding is longer than the payload.

    >>> unpadded(b"\\x02abc\\x00\\x00")
    b'abc'
    """
    if not payload or payload[0] >= len(payload):
        raise Broken(PROTOCOL_ERROR, "a frame is padded beyond its end")
    return payload[1 : len(payload) - payload[0]]
