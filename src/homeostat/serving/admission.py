"""Who may ask one deployed model for predictions, and how often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from homeostat.core.errors import PermissionDenied, TooManyRequests

# Whoever asks over loopback without a token: another program of this machine, which is let in anyway.
_LOCAL = "local"


class Admission:
    """The door of one model. Of one event loop.

    A caller has a second's worth of requests at once, and then `rate` of them every second.

    >>> admission = Admission(["app"], rate=2, clock=lambda: 0.0)
    >>> admission.check("app"), admission.check("app")
    (None, None)
    >>> admission.check("app")
    Traceback (most recent call last):
    homeostat.core.errors.TooManyRequests: 'app' may ask this model 2 times a second
      → try again in 1 s
    """

    def __init__(self, callers: Iterable[str], rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = (frozenset(callers), rate)
        self._clock = clock
        # When each caller's allowance will be whole again.
        self._whole_at: dict[str, float] = {}

    def check(self, caller: str) -> None:
        """Count a request. Raises: PermissionDenied for somebody else; TooManyRequests, with `retry_after_s`."""
        callers, rate = self.policy
        if callers and caller not in callers and caller != _LOCAL:
            raise PermissionDenied(f"'{caller}' is not among those who may ask this model")
        if not rate:
            return
        now = self._clock()
        whole_at = max(now, self._whole_at.get(caller, now)) + 1 / rate
        # One request is always possible, however few there may be in a second.
        over = whole_at - now - max(1.0, 1 / rate)
        if over > 1e-9:
            wait_s = max(1, math.ceil(over))
            raise TooManyRequests(
                f"'{caller}' may ask this model {rate:g} times a second",
                hint=f"try again in {wait_s} s", retry_after_s=wait_s,
            )  # fmt: skip
        self._whole_at[caller] = whole_at
