"""Staying awake for the next request: an event loop that sleeps needs as long to wake as to answer.

A client that asks again as soon as it has its answer finds the loop awake: for `WINDOW_NS` after an answer it looks at
its sockets without sleeping. When nobody came in that time, the next `PAUSE` answers are followed by sleep, so that
requests that come one by one, with time between them, do not cost a core.
"""

from __future__ import annotations

import asyncio
import time

WINDOW_NS = 100_000
PAUSE = 100


class Vigil:
    """The wakefulness of one event loop. All methods run on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until = 0
        self._awake = False
        self._came = False
        self._pause = 0

    def answered(self) -> None:
        """Stay awake for a moment: answers have just gone out."""
        if self._awake:
            self._came = True
        elif self._pause:
            self._pause -= 1
            return
        else:
            self._awake = True
            self._came = False
            self._loop.call_soon(self._look)
        self._until = time.perf_counter_ns() + WINDOW_NS

    def _look(self) -> None:
        if time.perf_counter_ns() < self._until:
            self._loop.call_soon(self._look)  # the loop looks at its sockets in between
            return
        self._awake = False
        if not self._came:
            self._pause = PAUSE
