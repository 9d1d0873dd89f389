"""Mirrored requests: computed after the answer went out, in a thread of their own, and only logged.

Nothing waits for a shadow. Its queue is bounded; what does not fit is dropped and counted. A graph computes nothing
itself: mirrored requests go through its members' lanes, on the event loop, and so many at once as its lane takes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from homeostat.serving.by_name import by_name
from homeostat.serving.contract import Accepted, Contract, MatrixContract
from homeostat.serving.oip import Outputs
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.question import Question

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion

log = logging.getLogger("homeostat.serving")
MAX_QUEUED = 20_000
# Bytes of the requests that wait, which are kept as they came: images are few, and large.
MAX_WAITING = 256 << 20


class Mirrors(Protocol):
    """A graph's lane."""

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        ...

    def barrier(self, done: Callable[[], None]) -> None:
        """Call `done` when what is on its way is in the log."""
        ...

    def mirror(self, questions: list[Question], alike: bool, there: Contract) -> None:
        """Answer them for the log alone. `alike`: the payloads, which are of the contract `there`, are as this version
        has them."""
        ...


class Shadow:
    """The thread that computes shadows."""

    def __init__(self, predictions: PredictionLog) -> None:
        self._predictions = predictions
        self._queue: deque[tuple[LoadedVersion, list[Question], Any, Contract] | Callable[[], None]] = deque()
        # Each counted by one thread alone: their difference is what waits.
        self._put = self._put_bytes = 0
        self._taken = self._taken_bytes = 0
        self._wake = threading.Event()
        self._stop = False
        self._thread: threading.Thread | None = None
        self.dropped = 0
        self.graphs: dict[LoadedVersion, Mirrors] = {}  # the lanes of graphs that may be shadows

    def mirror(self, answered_by: LoadedVersion, group: list[Question], payload: Any) -> None:
        """Queue a group of answered questions for their shadows. Called on the event loop; returns at once."""
        wanted: dict[LoadedVersion, list[Question]] = {}
        for question in group:
            for shadow in question.shadows or ():
                wanted.setdefault(shadow, []).append(question)
        there = answered_by.contract
        for shadow, questions in wanted.items():
            here = shadow.contract
            alike = type(here) is type(there) and here.inputs == there.inputs and not here.asks
            graph = self.graphs.get(shadow)
            if graph is not None:
                graph.mirror(questions, alike, there)
                continue
            size = _size(questions)
            many, large = self._put - self._taken + len(questions), self._put_bytes - self._taken_bytes + size
            if many > MAX_QUEUED or (large > MAX_WAITING and large > size):  # one alone may be as large as it likes
                self.dropped += len(questions)
                continue
            whole = payload if alike and here.batchable and len(questions) == len(group) else None
            self._put += len(questions)
            self._put_bytes += size
            self._queue.append((shadow, questions, whole, there))
        if not self._queue:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="homeostat-shadow", daemon=True)
            self._thread.start()
        self._wake.set()

    def barrier(self, done: Callable[[], None]) -> None:
        """Call `done` (from any thread) when everything queued so far is in the log. Called on the event loop."""
        flying = [graph for graph in self.graphs.values() if not graph.idle]
        missing = len(flying) + 1

        def landed() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                self._barrier(done)

        for graph in flying:
            graph.barrier(landed)
        landed()

    def _barrier(self, done: Callable[[], None]) -> None:
        if self._thread is None or self._stop:
            done()
        else:
            self._queue.append(done)
            self._wake.set()

    def close(self) -> None:
        """Finish what is queued."""
        self._stop = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                item = self._queue.popleft()
                if not isinstance(item, tuple):
                    item()
                    continue
                shadow, questions, whole, there = item
                self._taken += len(questions)
                self._taken_bytes += _size(questions)
                self._compute(shadow, questions, whole, there)
            if self._stop:
                return

    def _compute(self, shadow: LoadedVersion, questions: list[Question], whole: Any, there: Contract) -> None:
        started = time.perf_counter_ns()
        # The shadow may take other inputs than the version that answered: the request is read again for it.
        groups = [questions] if whole is not None else [[question] for question in questions]
        for group in groups:
            try:
                payload = whole if whole is not None else read_again(shadow, group[0], there).payload
            except Exception as error:  # it does not fit the shadow's signature: there are no rows to log
                _failed(shadow, group, error)
                continue
            try:
                outputs, status = Outputs(shadow.outputs, shadow.compute(payload)), 200
            except Exception as error:  # may be broken: that is what it is tried out for
                _failed(shadow, group, error)
                outputs, status = None, 500
            ended = time.perf_counter_ns()
            shadow.counts.shadow += len(group)
            shadow.counts.compute_ns += ended - started
            self._predictions.add(shadow, group, payload, outputs, ended, status, ended - started)
            started = ended


def _size(questions: list[Question]) -> int:
    return sum([0 if question.mirror is None else len(question.mirror[1]) for question in questions])


def _failed(shadow: LoadedVersion, group: list[Question], error: Exception) -> None:
    shadow.counts.failures += len(group)
    log.warning("shadow %s version %s failed: %s", shadow.model, shadow.version, error)


def read_again(shadow: LoadedVersion, question: Question, there: Contract) -> Accepted:
    """An answered request as its shadow takes it, which may know other inputs than the contract `there` that it was
    sent for; InvalidInput when it misses one."""
    assert question.mirror is not None
    request, body, at = question.mirror
    wires, here = request.inputs, shadow.contract
    same = isinstance(here, MatrixContract) and isinstance(there, MatrixContract) and here.inputs == there.inputs
    if isinstance(there, MatrixContract) and not same:
        wires, body, at = by_name(wires, body, at, there, here.inputs)
    accepted = here.accept(wires, body, at, frozenset(wire.name for wire in wires))
    if here.asks:
        here.bind(accepted.payload, request.params, request.parameters)
    return accepted
