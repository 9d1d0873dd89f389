"""How often an address may be wrong about who it is.

A token has 256 bits, so nobody guesses one; but whoever tries costs a look into the database each time, and should be
seen in the log. What is limited is being wrong: a right token is let in from any address at any time, or a guesser
could lock out everybody behind the same proxy.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from homeostat.core.errors import TooManyRequests, Unauthenticated

log = logging.getLogger("homeostat.access")

_BURST, _EVERY_S = 20, 3.0
_ADDRESSES = 4096


class Attempts:
    """Counts by address: 20 wrong ones at once, then one every three seconds. Remembers 4,096 addresses, the latest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When each address would have nothing held against it any more, and whether the log tells of it already.
        self._held: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def wrong(self, address: str, error: Unauthenticated) -> Unauthenticated | TooManyRequests:
        """What to tell somebody at `address` who was refused for `error`.

        >>> attempts = Attempts()
        >>> told = [attempts.wrong("192.0.2.7", Unauthenticated("no")).status for _ in range(22)]
        >>> told[19:]
        [401, 429, 429]
        """
        wait_s = self._wait_s(_network(address))
        if not wait_s:
            return error
        return TooManyRequests(
            "too many wrong tokens came from this address",
            hint=f"try again in {wait_s} s; a right token is let in at any time",
            retry_after_s=wait_s,
        )

    def _wait_s(self, network: str) -> int:
        now = self._clock()
        with self._lock:
            clear_at, told = self._held.pop(network, (now, False))
            if clear_at <= now:
                clear_at, told = now, False
            over = clear_at + _EVERY_S - now - _BURST * _EVERY_S
            # Those who go on asking do not wait longer for it.
            self._held[network] = (clear_at, True) if over > 0 else (clear_at + _EVERY_S, told)
            if len(self._held) > _ADDRESSES:
                self._held.popitem(last=False)
        if over > 0 and not told:
            log.warning("too many wrong tokens come from %s", network or "an unknown address")
        return max(0, math.ceil(over))


def _network(address: str) -> str:
    """Whoever has one address of IPv6 has the 2⁶⁴ beside it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
