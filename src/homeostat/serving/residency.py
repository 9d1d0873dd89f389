"""Which deployed models of one process are in memory.

With a budget, the models used last stay and those not used for longest make room; without one, a model goes only when
its deployment says after how long without a request. A request for a model that is away is held while it is loaded: up
to its own time limit, and as many as the deployment lets wait. What is loaded at the moment costs the request path
nothing: only a missing route table leads here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from homeostat.core.errors import Unavailable
from homeostat.serving.lane import Lane
from homeostat.serving.served import Held, Served

log = logging.getLogger("homeostat.serving")
# Held requests of all models together: each keeps its body.
MOST_HELD = 20_000
_MIB = 1 << 20


class Residency:
    """Loads by need, unloads by age. `budget`: bytes that the models of this process may take; 0 for no limit.

    What is counted is measured (see `weight`). A model is let in by what it weighed last time, or by the size of its
    files, and weighed again once it is loaded; until others have made room for a difference it may pass the budget.
    All methods run on the event loop.
    """

    def __init__(self, models: dict[str, Served], budget: int = 0) -> None:
        self.budget = budget
        self.start: Callable[[str], None] = lambda model: None  # loads a model; ends in `arrived` or `failed`
        self._models = models
        self.lanes: dict[Lane, str] = {}  # whose memory is not given back, with the names of their models
        self._waiting: dict[Served, None] = {}  # models with held requests
        self._order = asyncio.Lock()
        self._changed = asyncio.Event()
        self._sizes: dict[tuple[str, int], int] = {}
        self.held = 0

    @property
    def used(self) -> int:
        """Bytes that models take whose memory is not given back yet."""
        return sum(lane.loaded.memory for lane in self.lanes)

    def hold(self, served: Served, held: Held) -> None:
        """Keep a request until its model is back, and see to it that it comes back."""
        limit = served.deployment.max_waiting if served.deployment is not None else 0
        if len(served.held) >= limit or self.held >= MOST_HELD:
            served.turned_away += 1
            held.fail(429, "too many requests wait for this model to be loaded; try again later", b"Retry-After: 1\r\n")
            return
        served.held.append(held)
        served.held_total += 1
        self.held += 1
        self._waiting[served] = None
        self.start(served.model)

    def sweep(self, now_ns: int) -> None:
        """Answer 504 to whoever was held for too long; unload what nobody has asked for. About twice a second."""
        for served in list(self._waiting):
            late = [held for held in served.held if held.deadline_ns < now_ns]
            if late:
                served.held = [held for held in served.held if held.deadline_ns >= now_ns]
                self._count_out(served, len(late))
                for held in late:
                    held.fail(504, "the model was not loaded within the request's time limit", b"")
        for model in {*self.lanes.values()}:
            served = self._models.get(model)
            deployment = served.deployment if served is not None else None
            if served is None or deployment is None or served.table is None:
                continue
            served.tidy()
            rest_ns = deployment.idle_s * 1e9
            if rest_ns and not served.pinned and served.idle and now_ns - served.last_ns > rest_ns:
                self.unload(served, "idle")
        self._shrink()

    def expect(self, model: str, version: int) -> int | None:
        """What the version weighed when it was here last."""
        return self._sizes.get((model, version))

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """The right to load. With a budget one model loads at a time, in the order of asking: two at once could only
        guess what each of them weighs."""
        if not self.budget:
            yield
            return
        async with self._order:
            yield

    async def make_room(self, guest: Served, needed: int = 0) -> None:
        """Unload others until `needed` bytes more fit: first versions kept warm for a rollback, then whole models, the
        least recently used first. Raises Unavailable when they do not fit beside what stays in memory."""
        while self.budget and self.used + needed > self.budget:
            stays = self._stays()
            if stays + needed > self.budget:
                raise self._does_not_fit(guest, needed, stays)
            self._changed.clear()
            if not any(lane.retired for lane in self.lanes):
                self._evict(guest)
            await self._changed.wait()

    def add(self, lane: Lane) -> None:
        """Count a loaded version until its memory is given back."""
        self.lanes[lane] = lane.loaded.model
        self._sizes[lane.loaded.model, lane.loaded.version] = lane.loaded.memory
        lane.released = self._released
        lane.may_grow = self._may_grow

    def arrived(self, served: Served) -> None:
        """The model can answer: ask again what was held for it."""
        served.loads += 1
        held, served.held = served.held, []
        self._count_out(served, len(held))
        for one in held:
            one.resume()

    def failed(self, served: Served, status: int, reason: str) -> None:
        """The model does not come: tell those who were held for it."""
        held, served.held = served.held, []
        self._count_out(served, len(held))
        for one in held:
            one.fail(status, reason, b"Retry-After: 1\r\n" if status == 503 else b"")

    def unload(self, served: Served, why: str) -> None:
        """Take a model out of memory when its last answer is out; the next request brings it back."""
        served.unload()
        served.unloads[why] = served.unloads.get(why, 0) + 1
        log.info("model %s is unloaded (%s)", served.model, why)

    def _count_out(self, served: Served, gone: int) -> None:
        self.held -= gone
        if not served.held:
            self._waiting.pop(served, None)

    def _may_grow(self, lane: Lane) -> bool:
        """Whether the budget has room for another replica of it, as heavy as those it has."""
        loaded = lane.loaded
        return not self.budget or self.used + loaded.runtime.memory() // loaded.runtime.replicas <= self.budget

    def _released(self, lane: Lane) -> None:
        self.lanes.pop(lane, None)
        self._changed.set()

    def _shrink(self) -> None:
        """Send somebody away when models have grown beyond the budget since they were loaded."""
        over = self.budget and self.used > self.budget and not self._order.locked()
        if over and not any(lane.retired for lane in self.lanes):
            self._evict(None)

    def _stays(self) -> int:
        """Bytes that nobody can make room of: pinned models, and what was just loaded and is not used yet."""
        stays = 0
        for lane, model in self.lanes.items():
            host = self._models.get(model)
            if lane.retired or (host is not None and lane in host.warm):
                continue
            if host is None or host.pinned or lane not in host.lanes:
                stays += lane.loaded.memory
        return stays

    def _evict(self, guest: Served | None) -> None:
        """Send away what was not used for longest."""
        hosts = [self._models[model] for model in {*self.lanes.values()} if model in self._models]
        warm = [(lane.last_ns, lane) for host in hosts for lane in host.warm]
        if warm:
            min(warm, key=lambda pair: pair[0])[1].retire()
            return
        loaded = [host for host in hosts if host.table is not None and not host.pinned and host is not guest]
        if not loaded and guest is not None:
            loaded = [guest]  # its next version does not fit beside the one that answers
        if loaded:
            self.unload(min(loaded, key=lambda host: (not host.idle, host.last_ns)), "memory")

    def _does_not_fit(self, guest: Served, needed: int, stays: int) -> Unavailable:
        own = sum(lane.loaded.memory for lane, model in self.lanes.items() if model == guest.model)
        beside = f", of which other models that stay take {(stays - own) / _MIB:.0f}" if stays > own else ""
        return Unavailable(
            f"model '{guest.model}' takes {(own + needed) / _MIB:.0f} MiB; the memory budget of this process is "
            f"{self.budget / _MIB:.0f} MiB{beside}",
            hint="raise HOMEOSTAT_MEMORY_BUDGET_MB, or deploy fewer models with min_replicas=1",
        )


def deadline_ns(served: Served, started_ns: int, own_us: int = 0) -> int:
    """When a held request is of no use any more: by its own time limit, else by its deployment's."""
    if own_us:
        return started_ns + 1000 * own_us
    timeout_ms = served.deployment.timeout_ms if served.deployment is not None else 0
    return started_ns + 1_000_000 * timeout_ms


def now_ns() -> int:
    """The clock of deadlines."""
    return time.perf_counter_ns()
