"""When a full review is due: one period after the first prediction's day, then one period after the last review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from homeostat.core.workspace import Workspace
from homeostat.loop import store
from homeostat.loop.config import Config
from homeostat.loop.subject import DAY_MS, Subject
from homeostat.serving import predictions

if TYPE_CHECKING:
    import polars as pl


def is_due(subject: Subject) -> bool:
    """Whether a full review is due at the subject's moment."""
    due = next_review_ms(subject.ws, subject.config, subject.at_ms)
    return due is not None and subject.at_ms >= due


def next_review_ms(ws: Workspace, config: Config, at_ms: int | None = None) -> int | None:
    """When the next full review falls; None while nothing was predicted yet (before `at_ms`)."""
    every = config.review_rule().every_ms
    last = last_full_ms(ws, config.model)
    if last is not None:
        return last + every
    log: pl.DataFrame = predictions(ws, config.model, None, at_ms, [])  # pyright: ignore[reportAssignmentType]
    if log.is_empty():
        return None
    first = int(log["time_ms"].min())  # pyright: ignore[reportArgumentType]
    return first // DAY_MS * DAY_MS + every


def last_full_ms(ws: Workspace, model: str) -> int | None:
    """The moment of the last full review; None before the first."""
    t = store.look
    query = sa.select(sa.func.max(t.c.at_ms)).where(t.c.model == model, t.c.full)
    return ws.db.read(lambda c: c.execute(query).scalar())


def last_look_ms(ws: Workspace, model: str) -> int | None:
    """The moment of the last look; None before the first."""
    t = store.look
    return ws.db.look(lambda c: c.execute(sa.select(sa.func.max(t.c.at_ms)).where(t.c.model == model)).scalar())
