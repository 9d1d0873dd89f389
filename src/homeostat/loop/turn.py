"""One look at a model at a time, across threads and processes, and nobody locked out by a process that is gone."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa

from homeostat.core.db import database_now_ms
from homeostat.core.errors import Unavailable
from homeostat.core.liveness import is_alive, this_process
from homeostat.core.workspace import Workspace
from homeostat.loop import store

# A dead owner on this machine is noticed at once; one on another machine after this long. Trainings take their time.
_TERM_MS = 3_600_000

_here: dict[str, threading.Lock] = {}
_guard = threading.Lock()


@contextmanager
def turn(ws: Workspace, model: str) -> Generator[None]:
    """Within the block nobody else looks at `model`. Raises Unavailable while somebody does."""
    with _guard:
        lock = _here.setdefault(f"{ws.url}\n{model}", threading.Lock())
    if not lock.acquire(blocking=False):
        raise _busy(model)
    try:
        owner = this_process()
        _claim(ws, model, owner)
        try:
            yield
        finally:
            _release(ws, model, owner)
    finally:
        lock.release()


def _claim(ws: Workspace, model: str, owner: str) -> None:
    t = store.turn

    def take(c: sa.Connection) -> None:
        now = database_now_ms(c)
        row = c.execute(sa.select(t).where(t.c.model == model).with_for_update()).first()
        mine = {"owner": owner, "until_ms": now + _TERM_MS}
        if row is None:
            c.execute(sa.insert(t).values(model=model, **mine))
        elif row.until_ms > now and is_alive(row.owner):
            raise _busy(model)
        else:
            c.execute(sa.update(t).where(t.c.model == model).values(**mine))

    ws.db.write(take)


def _release(ws: Workspace, model: str, owner: str) -> None:
    t = store.turn
    where = (t.c.model == model, t.c.owner == owner)
    ws.db.write(lambda c: c.execute(sa.update(t).where(*where).values(until_ms=0)))


def _busy(model: str) -> Unavailable:
    return Unavailable(f"'{model[:128]}' is being looked at at this moment", hint="try again when that is done")
