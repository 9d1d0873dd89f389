"""One text of each run that holds everything words are looked for in.

A look through these texts takes a fraction of one through all parameters and tags. A text is right when the run is not
among the stale ones, which the database itself keeps (`triggers.py`). Of a few stale runs a search makes the texts for
itself; where there are more, they are made anew for everybody: by whoever asks next, or by the server meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from homeostat.core.errors import StorageFull, Unavailable
from homeostat.core.statements import among, change, rows
from homeostat.tracking.query.remembered import remembers_words
from homeostat.tracking.query.sql import parts_of
from homeostat.tracking.query.tree import Condition, Word
from homeostat.tracking.query.words import body_sql

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.core.workspace import Workspace

T = TypeVar("T")

# So many rows may tell of stale runs before texts are made anew.
_FEW = 500
# Of how many whoever asks for words makes them anew, in one transaction and in all. On SQLite, where every value that
# came with a run tells of it, that is soon done, while to look for words in a hundred thousand without takes seconds.
_AT_ONCE = {"sqlite": 10_000, "postgresql": 2000}
_MOST = {"sqlite": 100_000, "postgresql": 10_000}
# Of what nobody waits for, while others wait to write; PostgreSQL looks through all that is told each time.
_BEHIND = {"sqlite": 250, "postgresql": 1000}
LOOK_S = 10
_TURN = "select pg_try_advisory_xact_lock(4701004)"
_SPENT_S = 0.5
# Many rows may tell of one run: all of them are done at once, as its text is made once.
_REFRESH = (
    "with chosen as (select run_seq from tracking_stale order by id limit ?),"  # noqa: S608 - names of this slice
    " told as (delete from tracking_stale where run_seq in (select run_seq from chosen) returning run_seq),"
    f" made as (insert into tracking_text (run_seq, body) select x.seq, {body_sql(True, 'x')} from tracking_run x"
    " where x.seq in (select run_seq from chosen) on conflict (run_seq) do update set body = excluded.body)"
    " select count(*) from told"
)


def read(ws: Workspace, tree: Condition, fn: Callable[[sa.Connection], T]) -> T:
    """`fn(connection)` on a snapshot, with few stale texts where `tree` asks for words, unless these are remembered."""
    asks = any(isinstance(part, Word) for part in parts_of(tree))
    if asks and not remembers_words(ws) and ws.db.read(_many):
        # What cannot be written now, or is being written by another, is looked up as it is.
        dialect = ws.db.reader.dialect.name
        at_once = _AT_ONCE[dialect]
        with suppress(StorageFull, Unavailable):
            for _ in range(_MOST[dialect] // at_once):
                if ws.db.write(lambda c: refresh(c, at_once)) < at_once:
                    break
    return ws.db.read(fn)


def refresh(c: sa.Connection, at_once: int) -> int:
    """Make texts of stale runs anew, within the open transaction; how many of the rows that tell of them are done, at
    least `at_once` where there are so many.

    On PostgreSQL one at a time does it; whoever finds another at it does nothing. There it is one statement, so that
    what is erased tells of nothing but what the texts are made of.
    """
    if c.dialect.name == "postgresql":
        return int(rows(c, _REFRESH, (at_once,))[0][0]) if rows(c, _TURN)[0][0] else 0
    told = rows(c, "select id, run_seq from tracking_stale order by id limit ?", (at_once,))
    if not told:
        return 0
    which, bound = among(c, sorted({seq for _, seq in told}))
    change(
        c,
        f"insert into tracking_text (run_seq, body) select x.seq, {body_sql(False, 'x')} from tracking_run x"  # noqa: S608 - names of this slice; values are bound
        f" where x.seq {which} on conflict (run_seq) do update set body = excluded.body",
        bound,
    )
    done, ids = among(c, [id for id, _ in told])
    change(c, f"delete from tracking_stale where id {done}", ids)  # noqa: S608 - made here; values are bound
    return len(told)


class StaleTexts:
    """The stale texts of a workspace, made anew by its server, so that no search waits for them."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._looked = float("-inf")

    def refresh_due(self, now_s: float) -> int:
        """Where there are many, make some anew: half a second of them every 10 seconds, by a clock that only goes on.

        How many of the rows that tell of them are done.
        """
        if now_s - self._looked < LOOK_S:
            return 0
        self._looked = now_s
        if not self._ws.db.look(_many):
            return 0
        until_s, done = time.monotonic() + _SPENT_S, 0
        at_once = _BEHIND[self._ws.db.reader.dialect.name]
        with self._ws.db.behind():
            while time.monotonic() < until_s:
                some = self._ws.db.write(lambda c: refresh(c, at_once))
                done += some
                if some < at_once:
                    return done
        self._looked = float("-inf")  # there is more: go on at the next tick
        return done


def _many(c: sa.Connection) -> bool:
    return len(rows(c, f"select 1 from tracking_stale limit {_FEW + 1}")) > _FEW  # noqa: S608 - a number
