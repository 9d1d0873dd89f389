"""The short way in for points, for requests on an event loop.

Those that wait at the same time are written by one job of the database's writer: one statement for each run instead
of several for each request. Few points of a run are appended only, and settled within a second (`settling.py`).
Whoever asked is answered after the commit, like with every other write.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.turns import turns
from homeostat.tracking.codec import Journalled, encode_journal
from homeostat.tracking.folding import FOLD_AT, fold_seq
from homeostat.tracking.metrics import put_points, summarised, tell, told_long_ago
from homeostat.tracking.settling import APPEND, append, settle

if TYPE_CHECKING:
    from concurrent.futures import Future

    from homeostat.core.workspace import Workspace

log = logging.getLogger("homeostat.tracking")

# As many points of a run at once are put in their place right away: what that costs is shared by many.
_MANY = 100
_SETTLE_S = 1.0


class Refusal(NamedTuple):
    """Why points were not taken: `lifecycle` of a run that is not active, None when there is no such run."""

    lifecycle: str | None


class _Waiting(NamedTuple):
    run_id: str
    points: list[Journalled]
    answer: asyncio.Future[Refusal | None]


class _Put(NamedTuple):
    refused: dict[str, Refusal]
    appended: bool
    full: list[int]  # the runs that are to be folded


class Inlet:
    """Takes points for the runs of one workspace, on one event loop."""

    def __init__(self, ws: Workspace, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ws = ws
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        self._settles = False  # whether it will, soon
        # Where there is one, few points go by it: those that wait for it, and whether it is asked.
        self._line = ws.db.line(APPEND, loop)
        self._few: list[_Waiting] = []
        self._asked = False

    async def log(self, run_id: str, points: list[Journalled]) -> Refusal | None:
        """Add `points` to a run. None once they are on disk, or why they were not taken."""
        waiting = _Waiting(run_id, points, self.loop.create_future())
        if self._line is not None and self._line.open and len(points) < _MANY:
            self._few.append(waiting)
            if len(self._few) == 1:
                # Not at once: what has arrived together is written together.
                self.loop.call_soon(self._ask_line)
        else:
            with self._lock:
                self._waiting.append(waiting)
                first = len(self._waiting) == 1
            if first:
                self._ask_writer([])
        return await waiting.answer

    def _ask_line(self) -> None:
        line = self._line
        if line is None or self._asked or not self._few:  # what comes while it is busy is written together afterwards
            return
        taken, self._few = self._few, []
        by_run = _by_run(taken)
        self._asked = True
        rows = [(encode_journal(points), run_id) for run_id, points in by_run.items()]
        line.ask(rows, partial(self._told, taken, list(by_run)))

    def _told(self, taken: list[_Waiting], run_ids: list[str], changed: list[int] | None) -> None:
        self._asked = False
        there = {run_id for run_id, rows in zip(run_ids, changed or (), strict=changed is not None) if rows}
        again: list[_Waiting] = []
        for waiting in taken:
            if waiting.run_id not in there:
                again.append(waiting)
            elif not waiting.answer.done():
                waiting.answer.set_result(None)
        if there:
            self._settle_soon()
        if again:  # the writer says why they are not taken, or takes them where the line could not
            self._ask_writer(again)
        self._ask_line()

    def _ask_writer(self, taken: list[_Waiting]) -> None:
        """Have the writer put those `taken`, or whatever waits by then."""

        def put(c: sa.Connection) -> _Put:
            if not taken:  # the writer may call again: then for the same ones
                with self._lock:
                    taken.extend(self._waiting)
                    self._waiting.clear()
            return self._put(c, taken)

        def done(result: Future[_Put]) -> None:
            self._answer(taken, result)

        turns(self._ws.db).ask(put, done)

    def _put(self, c: sa.Connection, taken: list[_Waiting]) -> _Put:
        by_run = _by_run(taken)
        # In the order of ids, so that two processes lock rows in the same order.
        ordered = sorted(by_run.items())
        few = [(run_id, points) for run_id, points in ordered if len(points) < _MANY]
        there = append(c, few) if few else set[str]()
        full: list[int] = []
        for run_id, points in ordered:
            if len(points) >= _MANY and (found := self._put_many(c, run_id, points)) is not None:
                there.add(run_id)
                full += found
        refused: dict[str, Refusal] = {}
        for run_id in by_run.keys() - there:
            found = statements.rows(c, "select lifecycle from tracking_run where id = ?", (run_id,))
            refused[run_id] = Refusal(found[0][0] if found else None)
        return _Put(refused, bool(few), full)

    def _put_many(self, c: sa.Connection, run_id: str, points: list[Journalled]) -> list[int] | None:
        """Whether the run is to be folded, as its number; None where there is no such run, or it is not active."""
        found = statements.rows(
            c,
            "update tracking_run set pending = pending + ? where id = ? and lifecycle = 'active'"
            " returning seq, pending, told_ms",
            (len(points), run_id),
        )
        if not found:
            return None
        seq, pending, told_ms = found[0]
        put_points(c, seq, encode_journal(points), summarised(points))
        if told_long_ago(told_ms):
            tell(self._ws, c, run_id, seq)
        return [seq] if pending >= FOLD_AT else []

    def _answer(self, taken: list[_Waiting], result: Future[_Put]) -> None:
        failure = result.exception()
        if not taken:  # the writer did not come so far as to call: the database could not be reached, or was locked
            with self._lock:
                taken.extend(self._waiting)
                self._waiting.clear()
        put = result.result() if failure is None else _Put({}, False, [])
        for waiting in taken:
            if waiting.answer.done():  # whoever asked has gone
                continue
            if failure is not None:
                waiting.answer.set_exception(failure)
            else:
                waiting.answer.set_result(put.refused.get(waiting.run_id))
        if put.appended:
            self._settle_soon()
        self._fold(put.full)

    def _settle_soon(self) -> None:
        if not self._settles:
            self._settles = True
            self.loop.call_later(_SETTLE_S, self._settle)

    def _settle(self) -> None:
        self._settles = False
        turns(self._ws.db).ask(lambda c: settle(self._ws, c), self._settled)

    def _settled(self, result: Future[list[int]]) -> None:
        # What fails now is settled by whoever reads next, or with the next points.
        if (failure := result.exception()) is not None:
            log.error("points wait in the inbox: %s", failure)
        else:
            self._fold(result.result())

    def _fold(self, full: list[int]) -> None:
        for seq in full:
            self.loop.run_in_executor(None, fold_seq, self._ws, seq)


def _by_run(taken: list[_Waiting]) -> dict[str, list[Journalled]]:
    by_run: dict[str, list[Journalled]] = defaultdict(list)
    for waiting in taken:
        by_run[waiting.run_id].extend(waiting.points)
    return by_run


_inlets: WeakKeyDictionary[Any, Inlet] = WeakKeyDictionary()


def inlet(ws: Workspace) -> Inlet:
    """The inlet of a workspace on the running event loop."""
    loop = asyncio.get_running_loop()
    found = _inlets.get(ws)
    if found is None or found.loop is not loop:
        found = _inlets[ws] = Inlet(ws, loop)
    return found
