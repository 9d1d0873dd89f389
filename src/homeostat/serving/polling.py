"""Staying awake for the next request while requests follow each other closely, one at a time.

Putting a core to sleep and waking it costs tens of microseconds, on virtual machines more than a small model needs for
its answer. So a loop that has heard two packets within `NEAR_NS` looks again without sleeping until nothing has come
for that long. This is the adaptive polling of hypervisors (Linux's `halt_poll_ns`), bounded from above: requests that
come further apart cost nothing, and the last of a burst costs `NEAR_NS` of one core. A core that somebody else waits
for is given up at every look in vain. Where several come at once, there is no sleep to be saved.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

NEAR_NS = 200_000


class Polling:
    """Keeps `loop` looking. `clock` tells nanoseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._loop = loop
        self._clock = clock
        self._heard_ns = -NEAR_NS
        self._heard = 0  # since the last look
        self.awake = False

    def heard(self) -> None:
        """Something was received."""
        now = self._clock()
        near = now - self._heard_ns < NEAR_NS
        self._heard_ns = now
        self._heard += 1
        if near and not self.awake:
            self.awake = True
            self._heard = 1
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        heard, self._heard = self._heard, 0
        if heard > 1 or self._clock() - self._heard_ns >= NEAR_NS:
            self.awake = False
            return
        if not heard:
            os.sched_yield()
        self._loop.call_soon(self._look)
