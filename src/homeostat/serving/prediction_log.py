"""The prediction log's near end: the request path appends a reference, a thread writes and syncs.

What was answered more than `SYNC_S` ago is on disk; `flush` asks for what was answered just now. The queue is bounded
by bytes: when the disk is full or too slow, the oldest entries are dropped and counted.
"""

from __future__ import annotations

import array
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from homeostat.serving.log_policy import Logged
from homeostat.serving.model import ROLES
from homeostat.serving.oip import Outputs
from homeostat.serving.question import Question
from homeostat.serving.spool import Batch, Block, SpoolWriter, frame

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion

log = logging.getLogger("homeostat.serving")
SYNC_S = 0.1
MAX_QUEUED = 500_000
_NO_TIME = (-(1 << 63)).to_bytes(8, "little", signed=True)
_ROLE_CODES = {role: code for code, role in enumerate(ROLES)}


class LogEntry(NamedTuple):
    """A computed group. `role` overrides the questions' own ("shadow"); `took_ns` overrides their latency."""

    loaded: LoadedVersion
    questions: list[Question]
    payload: Any
    outputs: Outputs | None
    ended_ns: int
    logged_ms: int
    status: int
    role: str
    took_ns: int = -1


Flushed = Callable[[int, Exception | None], None]


class PredictionLog:
    """Takes entries from any thread, writes them in order from its own."""

    def __init__(self, folder: Path, plane: str) -> None:
        self._writer = SpoolWriter(folder, plane)
        self._queue: deque[LogEntry | Flushed] = deque()
        self._wake = threading.Event()
        self._stop = False
        self.rows = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="homeostat-predictions", daemon=True)
        self._thread.start()

    def append(self, entry: LogEntry) -> None:
        """Log a group; costs one list operation."""
        self._queue.append(entry)

    def flush(self, done: Flushed) -> None:
        """Call `done(rows written by this process, error or None)` from the log's thread, once everything appended
        so far is on disk."""
        self._queue.append(done)
        self._wake.set()

    @property
    def queued(self) -> int:
        """Requests that wait to be written."""
        return _requests([entry for entry in list(self._queue) if isinstance(entry, LogEntry)])

    def close(self) -> None:
        """Write and sync what is queued, finish the file."""
        self._stop = True
        self._wake.set()
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            self._wake.wait(SYNC_S)
            self._wake.clear()
            stopping = self._stop
            failure = self._drain()
            while stopping and self._queue and failure is None:
                failure = self._drain()
            try:
                if stopping:
                    self._writer.rotate()
                else:
                    self._writer.rotate_if_old()
            except OSError as error:
                log.error("the prediction log cannot be finished: %s", error)
            if stopping:
                return
            if failure is not None:
                time.sleep(SYNC_S)

    def _drain(self) -> Exception | None:
        entries: list[LogEntry] = []
        flushes: list[Flushed] = []
        while self._queue and len(entries) < 20_000:
            item = self._queue.popleft()
            if isinstance(item, LogEntry):
                entries.append(item)
            else:
                flushes.append(item)
        if self._queue:
            self._wake.set()
        failure = self._write(entries) if entries or flushes else None
        for done in flushes:
            done(self.rows, failure)
        return failure

    def _write(self, entries: list[LogEntry]) -> Exception | None:
        groups: dict[Any, list[LogEntry]] = {}
        rows = 0
        try:
            for whole in entries:
                entry = _thinned(whole)
                if entry is None:
                    continue
                groups.setdefault((entry.loaded, entry.status, _shapes(entry)), []).append(entry)
            for (loaded, status, _), group in groups.items():
                batch, count = _batch(loaded, status, group)
                self._writer.write(frame(batch))
                rows += count
            self._writer.sync()
        except OSError as error:
            log.error("predictions cannot be written: %s; free some disk space", error)
            if self.queued <= MAX_QUEUED:
                self._queue.extendleft(reversed(entries))  # tried again; readers count repeated rows once
                return error
            self.dropped += _requests(entries)
            return error
        except Exception as error:  # the log must outlive whatever one entry holds
            log.exception("predictions could not be logged")
            self.dropped += _requests(entries)
            return error
        self.rows += rows
        return None


