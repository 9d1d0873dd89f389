"""How long things are kept: the policy of a workspace, from its settings, and the events that have grown old."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.events import cursors, table
from homeostat.core.records import Record
from homeostat.core.settings import Settings
from homeostat.core.workspace import Workspace

DAY_MS = 86_400_000
LONGEST_DAYS = 36_500
_AT_ONCE = 1000

Named = set[tuple[str, str]]
# Told of what kind how many went, after each small transaction.
Step = Callable[[str, int], None]


class Keep(Record):
    """For how many days each kind of thing is kept; 0 is for ever.

    `deleted`: what somebody deleted, before it is erased. The others go by their age although nobody deleted them:
    artifacts and points of runs by the run's end, traces, predictions and events by their own time.
    """

    deleted_days: float = 0.0
    artifacts_days: float = 0.0
    points_days: float = 0.0
    traces_days: float = 0.0
    predictions_days: float = 0.0
    events_days: float = 0.0

    @property
    def nothing(self) -> bool:
        """True when all is kept for ever."""
        return self == Keep()


def keep_of(settings: Settings) -> Keep:
    """The policy that the settings declare. Raises InvalidInput for a number of days that cannot be meant.

    >>> keep_of(Settings({"HOMEOSTAT_KEEP_TRACES_DAYS": "30"})).traces_days
    30.0
    """
    return Keep(**{name: check_days(getattr(settings, f"keep_{name}"), name) for name in Keep.__struct_fields__})


def check_days(days: float, what: str) -> float:
    """`days`, if so long may be kept. Raises InvalidInput."""
    if not 0 <= days <= LONGEST_DAYS:
        raise InvalidInput(f"{what}: {days} days", hint=f"0 (for ever) to {LONGEST_DAYS:,}")
    return float(days)


def before(days: float) -> int:
    """The time that lies `days` back."""
    return now_ms() - int(days * DAY_MS)


def expire_events(ws: Workspace, keep: Keep, named: Named, really: bool, step: Step) -> None:
    """Erase events that are older than the policy says, unless a listener has yet to hear of one.

    The newest stays in any case: whoever asks what is new goes on from its number.
    """
    step("events", 0)
    if not keep.events_days:
        return
    due = _due(ws, before(keep.events_days))
    if not really:
        count = sa.select(sa.func.count()).select_from(table).where(due)
        step("events", ws.db.read(lambda c: int(c.execute(count).scalar_one())))
        return
    some = sa.select(table.c.id).where(due).limit(_AT_ONCE)
    while ids := ws.db.read(lambda c: list(c.execute(some).scalars())):
        ws.db.write(lambda c, ids=ids: c.execute(sa.delete(table).where(table.c.id.in_(ids))))
        step("events", len(ids))


def _due(ws: Workspace, before_ms: int) -> sa.ColumnElement[bool]:
    heard = ws.db.read(lambda c: {row.listener: row.last_id for row in c.execute(sa.select(cursors))})
    newest = ws.db.read(lambda c: c.execute(sa.select(sa.func.max(table.c.id))).scalar()) or 0
    waiting = [
        sa.and_(table.c.name == name, table.c.id > min(heard.get(listener, 0) for listener in entry.listeners))
        for name, entry in importlib.import_module("homeostat.events").EVENTS.items()
        if entry.listeners
    ]
    return sa.and_(table.c.at_ms < before_ms, table.c.id < newest, sa.not_(sa.or_(sa.false(), *waiting)))
