"""Batches for models too slow for the event loop: each is computed in a thread, one at a time for every replica.

While one computes, the next gathers. Those who were just answered often ask again at once: the next batch starts when
as many wait as were in flight before, or after `GATHER` of the time that the last batch took. Otherwise the crowd would
stay split in two halves, each of which pays the model's fixed cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from homeostat.core.errors import Unavailable
from homeostat.serving.delivery import Delivery
from homeostat.serving.loaded import MAX_ROWS, LoadedVersion
from homeostat.serving.oip import Outputs
from homeostat.serving.options import MOST_REPLICAS
from homeostat.serving.question import Question
from homeostat.serving.replica_scaling import ReplicaScaling

# A batch that ended the worker is tried again in halves, so that one bad request does not fail its neighbours. After
# this many ends without an answer in between it is not a request that is bad.
MAX_CRASHES = 8
# The share of a batch's time that the next one may wait for company.
GATHER = 0.2


class Batcher:
    """Gathers the questions of one loaded version and has them computed in threads. All methods run on the event loop.

    `waiting` are those that are in no batch yet, the oldest first; whoever adds to them calls `feed`.
    """

    def __init__(
        self, loaded: LoadedVersion, loop: asyncio.AbstractEventLoop, delivery: Delivery, may_grow: Callable[[], bool]
    ) -> None:
        self.loaded = loaded
        self.waiting: list[Question] = []
        self.scaling = ReplicaScaling(loaded, loop, may_grow, self.feed)
        self._loop = loop
        self._delivery = delivery
        self._batches: list[list[Question]] = []  # those that are computed
        self._thread: ThreadPoolExecutor | None = None
        self._crashes = 0
        self._expected = 0
        self._held: asyncio.TimerHandle | None = None

    @property
    def running(self) -> list[Question]:
        """Those that are computed."""
        return [question for batch in self._batches for question in batch]

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is computed."""
        return not (self.waiting or self._batches)

    def wait_s(self) -> int:
        """When a place in the queue is likely to be free: half of those who wait are through, at the pace so far."""
        counts = self.loaded.counts
        pace_ns = counts.compute_ns / max(counts.requests, 1)
        return max(1, min(60, round(len(self.waiting) / 2 * pace_ns / 1e9)))

    def sweep(self, now_ns: int) -> None:
        """Answer 504 to whoever has waited for too long, and see to the replicas. About twice a second."""
        self._drop_late(now_ns)
        running = self.running
        for question in running:
            self._delivery.expire_running(question, now_ns)
        self.scaling.look(now_ns, len(self.waiting) + len(running), len(self._batches))

    def feed(self) -> None:
        """Start as many batches as there are replicas that compute nothing, unless company is expected."""
        if self._held is not None and not self._batches:
            if len(self.waiting) < self._expected:
                return
            self._held.cancel()
            self._held = None
        free = self.loaded.runtime.replicas - len(self._batches)
        if free <= 0 or not self.waiting:
            return
        self._drop_late(time.perf_counter_ns())  # nobody waits for these answers any more: they cost no computing
        while free and self.waiting:
            self._start(self._gathered(-(-len(self.waiting) // free)))  # shared between the replicas that are free
            free -= 1

    def close(self) -> None:
        """No batch will come any more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _drop_late(self, now_ns: int) -> None:
        late = {question for question in self.waiting if self._delivery.is_late(question, now_ns)}
        if late:
            self.waiting = [question for question in self.waiting if question not in late]
            self._delivery.expire(list(late))

    def _gathered(self, most: int) -> list[Question]:
        """The next batch, of at most so many questions: taken out of those who wait."""
        contract = self.loaded.contract
        group: list[Question] = []
        rows = 0
        for question in self.waiting[:most]:
            if group and (
                rows + question.rows > MAX_ROWS
                or not contract.batchable
                or (contract.asks and not contract.joins(group[0].payload, question.payload))
            ):
                break
            group.append(question)
            rows += question.rows
        del self.waiting[: len(group)]
        return group

    def _start(self, group: list[Question]) -> None:
        started = time.perf_counter_ns()
        self.scaling.saw(len(group) + len(self.waiting) + len(self.running))
        self.scaling.reckon(started, len(self._batches))
        self._batches.append(group)
        payload = self.loaded.contract.merge([question.payload for question in group])
        if self._thread is None:
            self._thread = ThreadPoolExecutor(MOST_REPLICAS, f"model-{self.loaded.model}-{self.loaded.version}")
        future = self._thread.submit(self.loaded.compute, payload)

        def finish() -> None:
            self.scaling.reckon(time.perf_counter_ns(), len(self._batches))
            self._batches.remove(group)
            error = future.exception()
            if error is None:
                self._crashes = 0
                self._hold(len(group), time.perf_counter_ns() - started)
                self._delivery.deliver(group, payload, Outputs(self.loaded.outputs, future.result()), started)
            else:
                self._failed(group, error)
            self.feed()

        future.add_done_callback(lambda _: self._loop.call_soon_threadsafe(finish))

    def _hold(self, answered: int, took_ns: int) -> None:
        """Let the next batch wait for those who are answered now."""
        self._expected = answered + len(self.waiting)
        if self.waiting and not self._batches and self.loaded.contract.batchable and self._held is None:
            self._held = self._loop.call_later(GATHER * took_ns / 1e9, self._release)

    def _release(self) -> None:
        self._held = None
        self.feed()

    def _failed(self, group: list[Question], error: BaseException) -> None:
        crashed = isinstance(error, Unavailable) and "crashed" in error.facts
        self._crashes += crashed
        if len(group) > 1 and (self._crashes < MAX_CRASHES if crashed else not isinstance(error, Unavailable)):
            # One bad request must not fail its neighbours: halve the group until it is alone.
            middle = len(group) // 2
            self.waiting[:0] = group[middle:]
            self._start(group[:middle])
        else:
            self._delivery.fail(group, error)
