"""Staying awake for the next request while requests follow each other closely, one at a time.

Putting a core to sleep and waking it costs tens of microseconds, on virtual machines hundreds: more than a small model
needs for its answer. So where the last request came within `NEAR_NS` after the loop had nothing to do, the loop looks
for the next one for as long before it sleeps. This is the adaptive polling of hypervisors (Linux's `halt_poll_ns`),
bounded from above: requests that come further apart cost nothing, and the last of a burst costs `NEAR_NS` of one core.
A core that somebody else waits for is given up at every look in vain. Where several come at once, there is no sleep to
be saved.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

NEAR_NS = 400_000


class Polling:
    """Keeps `loop` looking. `clock` tells nanoseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._loop = loop
        self._clock = clock
        self._heard = 0  # packets since the last look
        self._looks = False
        self._idle_ns: int | None = None  # since when nothing is to do; None: somebody may be answered right now
        self._patience_ns = 0

    def heard(self) -> None:
        """Something was received."""
        self._heard += 1
        if not self._looks:
            self._looks = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        # One a pass of the loop. What was heard is answered in the pass that follows, so that the next look after one
        # that heard something begins to count, however long the answer took.
        heard, self._heard = self._heard, 0
        now = self._clock()
        if heard:
            idle, self._idle_ns = self._idle_ns, None
            near = heard == 1 and idle is not None and now - idle <= NEAR_NS
            self._patience_ns = NEAR_NS if near else 0
        else:
            if self._idle_ns is None:
                self._idle_ns = now
            if now - self._idle_ns >= self._patience_ns:
                self._looks = False
                return
            os.sched_yield()
        self._loop.call_soon(self._look)
