"""Events: immutable facts, written in the same transaction as the change they tell of (an outbox).

Listeners are called at least once, in order, and must be idempotent. `homeostat/events.py` lists every event with its
listeners; nothing else calls "upward".
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor, current_run
from homeostat.core.db import Database, metadata
from homeostat.core.event import Event
from homeostat.core.records import Record, from_json, plain, to_json

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

log = logging.getLogger("homeostat.events")

table = sa.Table(
    "core_event",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("payload", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
cursors = sa.Table(
    "core_listener",
    metadata,
    sa.Column("listener", sa.String(255), primary_key=True),
    sa.Column("last_id", sa.BigInteger, nullable=False),
)


_ADD = "insert into core_event (name, at_ms, actor, run_id, payload)"
# Ids must become visible in their order, or a reader that remembers the last one would skip some: on PostgreSQL an id
# is drawn only once the lock is held.
_INSERT = {
    "sqlite": f"{_ADD} values (?, ?, ?, ?, ?)",
    "postgresql": "with held as materialized (select pg_advisory_xact_lock(4701002)) "  # noqa: S608 - from this file
    f"{_ADD} select ?, ?, ?, ?, ? from held",
}
_NEWEST = "select (select max(id) from core_event), (select last_id from core_listener where listener = ?)"
# So many events that are for others are noted as heard, for processes to come.
_FAR = 1000
_BETWEEN = "select distinct name from core_event where id > ? and id <= ?"
# Where in a transaction it is taken, before that of the audit log.
_LOCK = 1


class _Seen(NamedTuple):
    """How far this process has seen that nothing waits for a listener, and what is noted in the database as heard."""

    last: int
    noted: int


# Of each listener: else all that is for others would be looked at again.
_seen: WeakKeyDictionary[Database, dict[str, _Seen]] = WeakKeyDictionary()


class StoredEvent(Record):
    """An event as it was published. `payload` holds its fields."""

    id: int
    name: str
    at_ms: int
    actor: str
    run_id: str | None
    payload: dict[str, Any]


def publish(ws: Workspace, connection: sa.Connection, event: Event) -> None:
    """Append `event` within the open transaction: it is known if and only if the change is."""
    payload = plain(event)
    name = payload.pop("name")
    row = (name, now_ms(), current_actor(), current_run(), to_json(payload))

    def append(last: sa.Connection) -> None:
        statements.put(last, _INSERT[last.dialect.name], row)

    ws.db.before_commit(append, _LOCK)


def events_after(ws: Workspace, after: int, limit: int = 500, names: list[str] | None = None) -> list[StoredEvent]:
    """Events with an id above `after`, oldest first, at most `limit`."""
    query = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)
    if names:
        query = query.where(table.c.name.in_(names))
    rows = ws.db.read(lambda connection: connection.execute(query).all(), settled=False)
    return [
        StoredEvent(
            id=row.id, name=row.name, at_ms=row.at_ms, actor=row.actor, run_id=row.run_id,
            payload=from_json(row.payload, dict[str, Any]),
        )
        for row in rows
    ]  # fmt: skip


def last_event_id(ws: Workspace) -> int:
    """The id of the newest event, 0 when there is none."""
    return ws.db.look(lambda c: statements.rows(c, "select max(id) from core_event"))[0][0] or 0


def dispatch(ws: Workspace, limit: int = 500) -> int:
    """Hand waiting events to their listeners; the number of calls made.

    One process at a time does this (a lease). A listener that raises is logged and tried again at the next dispatch,
    without holding up the others. Listeners of whom `AWAITED` says that nobody waits for them are not called.
    """
    listeners: dict[str, list[str]] = {}
    for name, entry in importlib.import_module("homeostat.events").EVENTS.items():
        for listener in entry.listeners:
            listeners.setdefault(listener, []).append(name)
    _pass_over(ws, listeners)
    if not listeners:
        return 0
    lease = ws.leases.acquire("core:dispatch", ttl_s=60, owner=ws.instance)
    if lease is None:
        return 0
    try:
        return sum(_serve(ws, listener, names, limit) for listener, names in listeners.items())
    finally:
        ws.leases.release(lease)


def _pass_over(ws: Workspace, listeners: dict[str, list[str]]) -> None:
    """Take from `listeners` those for whom nothing has come: every second something does for others."""
    newest, seen = last_event_id(ws), _seen.setdefault(ws.db, {})
    near = {listener: seen[listener] for listener in listeners if listener in seen}
    near = {listener: known for listener, known in near.items() if newest - known.noted <= _FAR}
    after = min((known.last for known in near.values()), default=newest)
    come = ws.db.look(lambda c: statements.rows(c, _BETWEEN, (after, newest))) if after < newest else []
    for listener, known in near.items():
        if not {name for (name,) in come}.intersection(listeners[listener]):
            seen[listener] = _Seen(max(newest, known.last), known.noted)
            del listeners[listener]


def _serve(ws: Workspace, listener: str, names: list[str], limit: int) -> int:
    seen = _seen.setdefault(ws.db, {})
    # Ids become visible in their order: up to the newest of now, what is not among the waiting never will be.
    newest, heard = ws.db.look(lambda c: statements.rows(c, _NEWEST, (listener,)))[0]
    last = max(heard or 0, seen[listener].last if listener in seen else 0)
    waiting = events_after(ws, last, limit, names) if (newest or 0) > last else []
    if not waiting:
        newest, noted = newest or 0, heard or 0
        if newest - noted > _FAR:
            ws.db.write(lambda c: _advance(c, listener, newest))
            noted = newest
        seen[listener] = _Seen(newest, noted)
        return 0
    call, done = _named(listener), 0
    awaited = importlib.import_module("homeostat.events").AWAITED.get(listener)
    if awaited and not _named(awaited)(ws):  # asked after the events were read: it holds for all of them
        ws.db.write(lambda c: _advance(c, listener, waiting[-1].id))
        return 0
    for event in waiting:
        try:
            call(ws, event)
        except Exception:  # whatever a listener does wrong must not stop the others
            log.exception("listener %s failed on event %s %s; it is tried again", listener, event.id, event.name)
            break
        last, done = event.id, done + 1
    if done:
        ws.db.write(lambda c: _advance(c, listener, last or 0))
    return done


def _named(path: str) -> Callable[..., Any]:
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)


def _advance(connection: sa.Connection, listener: str, last: int) -> None:
    changed = connection.execute(sa.update(cursors).where(cursors.c.listener == listener).values(last_id=last))
    if not changed.rowcount:
        connection.execute(sa.insert(cursors).values(listener=listener, last_id=last))