def _thinned(entry: LogEntry) -> LogEntry | None:
    """The part of a computed group that the deployment wants logged; None when nothing of it is."""
    policy, contract, outputs = entry.loaded.log_policy, entry.loaded.contract, entry.outputs
    if policy.share >= 1.0:
        return entry
    kept = [policy.takes(question.id) for question in entry.questions]
    if all(kept):
        return entry
    if not any(kept):
        return None
    # More than one question was joined: the contract is one whose payloads are rows.
    rows = np.repeat(np.array(kept), [question.rows for question in entry.questions])
    if outputs is not None:
        outputs = Outputs(outputs.specs, [array[rows] for array in outputs.arrays])
    questions = [question for question, take in zip(entry.questions, kept, strict=True) if take]
    return entry._replace(questions=questions, payload=contract.choose(entry.payload, rows), outputs=outputs)


def _requests(entries: list[LogEntry]) -> int:
    return sum(len(entry.questions) for entry in entries)


def _batch(loaded: LoadedVersion, status: int, entries: list[LogEntry]) -> tuple[Batch, int]:
    """The frame for entries of one version, and its number of rows."""
    ids: list[str] = []
    counts, roles, latencies = array.array("I"), array.array("B"), array.array("I")
    logged = array.array("q")
    keys: list[Any] = []
    times: list[bytes] = []
    any_key = any_time = False
    for entry in entries:
        for question in entry.questions:
            ids.append(question.id)
            counts.append(question.rows)
            roles.append(_ROLE_CODES[entry.role or question.role])
            took = entry.took_ns if entry.took_ns >= 0 else entry.ended_ns - question.started_ns
            latencies.append(min(took // 1000, 0xFFFFFFFF))
            logged.append(entry.logged_ms)
            if question.key is not None:
                any_key = True
                keys += question.key
            else:
                keys += [None] * question.rows
            if question.times is not None:
                any_time = True
                times.append(question.times)
            else:
                times.append(_NO_TIME * question.rows)
    policy = loaded.log_policy
    inputs = _join([policy.shown(loaded.contract.logged(entry.payload)) for entry in entries])
    outputs: list[Block] = []
    first = entries[0].outputs
    if first is not None:
        skip = 1 if loaded.contract.batchable else 0
        outputs = [
            Block([spec.name], spec.datatype, list(first.arrays[at].shape[skip:]),
                  b"".join([entry.outputs.bytes_of(at) for entry in entries if entry.outputs is not None]))
            for at, spec in enumerate(first.specs)
        ]  # fmt: skip
    return Batch(
        loaded.model, loaded.version, status, ids, counts.tobytes(), roles.tobytes(), latencies.tobytes(),
        logged.tobytes(), keys if any_key else None, b"".join(times) if any_time else None, inputs, outputs,
    ), sum(counts)  # fmt: skip


def _shapes(entry: LogEntry) -> tuple[Any, ...]:
    """What must be equal for entries to share a frame: the shapes of a row's inputs and outputs."""
    contract = entry.loaded.contract
    given: tuple[Any, ...] = getattr(entry.payload, "absent", ())
    if not contract.batchable:
        given += tuple(tuple(tail) for _, _, tail, _ in contract.logged(entry.payload))
    skip = 1 if contract.batchable else 0
    return given, None if entry.outputs is None else tuple(array.shape[skip:] for array in entry.outputs.arrays)


def _join(logged: list[Logged]) -> list[Block]:
    return [
        Block(names, datatype, tail, b"".join([entry[at][3] for entry in logged]))
        for at, (names, datatype, tail, _) in enumerate(logged[0])
    ]
