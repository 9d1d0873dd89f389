"""The queue of one model version: what arrives in one pass of the event loop is computed together.

The first request of a pass schedules the flush for the end of the pass, so a lone request waits for nobody, and under
load batches grow by themselves because sockets fill while the model runs (`soon` says when: see `Polling.soon`).
Requests that would hold the event loop for too long go to the `Batcher`, which has them computed in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from homeostat.core.errors import Unavailable
from homeostat.serving.batcher import Batcher
from homeostat.serving.delivery import Delivery
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.oip import Outputs
from homeostat.serving.question import Question
from homeostat.serving.runtimes.runtime import Gone
from homeostat.serving.weight import WEIGHING, give_back


class Lane:
    """Joins and computes the questions of one loaded version. All methods run on the event loop.

    `may_grow`: whether there is memory for one more replica; `released`: told when its memory is given back.
    """

    def __init__(
        self, loaded: LoadedVersion, loop: asyncio.AbstractEventLoop, delivery: Delivery,
        soon: Callable[[Callable[[], object]], None],
    ) -> None:  # fmt: skip
        self.loaded = loaded
        self.may_grow: Callable[[Lane], bool] = _always
        self.released: Callable[[Lane], None] = _nobody
        self.retired = False
        self._loop = loop
        self._soon = soon
        self._delivery = delivery
        self._batcher = Batcher(loaded, loop, delivery, lambda: self.may_grow(self))
        self._pending: list[Question] = []
        self._max_waiting = 0
        self.limit(2048, 30_000)

    @property
    def timeout_ns(self) -> int:
        """For how long a request without a limit of its own may go unanswered."""
        return self._delivery.timeout_ns

    @property
    def last_ns(self) -> int:
        """When it answered last."""
        return self._delivery.last_ns

    def limit(self, max_waiting: int, timeout_ms: int) -> None:
        """How many requests may wait for a slow model, and for how long one may go unanswered."""
        self._max_waiting = max_waiting
        self._delivery.timeout_ns = timeout_ms * 1_000_000
        self.loaded.runtime.answer_s = timeout_ms / 1000

    def share(self, least: int, most: int) -> None:
        """Between how many replicas the load moves it."""
        self._batcher.scaling.share(least, most)

    def log_as(self, policy: LogPolicy) -> None:
        """What of its requests goes to the prediction log from now on."""
        self.loaded.log_policy = policy

    def put(self, question: Question) -> None:
        """Answer `question` at the end of this pass, or later when the model is slow."""
        pending = self._pending
        if len(self._batcher.waiting) + (len(pending) if self.loaded.loop_rows == 0 else 0) >= self._max_waiting:
            self._turn_away(question)
            return
        if not pending:
            self._soon(self._flush)
        pending.append(question)

    def _turn_away(self, question: Question) -> None:
        self.loaded.counts.turned_away += 1
        after = b"Retry-After: %d\r\n" % self._batcher.wait_s()
        self._delivery.refuse(question, 429, "too many requests wait for this model; try again later", after)

    def barrier(self, done: Callable[[], None]) -> None:
        """Call `done` when every question put so far has been answered and handed to the log."""
        self._delivery.barrier(self._open(), done)

    def _open(self) -> set[Question]:
        """What has been put and is not answered."""
        return {*self._pending, *self._batcher.waiting, *self._batcher.running}

    def sweep(self, now_ns: int) -> None:
        """Answer 504 to whoever has waited for too long, also for the batch that computes. About twice a second."""
        self._batcher.sweep(now_ns)

    @property
    def crowded(self) -> bool:
        """Whether half of those wait who may: no time for what nobody waits for."""
        return 2 * len(self._batcher.waiting) > self._max_waiting

    @property
    def idle(self) -> bool:
        """Whether nothing waits here."""
        return not self._pending and self._batcher.idle

    # --- computing on the event loop ---
    def _flush(self) -> None:
        questions, self._pending = self._pending, []
        limit = self.loaded.loop_rows
        if limit == 0:
            self._batcher.waiting += questions
            self._batcher.feed()
            return
        if len(questions) == 1 and not self._batcher.waiting and questions[0].rows <= limit:
            self._compute(questions)
            return
        if not self.loaded.contract.batchable:
            for question in questions:
                self._compute([question])
            return
        group: list[Question] = []
        rows = 0
        for question in questions:
            if question.rows > limit:
                self._batcher.waiting.append(question)
                continue
            if rows + question.rows > limit:
                self._compute(group)
                group, rows = [], 0
            group.append(question)
            rows += question.rows
        if group:
            self._compute(group)
        if self._batcher.waiting:
            self._batcher.feed()

    def _compute(self, group: list[Question]) -> None:
        started = time.perf_counter_ns()
        contract = self.loaded.contract
        payload = group[0].payload if len(group) == 1 else contract.merge([question.payload for question in group])
        try:
            outputs = Outputs(self.loaded.outputs, self.loaded.compute(payload))
        except Exception as error:  # the model is the user's: whatever it raises is answered
            if len(group) > 1 and not isinstance(error, Unavailable):
                # One bad request must not fail its neighbours: halve the group until it is alone.
                middle = len(group) // 2
                self._compute(group[:middle])
                self._compute(group[middle:])
            else:
                self._delivery.fail(group, error)
            return
        self._delivery.deliver(group, payload, outputs, started)

    # --- the end ---
    def retire(self) -> None:
        """Release the runtime once nothing waits for it any more, its shadow's work included; tell `released` when its
        memory is given back. Once is enough."""
        if not self.retired:
            self.retired = self._batcher.scaling.stopped = True
            self.barrier(lambda: self._delivery.shadow.barrier(self._close_soon))

    def _close_soon(self) -> None:
        self._loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        self._batcher.close()
        # The log may know the version for a moment longer; nothing but this holds its runtime.
        runtimes, self.loaded.runtime = [self.loaded.runtime], Gone()

        def give_up() -> None:
            runtimes[0].close()
            with WEIGHING:  # what goes must not lighten what comes
                runtimes.clear()
                give_back()

        def gone(_: object) -> None:
            self.loaded.weight = 0
            self.released(self)

        self._loop.run_in_executor(None, give_up).add_done_callback(gone)


def _always(_: Lane) -> bool:
    return True


def _nobody(_: Lane) -> None:
    """Nobody counts the memory of this lane."""
