"""Erasing predictions that have grown old."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.retention import Keep, Named, Step, before
from homeostat.core.workspace import Workspace
from homeostat.serving import store

_AT_ONCE = 1000
_PIECE = store.segment
_REWARDS = store.feedback, store.truth


def expire(ws: Workspace, keep: Keep, named: Named, really: bool, step: Step) -> None:
    """Erase logged predictions and feedback that are older than the policy says.

    Predictions go by whole pieces of the log, each when its newest row is old enough.
    """
    for kind in ("predictions", "feedback"):
        step(kind, 0)
    if not keep.predictions_days:
        return
    limit = before(keep.predictions_days)
    if not really:
        step("predictions", sum(rows for _, rows in _pieces(ws, limit)))
        for table in _REWARDS:
            count = sa.select(sa.func.count()).select_from(table).where(table.c.at_ms < limit)
            step("feedback", ws.db.read(lambda c, count=count: int(c.execute(count).scalar_one())))
        return
    # A fold writes one piece in place of several: not while these go.
    lease = ws.leases.acquire("serving:fold", ttl_s=300, owner=ws.instance)
    if lease is None:
        return  # the next time
    try:
        pieces = _pieces(ws, limit)
        for start in range(0, len(pieces), _AT_ONCE):
            some = dict(pieces[start : start + _AT_ONCE])
            ws.db.write(lambda c, ids=list(some): c.execute(sa.delete(_PIECE).where(_PIECE.c.id.in_(ids))))
            step("predictions", sum(some.values()))
    finally:
        ws.leases.release(lease)
    for table in _REWARDS:
        while gone := ws.db.write(lambda c, table=table: _erase_rewards(c, table, limit)):
            step("feedback", gone)


def _pieces(ws: Workspace, before_ms: int) -> list[tuple[int, int]]:
    """The number of each piece of the log that is old as a whole, and its rows."""
    query = sa.select(_PIECE.c.id, _PIECE.c.rows).where(_PIECE.c.to_ms < before_ms)
    return ws.db.read(lambda c: [(id, rows) for id, rows in c.execute(query).all()])


def _erase_rewards(c: sa.Connection, table: sa.Table, before_ms: int) -> int:
    due = sa.select(table.c.model, table.c.request_id).where(table.c.at_ms < before_ms)
    some = c.execute(due.limit(_AT_ONCE)).all()
    for model, request in some:
        c.execute(sa.delete(table).where(table.c.model == model, table.c.request_id == request))
    return len(some)
