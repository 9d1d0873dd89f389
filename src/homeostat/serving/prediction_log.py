"""The prediction log's near end: the request path hands over columns, a thread writes and syncs.

Lone requests are only handed over, and taken apart `JOIN` at a time: the same steps one after another cost a third of
what each costs between two requests. Every `PACK` requests become the bytes of one frame, where they were answered:
what is still in the processor's caches is turned into columns at a fraction of what it costs later, and the writing
thread hardly ever holds up the event loop.
What was answered more than `SYNC_S` ago is on disk; `flush` asks for what was answered just now. What waits is bounded
by bytes: when the disk is full or too slow, the oldest frames are dropped and counted.
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

from homeostat.core.clock import now_ms
from homeostat.serving.log_columns import Columns, kind_of, wanted
from homeostat.serving.oip import Outputs
from homeostat.serving.question import Question
from homeostat.serving.spool import SpoolWriter, encoded, sealed

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion

log = logging.getLogger("homeostat.serving")
SYNC_S = 0.1
JOIN = 16
# As many requests become a frame of their own, or as many rows; fewer when it is time to sync.
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
_Handed = tuple["LoadedVersion", list[Question], Any, Outputs | None, int, int, int, int]


class PredictionLog:
    """Takes groups from any thread, writes them in order from its own."""

    def __init__(self, folder: Path, plane: str) -> None:
        self._writer = SpoolWriter(folder, plane)
        # What `add` was given, and when. Without the lock; only who holds it takes out.
        self._handed: deque[_Handed] = deque()
        self._loose = 0  # requests in it, about: two threads may count at once
        self._lock = threading.Lock()  # held for whatever else waits
        self._open: dict[Hashable, Columns] = {}
        self._requests = self._rows = 0  # in what is open
        self._packed: list[_Packed | Flushed] = []
        self._packed_bytes = 0
        self._writing: list[_Packed] = []
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
        self._handed.append((loaded, questions, payload, outputs, ended_ns, status, shadow_ns, now_ms()))
        self._loose += len(questions)
        if self._loose >= JOIN:
            with self._lock:
                self._gather()
                if self._requests >= PACK or self._rows >= PACK_ROWS:
                    self._keep(self._pack(self._take()))

    def latest(self, loaded: LoadedVersion) -> Any:
        """The payload of a group that the version answered lately; None where there is none, or none that is small."""
        return self._latest.get(loaded)

    def flush(self, done: Flushed) -> None:
        """Call `done(rows written by this process, error or None)` from the log's thread, once everything added so far
        is on disk."""
        with self._lock:
            self._gather()
            self._keep(self._pack(self._take()))
            self._packed.append(done)
        self._wake.set()

    @property
    def queued(self) -> int:
        """Requests that wait to be written."""
        with self._lock:
            packed = [one.requests for one in (*self._writing, *self._packed) if isinstance(one, _Packed)]
            return sum(packed) + self._requests + sum([len(one[1]) for one in self._handed.copy()])

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
        """Write and sync everything added so far, and tell those who wait for it."""
        with self._lock:
            self._gather()
            opened = self._take()
            waiting, self._packed, self._packed_bytes = self._packed, [], 0
        # Nobody needs to wait for this: whoever flushes meanwhile comes after it.
        frames = [one for one in waiting if isinstance(one, _Packed)] + self._pack(opened)
        flushes = [one for one in waiting if not isinstance(one, _Packed)]
        if not frames and not flushes:
            return None
        self._writing = frames
        failure = self._write(frames)
        with self._lock:
            self._writing = []
            if failure is not None:
                self._packed[:0] = frames  # tried again; readers count repeated rows once
                self._packed_bytes += sum([len(one.body) for one in frames])
                self._bound()
        for done in flushes:
            done(self.rows, failure)
        return failure

    def _write(self, frames: list[_Packed]) -> Exception | None:
        try:
            for one in frames:
                self._writer.write(sealed(one.body))
            self._writer.sync()
        except OSError as error:
            log.error("predictions cannot be written: %s; free some disk space", error)
            return error
        self.rows += sum([one.rows for one in frames])
        return None

    def _gather(self) -> None:
        """Put what was handed over into columns. With the lock held."""
        self._loose = 0
        handed = self._handed
        while handed:
            one = handed.popleft()
            try:
                self._add(one)
            except Exception:  # the others are to be logged, whatever this one holds
                log.exception("predictions could not be logged")
                self.dropped += len(one[1])

    def _add(self, one: _Handed) -> None:
        loaded, questions, payload, outputs, ended_ns, status, shadow_ns, at_ms = one
        kind = kind_of(loaded, payload, outputs, status)
        columns = self._open.get(kind)
        if columns is None:
            columns = self._open[kind] = Columns(loaded, outputs, status)
        self._rows += columns.add(questions, payload, outputs, ended_ns, shadow_ns, at_ms)
        self._requests += len(questions)

    def _take(self) -> list[Columns]:
        """What is open, and from now on is not. With the lock held."""
        opened, self._open = list(self._open.values()), {}
        self._requests = self._rows = 0
        return opened

    def _pack(self, opened: list[Columns]) -> list[_Packed]:
        frames: list[_Packed] = []
        for columns in opened:
            try:
                packed = _Packed(encoded(columns.batch()), len(columns), columns.rows)
                frames.append(packed)
                if columns.answered and len(packed.body) <= MAX_LATEST:
                    self._latest[columns.loaded] = columns.latest
            except Exception:  # the log must outlive whatever one entry holds
                log.exception("predictions could not be logged")
                self.dropped += len(columns)
        return frames

    def _keep(self, frames: list[_Packed]) -> None:
        """Put frames behind those that wait. With the lock held."""
        self._packed += frames
        self._packed_bytes += sum([len(one.body) for one in frames])
        self._bound()

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
