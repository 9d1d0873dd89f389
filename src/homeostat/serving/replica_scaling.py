"""How many replicas a version has follows its load: what is measured for it, and that it is done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from homeostat.serving.autoscale import Autoscaler
from homeostat.serving.loaded import LoadedVersion

log = logging.getLogger("homeostat.serving")
# When a replica could not be started, for how long none is.
SCALE_AGAIN_S = 10.0


class ReplicaScaling:
    """Moves one loaded version between `least` and `most` replicas. All methods run on the event loop.

    `may_grow`: whether there is memory for one more; `scaled`: told when their number has changed, or could not.
    """

    def __init__(
        self, loaded: LoadedVersion, loop: asyncio.AbstractEventLoop, may_grow: Callable[[], bool],
        scaled: Callable[[], None],
    ) -> None:  # fmt: skip
        self.stopped = False
        self._loaded = loaded
        self._loop = loop
        self._may_grow = may_grow
        self._scaled = scaled
        self._scaler = Autoscaler()
        self._scaling = False
        self._after_s = 0.0
        self._most = 0  # in flight at once since the last look
        self._busy_ns = self._reckoned_ns = 0

    def share(self, least: int, most: int) -> None:
        """Between how many replicas the load moves it."""
        self._scaler.least, self._scaler.most = least, most

    def saw(self, in_flight: int) -> None:
        """So many questions wait or are computed at this moment."""
        self._most = max(self._most, in_flight)

    def reckon(self, now_ns: int, computing: int) -> None:
        """So many replicas have computed since the last reckoning: told before their number changes."""
        self._busy_ns += computing * (now_ns - self._reckoned_ns)
        self._reckoned_ns = now_ns

    def look(self, now_ns: int, in_flight: int, computing: int) -> None:
        """See whether there should be more replicas or fewer. About twice a second."""
        replicas = self._loaded.runtime.replicas
        self.saw(in_flight)
        if self._scaler.most > 1 or replicas > 1:
            self.reckon(now_ns, computing)
            wanted = self._scaler.look(now_ns / 1e9, self._busy_ns / 1e9, self._most, replicas)
            self._most = 0
            if wanted < replicas or (wanted > replicas and self._may_grow()):
                self._scale(wanted)

    def _scale(self, wanted: int) -> None:
        if self._scaling or self.stopped or time.monotonic() < self._after_s:
            return
        self._scaling = True
        model, version, runtime = self._loaded.model, self._loaded.version, self._loaded.runtime
        log.info("model %s version %s: from %s replicas to %s", model, version, runtime.replicas, wanted)

        def scaled(done: asyncio.Future[None]) -> None:
            self._scaling = False
            error = done.exception()
            if error is not None and not self.stopped:
                log.error("model %s version %s: no further replica: %s", model, version, error)
                self._after_s = time.monotonic() + SCALE_AGAIN_S
            self._scaled()

        self._loop.run_in_executor(None, runtime.scale, wanted).add_done_callback(scaled)
