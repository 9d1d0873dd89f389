"""What a lane has computed goes to those who asked: answers, refusals, counts, the prediction log, shadows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from homeostat.core.errors import HomeostatError
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.oip import Outputs
from homeostat.serving.one_line import one_line
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.question import Line, Question
from homeostat.serving.request_ids import id_line
from homeostat.serving.shadow import Shadow

log = logging.getLogger("homeostat.serving")
_LATE = "no answer within the request's time limit (the parameter 'timeout', or the deployment's timeout_ms)"


class Delivery:
    """Ends the questions of one loaded version. All methods run on the event loop.

    `shadow`: what computes mirrored requests; `timeout_ns`: for how long a question without a limit of its own may go
    unanswered; `last_ns`: when one was answered last.
    """

    def __init__(self, loaded: LoadedVersion, predictions: PredictionLog, shadow: Shadow) -> None:
        self.loaded = loaded
        self.shadow = shadow
        self.timeout_ns = 0
        self.last_ns = time.perf_counter_ns()
        self._predictions = predictions
        self._barriers: list[tuple[set[Question], Callable[[], None]]] = []

    def deliver(self, group: list[Question], payload: object, outputs: Outputs, started: int) -> None:
        """Answer a group with what was computed for it from `started` (ns) on, and log it."""
        loaded, counts = self.loaded, self.loaded.counts
        batchable = loaded.contract.batchable
        computed = time.perf_counter_ns()
        touched: list[Line] = []
        mirrored = False
        at = 0
        for question in group:
            exchange = question.exchange
            rows = question.rows
            try:
                if exchange is not None:
                    question.form.put(question, exchange, loaded, outputs, at, at + rows if batchable else None)
                    touched.append(exchange.connection)
                    question.exchange = None
            except HomeostatError as error:
                self.refuse(question, error.status, one_line(error))
            at += rows
            if question.shadows:
                mirrored = True
        for connection in touched if len(touched) == 1 else set(touched):
            connection.write_ready()
        self.last_ns = ended = time.perf_counter_ns()
        counts.batches += 1
        counts.compute_ns += computed - started
        counts.rows += at
        # They waited for as long as they took, but for the time since their turn came.
        began = [group[0].started_ns] if len(group) == 1 else [question.started_ns for question in group]
        counts.queue_ns += counts.answered(began, ended) - len(group) * (ended - started)
        self.log(group, payload, outputs, ended, 200)
        if mirrored:
            self.shadow.mirror(loaded, group, payload)
        if self._barriers:
            self.settle(group)

    def log(self, group: list[Question], payload: object, outputs: Outputs | None, ended_ns: int, status: int) -> None:
        """Hand a group to the prediction log; `outputs` is None where there are none."""
        self._predictions.add(self.loaded, group, payload, outputs, ended_ns, status)

    def fail(self, group: list[Question], error: BaseException) -> None:
        """The version could not compute `group`: answer with what `error` says."""
        known = isinstance(error, HomeostatError)
        status = error.status if known else 500
        what = one_line(error) if known else f"{type(error).__name__}: {error}"
        message = f"model '{self.loaded.model}' version {self.loaded.version}: {what}"
        self.give_up(group, status, message, b"Retry-After: 1\r\n" if status == 503 else b"")

    def give_up(self, group: list[Question], status: int, message: str, extra: bytes) -> None:
        """Answer all of `group` with an error; one of the server's is logged and counted."""
        if status >= 500:
            log.error("%s", message)
            self.loaded.counts.failures += len(group)
            payload = self.loaded.contract.merge([question.payload for question in group])
            self.log(group, payload, None, time.perf_counter_ns(), 500)
        for question in group:
            self.refuse(question, status, message, extra)
        if self._barriers:
            self.settle(group)

    def refuse(self, question: Question, status: int, message: str, extra: bytes = b"") -> None:
        """Answer one question with an error, if nobody has answered it yet."""
        if question.exchange is not None:
            question.exchange.fail(status, message, extra + id_line(question.id))
            question.exchange = None

    # --- time limits ---
    def is_late(self, question: Question, now_ns: int) -> bool:
        """Whether nobody waits for the answer any more."""
        return now_ns > (question.deadline_ns or question.started_ns + self.timeout_ns)

    def expire(self, late: list[Question]) -> None:
        """Answer 504 to questions that will not be computed."""
        self.loaded.counts.expired += len(late)
        for question in late:
            self.refuse(question, 504, _LATE)
        if self._barriers:
            self.settle(late)

    def expire_running(self, question: Question, now_ns: int) -> None:
        """Answer 504 to a question that is late; it stays open, for it is still computed and logged."""
        if question.exchange is not None and self.is_late(question, now_ns):
            self.loaded.counts.expired += 1
            self.refuse(question, 504, _LATE)

    # --- barriers ---
    def barrier(self, open_questions: set[Question], done: Callable[[], None]) -> None:
        """Call `done` when the last of `open_questions` is settled; at once when there is none."""
        if open_questions:
            self._barriers.append((open_questions, done))
        else:
            done()

    def settle(self, group: Iterable[Question]) -> None:
        """The questions are answered and handed to the log."""
        still: list[tuple[set[Question], Callable[[], None]]] = []
        for open_questions, done in self._barriers:
            open_questions.difference_update(group)
            if open_questions:
                still.append((open_questions, done))
            else:
                done()
        self._barriers = still
