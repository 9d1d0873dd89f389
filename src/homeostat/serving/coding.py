"""Content codings of bodies: gzip and deflate, undone with a limit."""

from __future__ import annotations

import zlib

from homeostat.core.errors import InvalidInput, TooLarge

_WINDOWS = {b"gzip": 31, b"deflate": 15, b"identity": 0}
CODINGS = frozenset(_WINDOWS)


def inflate(coding: bytes, body: bytes, limit: int) -> bytes:
    """`body` without its `coding`.

    Raises: InvalidInput for an unknown coding or a broken body; TooLarge when there are more than `limit` bytes in it.
    """
    window = _WINDOWS.get(coding.strip().lower())
    if window is None:
        raise InvalidInput(f"the content coding '{coding[:40].decode('latin-1')}' is not known", hint="use gzip")
    if not window:
        return body
    inflater = zlib.decompressobj(window)
    try:
        data = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidInput(f"the body is not {coding.decode('latin-1')}: {error}") from None
    if len(data) > limit:
        raise TooLarge(f"the body is longer than {limit} bytes when decompressed")
    if not inflater.eof or inflater.unused_data:
        raise InvalidInput("the compressed body is cut off or followed by other data")
    return data
