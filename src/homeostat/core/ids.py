"""Identifiers: time-sortable for our own records, hexadecimal where foreign clients expect it."""

from __future__ import annotations

import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A 26-character identifier; later ones sort after earlier ones of the same process.

    48 bits of milliseconds, then 82 random bits, in Crockford's base 32 (as in the ULID draft, lower case).

    >>> a, b = new_id(), new_id()
    >>> len(a), a < b
    (26, True)
    """
    global _last
    with _lock:
        value = ((time.time_ns() // 1_000_000) << 82) | secrets.randbits(82)
        # Within one millisecond the random part may run backwards: step past the last one given out.
        _last = value = value if value > _last else _last + 1 + secrets.randbits(32)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def new_hex_id() -> str:
    """32 random hexadecimal digits, the shape of run ids that tracking clients know."""
    return secrets.token_hex(16)
