"""Reading every essential variable at a moment, keeping the readings, and telling when a state changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.events import publish
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.loop import store
from homeostat.loop.hold import Variable
from homeostat.loop.model import Point, VariableChanged, VariableStatus
from homeostat.loop.subject import Subject

if TYPE_CHECKING:
    from homeostat.loop.readings import Readings


def watch(subject: Subject) -> list[VariableStatus]:
    """The variables of the configuration as they stand at the subject's moment, in the order written.

    Read once for a moment and kept; `variable_changed` is published with the reading that shows the change.
    """
    from homeostat.loop.readings import Readings

    s = subject
    readings = Readings(s)
    return [_kept(s, variable, readings) for variable in s.config.variables]


def last_readings(
    ws: Workspace, model: str, variables: list[Variable], history: int = 60, at_ms: int | None = None
) -> list[VariableStatus]:
    """The newest reading (up to `at_ms`) of each variable with the points before it; never read is unknown."""
    from homeostat.loop.readings import status, unknown

    found: list[VariableStatus] = []
    for v in variables:
        rows = _rows(ws, model, v.text, history, at_ms)
        if not rows:
            found.append(status(v, unknown(0), "unknown", "not looked at yet"))
            continue
        points = [_point(at_ms, mature, reading) for at_ms, mature, reading in reversed(rows)]
        found.append(replace(rows[0][2], history=points))
    return found


def _kept(s: Subject, variable: Variable, readings: Readings) -> VariableStatus:
    t = store.reading
    where = (t.c.model == s.model, t.c.variable == variable.text)
    before = s.ws.db.read(
        lambda c: c.execute(
            sa.select(t.c.at_ms, t.c.record).where(*where, t.c.at_ms <= s.at_ms).order_by(t.c.at_ms.desc()).limit(1)
        ).first()
    )
    if before is not None and before.at_ms == s.at_ms:
        return from_json(before.record, VariableStatus)
    found, mature = readings.read(variable)
    was = from_json(before.record, VariableStatus).state if before is not None else "unknown"

    def keep(c: sa.Connection) -> None:
        c.execute(
            sa.insert(t).values(
                model=s.model, variable=variable.text, at_ms=s.at_ms, mature=mature, record=to_json(found)
            )
        )
        if found.state != was:
            changed = VariableChanged(
                model=s.model, variable=variable.text, was=was, state=found.state, at_ms=s.at_ms, value=found.value,
                limit=found.limit,
            )  # fmt: skip
            publish(s.ws, c, changed)

    s.ws.db.write(keep)
    return from_json(to_json(found), VariableStatus)


def _rows(
    ws: Workspace, model: str, variable: str, limit: int, at_ms: int | None
) -> list[tuple[int, float, VariableStatus]]:
    t = store.reading
    query = sa.select(t).where(t.c.model == model, t.c.variable == variable).order_by(t.c.at_ms.desc()).limit(limit)
    if at_ms is not None:
        query = query.where(t.c.at_ms <= at_ms)
    rows = ws.db.read(lambda c: c.execute(query).all())
    return [(row.at_ms, row.mature, from_json(row.record, VariableStatus)) for row in rows]


def _point(at_ms: int, mature: float, reading: VariableStatus) -> Point:
    return Point(at_ms=at_ms, value=reading.value, lo=reading.lo, hi=reading.hi, n=reading.n, mature=mature)
