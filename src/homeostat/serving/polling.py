"""Staying awake for the next request while requests follow each other closely, one at a time.

Putting a core to sleep and waking it costs tens of microseconds, on virtual machines hundreds: more than a small model
needs for its answer. So where the last request came within `NEAR_NS` after the loop had nothing to do, the loop looks
for the next one for as long before it sleeps. This is the adaptive polling of hypervisors (Linux's `halt_poll_ns`),
bounded from above: requests that come further apart cost nothing, and the last of a burst costs `NEAR_NS` of one core.
A core that somebody else waits for is given up at every look in vain. Where several come at once, there is no sleep to
be saved, but much by computing them together.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

log = logging.getLogger("homeostat.serving")
NEAR_NS = 400_000


class Polling:
    """Keeps `loop` looking, and knows whether requests come one at a time. `clock` tells nanoseconds.

    Around each packet that is received: `heard` before it is read, `understood` once everything is known that it asks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._loop = loop
        self._clock = clock
        self._heard = 0  # packets since the last look
        self._heard_ns = 0  # when the first of them came, if that was after there was nothing to do
        self._looks = False
        self._idle_ns: int | None = None  # since when nothing is to do; None: somebody may be answered right now
        self._patience_ns = 0
        self._followed = False  # the last pass that heard something heard one packet
        self._alone = False
        self._reading = False
        self._due: list[Callable[[], object]] = []

    def heard(self) -> None:
        """Something was received."""
        if not self._heard and self._idle_ns is not None:
            self._heard_ns = self._clock()
        self._heard += 1
        self._reading = True
        if not self._looks:
            self._looks = True
            self._loop.call_soon(self._look)

    def understood(self) -> None:
        """What was received has been read."""
        self._reading = False
        if self._due:
            due, self._due = self._due, []
            for call in due:
                try:
                    call()
                except Exception:  # the others are not to wait for it, nor is the connection to end
                    log.exception("what a request asked for could not be done")

    def soon(self, call: Callable[[], object]) -> None:
        """Have `call` done at the end of this pass of the loop, for all that it brings; where requests come one at a
        time, so that nobody is to be waited for, as soon as the packet is read that brings this one."""
        if self._alone and self._reading:
            self._due.append(call)
        else:
            self._loop.call_soon(call)

    def _look(self) -> None:
        # One a pass of the loop. What was heard is answered by the end of the pass that follows, so that the next look
        # after one that heard something begins to count, however long the answer took.
        heard, self._heard = self._heard, 0
        if heard:
            idle, self._idle_ns = self._idle_ns, None
            near = idle is None or self._heard_ns - idle <= NEAR_NS
            self._alone = heard == 1 and self._followed and near
            self._patience_ns = NEAR_NS if self._alone else 0
            self._followed = heard == 1
        else:
            now = self._clock()
            if self._idle_ns is None:
                self._idle_ns = now
            if now - self._idle_ns >= self._patience_ns:
                self._looks = self._alone = False
                return
            os.sched_yield()
        self._loop.call_soon(self._look)
