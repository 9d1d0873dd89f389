"""Header blocks (HPACK, RFC 7541): those of calls are read by `hpack` and remembered, those of answers always the same.

After its first calls a client sends the same few bytes each time: references to a table that both sides keep. A block
that leaves the table as it was means the same again, and is not read twice.
"""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

import hpack

from homeostat.serving.http2.frames import COMPRESSION_ERROR, Broken

# :status 200, content-type application/grpc; then the trailers. Literals without indexing: the same bytes each time.
HEAD = b"\x88\x0f\x10\x10application/grpc"
OK = b"\x00\x0bgrpc-status\x010"
_MOST_KNOWN = 256


class HeaderBlocks:
    """Reads the header blocks of one connection, all of them and in their order. `limit`: bytes of decoded headers.

    `known` are the blocks that mean what they meant, until the table changes.
    """

    def __init__(self, limit: int) -> None:
        self.known: dict[bytes, tuple[bytes, dict[bytes, bytes]]] = {}
        self._decoder = hpack.Decoder(max_header_list_size=limit)

    def read(self, block: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        """The path and the headers, `:authority` among them as `host`, of a block that is not known.

        Raises: Broken when it cannot be read.
        """
        try:
            fields = cast("list[tuple[bytes, bytes]]", self._decoder.decode(block, raw=True))
        except hpack.HPACKError as error:
            raise Broken(COMPRESSION_ERROR, f"the headers cannot be read: {type(error).__name__}") from None
        headers = {name: value for name, value in fields if name[:1] != b":"}
        pseudo = {name: value for name, value in fields if name[:1] == b":"}
        if b":authority" in pseudo:
            headers[b"host"] = pseudo[b":authority"]
        decoded = pseudo.get(b":path", b""), headers
        # One byte per field, each a reference to the table: that left the table as it was, and means the same again.
        if not block or min(block) < 0x80 or 0xFF in block:
            self.known.clear()
        elif len(self.known) < _MOST_KNOWN:
            self.known[block] = decoded
        return decoded


def trailers(code: int, message: bytes) -> bytes:
    """The block that ends a call with the gRPC status `code`; the message's first 1,000 bytes are told.

    >>> trailers(5, "no such model".encode())
    b'\\x00\\x0bgrpc-status\\x015\\x00\\x0cgrpc-message\\rno such model'
    """
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
