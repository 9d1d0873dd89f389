"""The prediction log's near end: the request path hands over columns, a thread writes and syncs.

Requests are only handed over where they are answered. Every `PACK` of them become the bytes of one frame at once, also
there: the same steps one after another cost a third of what each costs between two requests, and the writing thread
hardly ever holds up the event loop.
What was answered more than `WRITE_S` ago is written and outlives the process, however that ends; what was answered
more than `SYNC_S` before it is on disk and outlives the machine; `flush` asks for what was answered just now.
What waits is bounded by bytes: when the disk is full or too slow, the oldest frames are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from homeostat.serving.contract import TensorSpec
from homeostat.serving.log_columns import Group, batch_of, is_plain, kind_of, wanted
from homeostat.serving.oip import Outputs
from homeostat.serving.question import Question
from homeostat.serving.spool import SpoolWriter, encoded, sealed

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion

log = logging.getLogger("homeostat.serving")
WRITE_S = 0.1
SYNC_S = 1.0
# As many requests become a frame of their own, or as many rows; fewer when it is time to write.
PACK, PACK_ROWS = 256, 1024
MAX_WAITING = 256 << 20
# Bytes of a group that is kept to warm up other versions with.
MAX_LATEST = 1 << 20


class _Packed(NamedTuple):
    """A frame without its head."""

    body: bytes
    requests: int
    rows: int


Flushed = Callable[[int, Exception | None], None]


class PredictionLog:
    """Takes groups from any thread, writes them in order from its own."""

    def __init__(self, folder: Path, plane: str) -> None:
        self._writer = SpoolWriter(folder, plane)
        # What `add` was given. Without the lock; only who holds it takes out.
        self._handed: deque[Group] = deque()
        self._requests = self._rows = 0  # in it, about: two threads may count at once
        self._lock = threading.Lock()  # held for whatever else waits
        self._packed: list[_Packed | Flushed] = []
        self._packed_bytes = 0
        self._writing: list[_Packed] = []
        self._unsynced: list[_Packed] = []  # written, and perhaps not on disk yet
        self._synced_s = time.monotonic()
        self._wake = threading.Event()
        self._stop = False
        self._latest: WeakKeyDictionary[LoadedVersion, Any] = WeakKeyDictionary()
        self.rows = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="homeostat-predictions", daemon=True)
        self._thread.start()

    def add(
        self, loaded: LoadedVersion, questions: list[Question], payload: Any, outputs: Outputs | None, ended_ns: int,
        status: int, shadow_ns: int = -1,
    ) -> None:  # fmt: skip
        """Log a computed group, `outputs` being None when the model failed. `shadow_ns` is what a shadow took for its
        answer: it, and not the questions' own, is their role and latency then."""
        if loaded.log_policy.share < 1.0:
            questions, payload, outputs = wanted(loaded, questions, payload, outputs)
            if not questions:
                return
        if outputs is None:
            self._handed.append((loaded, questions, payload, [], [], ended_ns, status, shadow_ns))
        else:
            self._handed.append(
                (loaded, questions, payload, outputs.specs, outputs.arrays, ended_ns, status, shadow_ns)
            )
        self._requests += len(questions)
        self._rows += questions[0].rows if len(questions) == 1 else sum([one.rows for one in questions])
        if self._requests >= PACK or self._rows >= PACK_ROWS:
            with self._lock:
                self._pack()

    def latest(self, loaded: LoadedVersion) -> Any:
        """The payload of a group that the version answered lately; None where there is none, or none that is small."""
        return self._latest.get(loaded)

    def flush(self, done: Flushed) -> None:
        """Call `done(rows written by this process, error or None)` from the log's thread, once everything added so far
        is on disk."""
        with self._lock:
            self._pack()
            self._packed.append(done)
        self._wake.set()

    @property
    def queued(self) -> int:
        """Requests that wait to be written."""
        with self._lock:
            packed = [one.requests for one in (*self._writing, *self._packed) if isinstance(one, _Packed)]
            return sum(packed) + sum([len(one[1]) for one in self._handed.copy()])

    def close(self) -> None:
        """Write and sync what is queued, finish the file."""
        self._stop = True
        self._wake.set()
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            self._wake.wait(WRITE_S)
            self._wake.clear()
            stopping = self._stop
            failure = self._drain(stopping)
            try:
                if stopping:
                    self._writer.rotate()
                elif not self._unsynced:
                    self._writer.rotate_if_old()
            except OSError as error:
                log.error("the prediction log cannot be finished: %s", error)
            if stopping:
                return
            if failure is not None:
                time.sleep(WRITE_S)

    def _drain(self, stopping: bool) -> Exception | None:
        """Write everything added so far, sync it if it is time, and tell those who wait for that."""
        with self._lock:
            self._pack()
            waiting, self._packed, self._packed_bytes = self._packed, [], 0
        frames = [one for one in waiting if isinstance(one, _Packed)]
        flushes = [one for one in waiting if not isinstance(one, _Packed)]
        if not frames and not flushes and not self._unsynced:
            return None
        self._writing = frames
        again, failure = self._write(frames, stopping or bool(flushes))
        with self._lock:
            self._writing = []
            self._packed[:0] = again
            self._packed_bytes += sum([len(one.body) for one in again])
            self._bound()
        for done in flushes:
            done(self.rows, failure)
        return failure

    def _write(self, frames: list[_Packed], sync: bool) -> tuple[list[_Packed], Exception | None]:
        """Write frames, and sync what is written, now or when the last time is `SYNC_S` ago. What is to be tried again,
        and why: all that is not known to be on disk. Readers count repeated rows once."""
        unsynced = self._unsynced
        try:
            for one in frames:
                self._writer.write(sealed(one.body))
            self._unsynced = unsynced + frames
            if sync or time.monotonic() - self._synced_s >= SYNC_S:
                self._writer.sync()
                self._unsynced, self._synced_s = [], time.monotonic()
        except OSError as error:
            log.error("predictions cannot be written: %s; free some disk space", error)
            self._unsynced = []
            self.rows -= sum([one.rows for one in unsynced])
            return unsynced + frames, error
        self.rows += sum([one.rows for one in frames])
        return [], None

    def _pack(self) -> None:
        """Put what was handed over behind what waits, as frames. With the lock held."""
        self._requests = self._rows = 0
        handed = self._handed
        alike: dict[Hashable, list[Group]] = {}
        specs: list[TensorSpec] | None = None  # of the last group, if that was a plain one
        same: list[Group] = []
        while handed:
            one = handed.popleft()
            if one[3] is specs and one[7] < 0:  # as most are: the same version once more
                same.append(one)
                continue
            try:
                same = alike.setdefault(kind_of(one), [])
            except Exception:
                self._lose(one)
                continue
            same.append(one)
            specs = one[3] if is_plain(one) else None
        wall_ns = time.time_ns() - time.perf_counter_ns()
        for groups in alike.values():
            try:
                self._keep(groups, wall_ns)
            except Exception:  # the others are to be logged, whatever one of them holds
                for one in groups:
                    try:
                        self._keep([one], wall_ns)
                    except Exception:
                        self._lose(one)
        self._bound()

    def _keep(self, groups: list[Group], wall_ns: int) -> None:
        batch = batch_of(groups, wall_ns)
        body = encoded(batch)
        self._packed.append(_Packed(body, len(batch.ids), int(np.frombuffer(batch.counts, "<u4").sum())))
        self._packed_bytes += len(body)
        loaded, _, payload, _, _, _, status, _ = groups[-1]
        if status == 200 and len(body) <= MAX_LATEST:
            self._latest[loaded] = payload

    def _lose(self, one: Group) -> None:
        log.exception("predictions could not be logged")
        self.dropped += len(one[1])

    def _bound(self) -> None:
        """Drop the oldest frames when more wait than may. With the lock held."""
        if self._packed_bytes <= MAX_WAITING:
            return
        kept: list[_Packed | Flushed] = []
        for one in self._packed:
            if isinstance(one, _Packed) and self._packed_bytes > MAX_WAITING:
                self._packed_bytes -= len(one.body)
                self.dropped += one.requests
            else:
                kept.append(one)
        self._packed = kept
