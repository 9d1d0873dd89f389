"""Runs that nobody finishes: a journal that was left alone is folded by the server."""

from __future__ import annotations

import time

import sqlalchemy as sa

from homeostat.core.statements import rows
from homeostat.core.workspace import Workspace
from homeostat.tracking.folding import fold_seq

LOOK_S = 10
IDLE_S = 30
_LEASE, _LEASE_S = "tracking.fold", 60
_SPENT_S = 0.5  # in one look: the server's other duties wait

# Run by run along the index, however many rows each has.
_JOURNALS = """
    with recursive left_over (seq) as (
      select min(run_seq) from tracking_journal
      union all
      select (select min(j.run_seq) from tracking_journal j where j.run_seq > left_over.seq)
      from left_over where left_over.seq is not null
    )
    select seq, (select max(j.id) from tracking_journal j where j.run_seq = left_over.seq)
    from left_over where seq is not null
    """


class IdleRuns:
    """The runs of a workspace that have points in the journal, and since when nothing was added to them."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._since: dict[int, tuple[int, float]] = {}
        self._looked = float("-inf")

    def fold_due(self, now_s: float) -> int:
        """Fold the runs without a new point for 30 seconds, by a clock that only goes on; the points moved.

        Looks every 10 seconds, and works at most half a second of them. Of several servers on one database one does
        it at a time.
        """
        if now_s - self._looked < LOOK_S:
            return 0
        self._looked = now_s
        newest: dict[int, int] = dict(self._ws.db.look(_journals))
        self._since = {
            seq: known if (known := self._since.get(seq)) is not None and known[0] == last else (last, now_s)
            for seq, last in newest.items()
        }
        due = [seq for seq, (_, since) in self._since.items() if now_s - since >= IDLE_S]
        if not due or (lease := self._ws.leases.acquire(_LEASE, _LEASE_S, self._ws.instance)) is None:
            return 0
        try:
            return self._fold(due, time.monotonic() + _SPENT_S)
        finally:
            self._ws.leases.release(lease)

    def _fold(self, due: list[int], until_s: float) -> int:
        moved = 0
        with self._ws.db.behind():
            for seq in due:
                moved += fold_seq(self._ws, seq)
                if time.monotonic() >= until_s:
                    self._looked = float("-inf")  # there is more: go on at the next tick
                    break
        return moved


def _journals(c: sa.Connection) -> list[tuple[int, int]]:
    return rows(c, _JOURNALS)
