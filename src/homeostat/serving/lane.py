"""The queue of one model version: what arrives in one pass of the event loop is computed together.

The first request of a pass schedules the flush for the end of the pass, so a lone request waits for nobody, and under
load batches grow by themselves because sockets fill while the model runs. Models too slow for the event loop run in a
thread of their own, one batch at a time; while it computes, the next batch gathers. Those who were just answered often
ask again at once: the next batch starts when as many wait as were in flight before, or after `GATHER` of the time that
the last batch took. Otherwise the crowd would stay split in two halves, each of which pays the model's fixed cost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from homeostat.core.errors import HomeostatError, Unavailable
from homeostat.serving.autoscale import Autoscaler
from homeostat.serving.loaded import MAX_ROWS, LoadedVersion
from homeostat.serving.oip import Outputs
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.question import Line, Question
from homeostat.serving.runtimes.runtime import Gone
from homeostat.serving.shadow import Shadow
from homeostat.serving.weight import WEIGHING, give_back

log = logging.getLogger("homeostat.serving")
_LATE = "no answer within the request's time limit (the parameter 'timeout', or the deployment's timeout_ms)"
# A batch that ended the worker is tried again in halves, so that one bad request does not fail its neighbours. After
# this many ends without an answer in between it is not a request that is bad.
MAX_CRASHES = 8
MOST_REPLICAS = 256
# When a replica could not be started, for how long none is.
SCALE_AGAIN_S = 10.0
# The share of a batch's time that the next one may wait for company.
GATHER = 0.2


class Lane:
    """Joins, computes, answers and logs the questions of one loaded version. All methods run on the event loop."""

    def __init__(
        self, loaded: LoadedVersion, loop: asyncio.AbstractEventLoop, predictions: PredictionLog, shadow: Shadow
    ) -> None:
        self.loaded = loaded
        self._loop = loop
        self._predictions = predictions
        self._shadow = shadow
        self._pending: list[Question] = []
        self._waiting: list[Question] = []
        self._batches: list[list[Question]] = []  # those that are computed outside of the event loop
        self._barriers: list[tuple[set[Question], Callable[[], None]]] = []
        self._thread: ThreadPoolExecutor | None = None
        self._crashes = 0
        self._expected = 0
        self._held: asyncio.TimerHandle | None = None
        self._scaler = Autoscaler()
        self._scaling = False
        self._scale_after_s = 0.0
        self._most = 0  # in flight at once since the last look
        self._busy_ns = self._looked_ns = 0
        self.may_grow: Callable[[Lane], bool] = _always
        self.timeout_ns = 0
        self._max_waiting = 0
        self.retired = False
        self.released: Callable[[Lane], None] = _nobody
        self.last_ns = time.perf_counter_ns()  # when it answered last
        self.limit(2048, 30_000)

    def limit(self, max_waiting: int, timeout_ms: int) -> None:
        """How many requests may wait for a slow model, and for how long one may go unanswered."""
        self._max_waiting = max_waiting
        self.timeout_ns = timeout_ms * 1_000_000
        self.loaded.runtime.answer_s = timeout_ms / 1000

    def share(self, least: int, most: int) -> None:
        """Between how many replicas the load moves it."""
        self._scaler.least, self._scaler.most = least, most

    @property
    def _running(self) -> list[Question]:
        return [question for batch in self._batches for question in batch]

    def put(self, question: Question) -> None:
        """Answer `question` at the end of this pass, or later when the model is slow."""
        if len(self._waiting) + (len(self._pending) if self.loaded.loop_rows == 0 else 0) >= self._max_waiting:
            self._turn_away(question)
            return
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(question)

    def _turn_away(self, question: Question) -> None:
        self.loaded.counts.turned_away += 1
        after = b"Retry-After: %d\r\n" % self._wait_s()
        self._fail(question, 429, "too many requests wait for this model; try again later", after)

    def barrier(self, done: Callable[[], None]) -> None:
        """Call `done` when every question put so far has been answered and handed to the log."""
        open_questions = self._open()
        if open_questions:
            self._barriers.append((open_questions, done))
        else:
            done()

    def _open(self) -> set[Question]:
        """What has been put and is not answered."""
        return {*self._pending, *self._waiting, *self._running}

    def sweep(self, now_ns: int) -> None:
        """Answer 504 to whoever has waited for too long, also for the batch that computes. About twice a second."""
        late = {question for question in self._waiting if self._is_late(question, now_ns)}
        if late:
            self._waiting = [question for question in self._waiting if question not in late]
            self._expire(list(late))
        for question in self._running:
            self._expire_running(question, now_ns)
        self._look(now_ns)

    def _look(self, now_ns: int) -> None:
        """See whether there should be more replicas or fewer."""
        replicas, self._most = self.loaded.runtime.replicas, max(self._most, len(self._waiting) + len(self._running))
        if self._scaler.most > 1 or replicas > 1:
            self._reckon(now_ns)
            wanted = self._scaler.look(now_ns / 1e9, self._busy_ns / 1e9, self._most, replicas)
            self._most = 0
            if wanted < replicas or (wanted > replicas and self.may_grow(self)):
                self._scale(wanted)

    def _reckon(self, now_ns: int) -> None:
        self._busy_ns += len(self._batches) * (now_ns - self._looked_ns)
        self._looked_ns = now_ns

    def _scale(self, wanted: int) -> None:
        if self._scaling or self.retired or time.monotonic() < self._scale_after_s:
            return
        self._scaling = True
        runtime = self.loaded.runtime
        log.info("model %s version %s: from %s replicas to %s", self.loaded.model, self.loaded.version,
                 runtime.replicas, wanted)  # fmt: skip

        def scaled(done: asyncio.Future[None]) -> None:
            self._scaling = False
            error = done.exception()
            if error is not None and not self.retired:
                log.error("model %s version %s: no further replica: %s", self.loaded.model, self.loaded.version, error)
                self._scale_after_s = time.monotonic() + SCALE_AGAIN_S
            self._feed_thread()

        self._loop.run_in_executor(None, runtime.scale, wanted).add_done_callback(scaled)

    def _expire_running(self, question: Question, now_ns: int) -> None:
        if question.exchange is not None and self._is_late(question, now_ns):
            self.loaded.counts.expired += 1
            self._fail(question, 504, _LATE)

    def _is_late(self, question: Question, now_ns: int) -> bool:
        return now_ns > (question.deadline_ns or question.started_ns + self.timeout_ns)

    def _expire(self, late: list[Question]) -> None:
        self.loaded.counts.expired += len(late)
        for question in late:
            self._fail(question, 504, _LATE)
        if self._barriers:
            self._settle(late)

    def _wait_s(self) -> int:
        """When a place in the queue is likely to be free: half of those who wait are through, at the pace so far."""
        counts = self.loaded.counts
        pace_ns = counts.compute_ns / max(counts.requests, 1)
        return max(1, min(60, round(len(self._waiting) / 2 * pace_ns / 1e9)))

    def retire(self) -> None:
        """Release the runtime once nothing waits for it any more, its shadow's work included; tell `released` when its
        memory is given back. Once is enough."""
        if not self.retired:
            self.retired = True
            self.barrier(lambda: self._shadow.barrier(self._close_soon))

    @property
    def crowded(self) -> bool:
        """Whether half of those wait who may: no time for what nobody waits for."""
        return 2 * len(self._waiting) > self._max_waiting

    @property
    def idle(self) -> bool:
        """Whether nothing waits here."""
        return not (self._pending or self._waiting or self._batches)

    def _close_soon(self) -> None:
        self._loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
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

    def _flush(self) -> None:
        questions, self._pending = self._pending, []
        limit = self.loaded.loop_rows
        if limit == 0:
            self._waiting += questions
            self._feed_thread()
            return
        if not self.loaded.contract.batchable:
            for question in questions:
                self._compute([question])
            return
        group: list[Question] = []
        rows = 0
        for question in questions:
            if question.rows > limit:
                self._waiting.append(question)
                continue
            if rows + question.rows > limit:
                self._compute(group)
                group, rows = [], 0
            group.append(question)
            rows += question.rows
        if group:
            self._compute(group)
        if self._waiting:
            self._feed_thread()

    def _compute(self, group: list[Question]) -> None:
        started = time.perf_counter_ns()
        contract = self.loaded.contract
        payload = contract.merge([question.payload for question in group])
        try:
            outputs = Outputs(self.loaded.outputs, self.loaded.compute(payload))
        except Exception as error:  # the model is the user's: whatever it raises is answered
            self._failed(group, error, self._compute)
            return
        self._deliver(group, payload, outputs, started)

    def _feed_thread(self) -> None:
        if self._held is not None and not self._batches:
            if len(self._waiting) < self._expected:
                return
            self._held.cancel()
            self._held = None
        free = self.loaded.runtime.replicas - len(self._batches)
        if free <= 0 or not self._waiting:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(MOST_REPLICAS, f"model-{self.loaded.model}-{self.loaded.version}")
        now = time.perf_counter_ns()
        late = [question for question in self._waiting if self._is_late(question, now)]
        if late:  # nobody waits for these answers any more: they cost no computing
            gone = set(late)
            self._waiting = [question for question in self._waiting if question not in gone]
            self._expire(late)
        contract = self.loaded.contract
        while free and self._waiting:
            share = -(-len(self._waiting) // free)  # who waits is shared between the replicas that are free
            group: list[Question] = []
            rows = 0
            for question in self._waiting[:share]:
                if group and (
                    rows + question.rows > MAX_ROWS
                    or not contract.batchable
                    or (contract.asks and not contract.joins(group[0].payload, question.payload))
                ):
                    break
                group.append(question)
                rows += question.rows
            del self._waiting[: len(group)]
            self._start_thread(group)
            free -= 1

    def _start_thread(self, group: list[Question]) -> None:
        assert self._thread is not None
        started = time.perf_counter_ns()
        self._most = max(self._most, len(group) + len(self._waiting) + len(self._running))
        self._reckon(started)
        self._batches.append(group)
        payload = self.loaded.contract.merge([question.payload for question in group])
        future = self._thread.submit(self.loaded.compute, payload)

        def finish() -> None:
            self._reckon(time.perf_counter_ns())
            self._batches.remove(group)
            error = future.exception()
            if error is None:
                self._crashes = 0
                self._hold(len(group), time.perf_counter_ns() - started)
                self._deliver(group, payload, Outputs(self.loaded.outputs, future.result()), started)
            else:
                self._failed(group, error, self._start_thread)
            self._feed_thread()

        future.add_done_callback(lambda _: self._loop.call_soon_threadsafe(finish))

    def _hold(self, answered: int, took_ns: int) -> None:
        """Let the next batch wait for those who are answered now."""
        self._expected = answered + len(self._waiting)
        if self._waiting and not self._batches and self.loaded.contract.batchable and self._held is None:
            self._held = self._loop.call_later(GATHER * took_ns / 1e9, self._release)

    def _release(self) -> None:
        self._held = None
        self._feed_thread()

    def _deliver(self, group: list[Question], payload: object, outputs: Outputs, started: int) -> None:
        loaded, counts = self.loaded, self.loaded.counts
        batchable = self.loaded.contract.batchable
        computed = time.perf_counter_ns()
        touched: set[Line] = set()
        at = 0
        for question in group:
            stop = at + question.rows if batchable else None
            exchange = question.exchange
            try:
                if exchange is not None:
                    question.form.put(question, exchange, loaded, outputs, at, stop)
                    touched.add(exchange.connection)
                    question.exchange = None
            except HomeostatError as error:
                self._fail(question, error.status, one_line(error))
            finally:
                at += question.rows
        for connection in touched:
            connection.write_ready()
        ended = time.perf_counter_ns()
        self.last_ns = ended
        counts.batches += 1
        counts.compute_ns += computed - started
        counts.rows += at
        began = [question.started_ns for question in group]
        counts.queue_ns += len(group) * started - sum(began)
        counts.answered(began, ended)
        self._log(group, payload, outputs, ended, 200)
        if any(question.shadows for question in group):
            self._shadow.mirror(self.loaded, group, payload)
        if self._barriers:
            self._settle(group)

    def _log(self, group: list[Question], payload: object, outputs: Outputs | None, ended_ns: int, status: int) -> None:
        self._predictions.add(self.loaded, group, payload, outputs, ended_ns, status)

    def _failed(self, group: list[Question], error: BaseException, again: Callable[[list[Question]], None]) -> None:
        crashed = isinstance(error, Unavailable) and "crashed" in error.facts
        self._crashes += crashed
        if len(group) > 1 and (self._crashes < MAX_CRASHES if crashed else not isinstance(error, Unavailable)):
            # One bad request must not fail its neighbours: halve the group until it is alone.
            middle = len(group) // 2
            if again == self._compute:
                again(group[:middle])
                again(group[middle:])
            else:
                self._waiting[:0] = group[middle:]
                again(group[:middle])
            return
        known = isinstance(error, HomeostatError)
        status = error.status if known else 500
        what = one_line(error) if known else f"{type(error).__name__}: {error}"
        message = f"model '{self.loaded.model}' version {self.loaded.version}: {what}"
        self._give_up(group, status, message, b"Retry-After: 1\r\n" if status == 503 else b"")

    def _give_up(self, group: list[Question], status: int, message: str, extra: bytes) -> None:
        if status >= 500:
            log.error("%s", message)
            self.loaded.counts.failures += len(group)
            payload = self.loaded.contract.merge([question.payload for question in group])
            self._log(group, payload, None, time.perf_counter_ns(), 500)
        for question in group:
            self._fail(question, status, message, extra)
        if self._barriers:
            self._settle(group)

    def _fail(self, question: Question, status: int, message: str, extra: bytes = b"") -> None:
        if question.exchange is not None:
            question.exchange.fail(status, message, extra)
            question.exchange = None

    def _settle(self, group: list[Question]) -> None:
        still: list[tuple[set[Question], Callable[[], None]]] = []
        for open_questions, done in self._barriers:
            open_questions.difference_update(group)
            if open_questions:
                still.append((open_questions, done))
            else:
                done()
        self._barriers = still


def _always(_: Lane) -> bool:
    return True


def _nobody(_: Lane) -> None:
    """Nobody counts the memory of this lane."""


def one_line(error: HomeostatError) -> str:
    """The error and its hint on one line.

    >>> one_line(HomeostatError("no such input", hint="did you mean 'a'?"))
    "no such input (did you mean 'a'?)"
    """
    line = f"{error.message} ({error.hint})" if error.hint else error.message
    if line.isprintable():
        return line
    # A message may hold names as a client sent them, with line ends and worse.
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in line)
