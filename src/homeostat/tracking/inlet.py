"""The short way in for points, for requests on an event loop.

Those that wait at the same time are written by one job of the database's writer: one statement for each run instead
of several for each request. Whoever asked is answered after the commit, like with every other write.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.turns import turns
from homeostat.tracking.codec import Journalled, encode_journal
from homeostat.tracking.folding import FOLD_AT, fold
from homeostat.tracking.metrics import put_points, summarised, tell, told_long_ago

if TYPE_CHECKING:
    from concurrent.futures import Future

    from homeostat.core.workspace import Workspace


class Refusal(NamedTuple):
    """Why points were not taken: `lifecycle` of a run that is not active, None when there is no such run."""

    lifecycle: str | None


class _Waiting(NamedTuple):
    run_id: str
    points: list[Journalled]
    answer: asyncio.Future[Refusal | None]


class Inlet:
    """Takes points for the runs of one workspace, on one event loop."""

    def __init__(self, ws: Workspace, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ws = ws
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    async def log(self, run_id: str, points: list[Journalled]) -> Refusal | None:
        """Add `points` to a run. None once they are on disk, or why they were not taken."""
        answer: asyncio.Future[Refusal | None] = self.loop.create_future()
        with self._lock:
            self._waiting.append(_Waiting(run_id, points, answer))
            first = len(self._waiting) == 1
        if first:
            self._ask()
        return await answer

    def _ask(self) -> None:
        taken: list[_Waiting] = []

        def put(c: sa.Connection) -> tuple[dict[str, Refusal], list[str]]:
            if not taken:  # the writer may call again: then for the same ones
                with self._lock:
                    taken.extend(self._waiting)
                    self._waiting.clear()
            return self._put(c, taken)

        def done(result: Future[tuple[dict[str, Refusal], list[str]]]) -> None:
            self._answer(taken, result)

        turns(self._ws.db).ask(put, done)

    def _put(self, c: sa.Connection, taken: list[_Waiting]) -> tuple[dict[str, Refusal], list[str]]:
        by_run: dict[str, list[Journalled]] = defaultdict(list)
        for waiting in taken:
            by_run[waiting.run_id].extend(waiting.points)
        refused: dict[str, Refusal] = {}
        full: list[str] = []
        # In the order of ids, so that two processes lock rows in the same order.
        for run_id, points in sorted(by_run.items()):
            found = statements.rows(
                c,
                "update tracking_run set pending = pending + ? where id = ? and lifecycle = 'active'"
                " returning seq, pending, told_ms",
                (len(points), run_id),
            )
            if not found:
                there = statements.rows(c, "select lifecycle from tracking_run where id = ?", (run_id,))
                refused[run_id] = Refusal(there[0][0] if there else None)
                continue
            seq, pending, told_ms = found[0]
            put_points(c, seq, encode_journal(points), summarised(points))
            if told_long_ago(told_ms):
                tell(self._ws, c, run_id, seq)
            if pending >= FOLD_AT:
                full.append(run_id)
        return refused, full

    def _answer(self, taken: list[_Waiting], result: Future[tuple[dict[str, Refusal], list[str]]]) -> None:
        failure = result.exception()
        if not taken:  # the writer did not come so far as to call: the database could not be reached, or was locked
            with self._lock:
                taken.extend(self._waiting)
                self._waiting.clear()
        refused, full = ({}, []) if failure is not None else result.result()
        for waiting in taken:
            if waiting.answer.done():  # whoever asked has gone
                continue
            if failure is not None:
                waiting.answer.set_exception(failure)
            else:
                waiting.answer.set_result(refused.get(waiting.run_id))
        for run_id in full:
            self.loop.run_in_executor(None, fold, self._ws, run_id)


_inlets: WeakKeyDictionary[Any, Inlet] = WeakKeyDictionary()


def inlet(ws: Workspace) -> Inlet:
    """The inlet of a workspace on the running event loop."""
    loop = asyncio.get_running_loop()
    found = _inlets.get(ws)
    if found is None or found.loop is not loop:
        found = _inlets[ws] = Inlet(ws, loop)
    return found
