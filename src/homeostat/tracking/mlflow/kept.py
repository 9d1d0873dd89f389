"""Runs as the protocol has them, kept in memory while they hold.

To make a run's JSON takes many times what it takes to find the run. So what was made is kept, as bytes, until the
database tells that the run changed (`tracking/changes.py`), whoever changed it. What is kept is what one snapshot saw;
a search on an older one that comes late makes anew what changed between the two, and keeps none of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from homeostat.tracking.changes import Mark, changed_ahead
from homeostat.tracking.mlflow import shapes

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.core.workspace import Workspace

# What is kept of a workspace at most; and after how many changes it is not known any more which runs they were.
MOST_BYTES = 64 << 20
_REMEMBERED = 64
# Of one document beside its text: the object and its place in the table.
_AROUND = 150

_Changed = set[int] | None  # None: any run may have changed
Documents = Callable[[Sequence[int]], list[bytes]]


class KeptRuns:
    """Documents of runs by their number, all as the snapshot of `_mark` sees them. Any thread may ask."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.bytes = 0
        self._most = most_bytes
        self._lock = threading.Lock()
        self._documents: dict[int, bytes] = {}
        self._mark: Mark | None = None
        # How often runs were found changed, and which they were the last times.
        self._times = 0
        self._last: deque[_Changed] = deque(maxlen=_REMEMBERED)

    def ahead(self, c: sa.Connection) -> Documents:
        """What gives the JSON of each of some runs as the snapshot at hand sees it; not from inside a write.

        What changed is asked along with what is asked next, such as which runs these are.
        """
        with self._lock:
            times, since = self._times, self._mark
        told = changed_ahead(c, since)
        return lambda seqs: self._documents_of(c, seqs, times, since, told())

    def _documents_of(
        self, c: sa.Connection, seqs: Sequence[int], times: int, since: Mark | None, told: tuple[Mark, _Changed]
    ) -> list[bytes]:
        here, changed = told
        with self._lock:
            # Older than what was kept already when it asked, it has no use for that.
            times = self._arrive(here, changed, times) if since is None or here.sees(since) else -1
            late = self._changed_after(times)
            held = {} if late is None else {seq: self._documents.get(seq) for seq in seqs if seq not in late}
        missing = [seq for seq in seqs if held.get(seq) is None]
        if missing:
            made = shapes.encoded(c, missing)
            self._keep(made, times)
            held |= made
        return [held[seq] or b"" for seq in seqs]

    def _arrive(self, here: Mark, changed: _Changed, times: int) -> int:
        """Go on to the snapshot `here`, unless another went further; after how many changes what is kept is of it."""
        if self._mark is not None and not here.sees(self._mark):
            return times
        self._mark = here
        if changed is None:
            self._documents.clear()
            self.bytes = 0
        else:
            for seq in changed:
                self._drop(seq)
        if changed is None or changed:
            self._times += 1
            self._last.append(changed)
        return self._times

    def _changed_after(self, times: int) -> _Changed:
        """The runs that changed since there were so many changes."""
        count = self._times - times
        if times < 0 or count > len(self._last):
            return None
        found = set[int]()
        for number in range(len(self._last) - count, len(self._last)):
            some = self._last[number]
            if some is None:
                return None
            found |= some
        return found

    def _keep(self, made: dict[int, bytes], times: int) -> None:
        with self._lock:
            late = self._changed_after(times)
            if late is None:
                return
            for seq, document in made.items():
                if seq not in late and seq not in self._documents:
                    self._documents[seq] = document
                    self.bytes += len(document) + _AROUND
            while self.bytes > self._most:  # the oldest go first
                self._drop(next(iter(self._documents)))

    def _drop(self, seq: int) -> None:
        if (gone := self._documents.pop(seq, None)) is not None:
            self.bytes -= len(gone) + _AROUND


_kept: WeakKeyDictionary[Any, KeptRuns] = WeakKeyDictionary()
_kept_lock = threading.Lock()


def documents_ahead(ws: Workspace, c: sa.Connection) -> Documents:
    """What gives the JSON of each of some runs, on a connection that `Database.read` gave, which is asked more before.

    What has to be asked for that goes along with what is asked next.
    """
    if ws.db.writing:  # what is seen may be taken back

        def anew(seqs: Sequence[int]) -> list[bytes]:
            made = shapes.encoded(c, seqs)
            return [made[seq] for seq in seqs]

        return anew
    with _kept_lock:
        kept = _kept.get(ws)
        if kept is None:
            kept = _kept[ws] = KeptRuns()
    return kept.ahead(c)
