"""Quality week by week: as served, and as the first model would have had it. Kept once a week's truth has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from homeostat.core.records import from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.loop import store
from homeostat.loop.applied import applied
from homeostat.loop.model import QualityPoint
from homeostat.loop.subject import DAY_MS, Subject
from homeostat.serving import predictions

if TYPE_CHECKING:
    import polars as pl

WEEK_MS = 7 * DAY_MS


@verb(permission="loop:read")
def quality_history(ws: Workspace, model: str) -> list[QualityPoint]:
    """AUC of each week whose truth has come, oldest first: as served with its 90 % band, and of the first version.

    `at_ms` is the end of the week; weeks count from the day of the first prediction. Raises NotFound for a model that
    is not declared.
    """
    applied(ws, model)
    t = store.quality
    rows = ws.db.read(
        lambda c: c.execute(sa.select(t.c.record).where(t.c.model == model).order_by(t.c.from_ms)).scalars().all()
    )
    return [from_json(text, QualityPoint) for text in rows]


def keep_quality(subject: Subject) -> None:
    """Measure the weeks that have ripened since the last one kept. One without a prediction has no quality."""
    s = subject
    start = _next_week(s)
    if start is None or start + WEEK_MS > s.matured_ms:
        return
    log: pl.DataFrame = predictions(s.ws, s.model, start, s.matured_ms, [])  # pyright: ignore[reportAssignmentType]
    # From the log and not by counting: one odd time, years before all others, would else be weeks of nothing.
    for week in sorted(set(((log["time_ms"] - start) // WEEK_MS).to_list())):
        first = start + week * WEEK_MS
        if first + WEEK_MS <= s.matured_ms:
            row = {"model": s.model, "from_ms": first, "record": to_json(_week(s, first))}
            s.ws.db.write(lambda c, row=row: c.execute(sa.insert(store.quality).values(row)))


def _next_week(s: Subject) -> int | None:
    t = store.quality
    last = s.ws.db.read(lambda c: c.execute(sa.select(sa.func.max(t.c.from_ms)).where(t.c.model == s.model)).scalar())
    if last is not None:
        return int(last) + WEEK_MS
    log: pl.DataFrame = predictions(s.ws, s.model, None, s.at_ms, [])  # pyright: ignore[reportAssignmentType]
    return int(log["time_ms"].min()) // DAY_MS * DAY_MS if log.height else None  # pyright: ignore[reportArgumentType]


def _week(s: Subject, start: int) -> QualityPoint:
    from homeostat.monitoring import joined, measured, z

    found = joined(s.ws, s.model, start, start + WEEK_MS, s.at_ms, s.config.within_ms)
    rows = found.labelled()
    live = measured(rows, "auc", z(0.90))
    first = measured(rows.with_columns(score=s.scores(s.first_version, rows)), "auc", z(0.90))
    return QualityPoint(
        at_ms=start + WEEK_MS, n=rows.height, mature=found.mature, frozen=first.value if first.known else None,
        live=live.value if live.known else None, live_lo=live.lo if live.known else None,
        live_hi=live.hi if live.known else None,
    )  # fmt: skip
