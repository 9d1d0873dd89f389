"""The outbox: messages waiting for delivery, brought at least once and in order within a channel.

A message that does not arrive is tried again after 1 s, 2 s, 4 s … at most an hour apart, or later if the receiver
asked for that: fifteen times within some three hours. Then it is dead, which is an event, and may be
replayed. One process at a time delivers, and a channel that is down holds up only itself.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms as clock_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.events import StoredEvent, publish
from homeostat.core.faults import fault
from homeostat.core.ids import new_id
from homeostat.core.records import from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.notify.messages import message_of
from homeostat.notify.model import Delivery, Message, NotificationFailed, Status
from homeostat.notify.sending import Outcome, attempt
from homeostat.notify.store import channels, deliveries

ATTEMPTS = 15
_FIRST_WAIT_MS = 1000
_LONGEST_WAIT_MS = 3_600_000
_MAX_LIMIT = 1000


def on_event(ws: Workspace, event: StoredEvent) -> None:
    """Listener: put the event's message into the outbox of every channel that wants it. Twice is once."""
    message = message_of(event, ws.settings.public_url)
    if message is None:
        return

    def add(connection: sa.Connection) -> None:
        model = event.payload.get("model")
        for row in connection.execute(sa.select(channels).order_by(channels.c.name)).all():
            if event.name not in from_json(row.events, list[str]):
                continue
            wanted = from_json(row.models, list[str])
            if not wanted or model is None or model in wanted:
                enqueue(connection, row.name, message, event.id)

    ws.db.write(add)


def enqueue(connection: sa.Connection, channel: str, message: Message, event_id: int | None) -> str:
    """Put a message into a channel's outbox, unless this event's is there; the delivery's id."""
    if event_id is not None:
        where = (deliveries.c.channel == channel, deliveries.c.event_id == event_id)
        known = connection.execute(sa.select(deliveries.c.id).where(*where)).scalar_one_or_none()
        if known is not None:
            return known
    created, identifier = clock_ms(), new_id()
    connection.execute(
        sa.insert(deliveries).values(
            id=identifier, channel=channel, event_id=event_id, event=message.event, message=to_json(message),
            status="waiting", attempts=0, due_ms=created, error="", created_ms=created,
        )
    )  # fmt: skip
    return identifier


@verb(permission="notify:write")
def deliver_due(ws: Workspace, now_ms: int | None = None, limit: int = 100) -> int:
    """Try the messages whose time has come, at most `limit`; how many arrived.

    Nothing while another process is doing the same. `now_ms` stands for the present in deciding what is due.
    """
    until = clock_ms() if now_ms is None else now_ms
    due = sa.select(deliveries.c.id).where(deliveries.c.status == "waiting", deliveries.c.due_ms <= until).limit(1)
    if not ws.db.look(lambda c: c.execute(due).first()):  # asked every second: costs no write
        return 0
    lease = ws.leases.acquire("notify:deliver", ttl_s=60, owner=ws.instance)
    if lease is None:
        return 0
    arrived = tried = 0
    try:
        for channel in ws.db.read(lambda c: c.execute(sa.select(channels).order_by(channels.c.name)).all()):
            while tried < limit and (row := _next(ws, channel.name)) is not None:
                at = clock_ms() if now_ms is None else now_ms
                if row.due_ms > at or not ws.leases.renew(lease):
                    break
                tried += 1
                outcome = _try(ws, channel, row, at)
                arrived += not outcome.error
                if outcome.again:
                    break  # the later ones wait, so that they arrive in order
    finally:
        ws.leases.release(lease)
    return arrived


@verb(permission="notify:read")
def list_deliveries(
    ws: Workspace, channel: str | None = None, status: Status | None = None, limit: int = 100, before: str | None = None
) -> list[Delivery]:
    """Messages on their way, arrived and given up, newest first, at most `limit` (1 to 1,000)."""
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it lies between 1 and {_MAX_LIMIT}")
    query = sa.select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
    for column, value in ((deliveries.c.channel, channel), (deliveries.c.status, status)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [_delivery(row) for row in ws.db.read(lambda c: c.execute(query).all())]


@verb(permission="notify:write")
def replay_delivery(ws: Workspace, id: str) -> Delivery:
    """Put a message that was given up, or arrived, back into the outbox with fresh attempts. Raises: NotFound."""
    again = {"status": "waiting", "attempts": 0, "due_ms": clock_ms(), "error": "", "sent_ms": None}

    def change(connection: sa.Connection) -> Delivery:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == id).values(**again))
        return find_delivery(connection, id)

    return ws.db.write(change)


def find_delivery(connection: sa.Connection, id: str) -> Delivery:
    """A delivery by id. Raises: NotFound."""
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == id)).first()
    if row is None:
        raise NotFound(f"there is no delivery {id[:40]!r}", hint="list_deliveries shows the ids")
    return _delivery(row)


def try_now(ws: Workspace, id: str) -> Delivery:
    """Try one delivery at once, whatever waits before it; what became of it."""
    row = ws.db.read(lambda c: c.execute(sa.select(deliveries).where(deliveries.c.id == id)).one())
    channel = ws.db.read(lambda c: c.execute(sa.select(channels).where(channels.c.name == row.channel)).one())
    _try(ws, channel, row, clock_ms())
    return ws.db.read(lambda c: find_delivery(c, id))


def _next(ws: Workspace, channel: str) -> sa.Row[Any] | None:
    where = (deliveries.c.status == "waiting", deliveries.c.channel == channel)
    query = sa.select(deliveries).where(*where).order_by(deliveries.c.id).limit(1)
    return ws.db.read(lambda c: c.execute(query).first())


def _try(ws: Workspace, channel: sa.Row[Any], row: sa.Row[Any], at_ms: int) -> Outcome:
    message = from_json(row.message, Message)
    outcome = attempt(channel, row.id, message, clock_ms(), ws.settings.allow_private_hooks)
    fault("notify.sent")
    attempts = row.attempts + 1
    given_up = bool(outcome.error) and (not outcome.again or attempts >= ATTEMPTS)
    if not outcome.error:
        change: dict[str, Any] = {"status": "sent", "sent_ms": clock_ms(), "error": ""}
    else:
        wait = min(_FIRST_WAIT_MS * 2**row.attempts, _LONGEST_WAIT_MS)
        if outcome.wait_s is not None:
            wait = max(min(outcome.wait_s * 1000, _LONGEST_WAIT_MS), wait)
        change = {"status": "dead" if given_up else "waiting", "due_ms": at_ms + wait, "error": outcome.error}

    def keep(connection: sa.Connection) -> None:
        where = deliveries.c.id == row.id
        connection.execute(sa.update(deliveries).where(where).values(attempts=attempts, **change))
        if given_up:
            publish(
                ws,
                connection,
                NotificationFailed(channel=channel.name, delivery=row.id, title=message.title, error=outcome.error),
            )

    ws.db.write(keep)
    return outcome if not given_up else Outcome(error=outcome.error)


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(
        id=row.id, channel=row.channel, event=row.event, title=from_json(row.message, Message).title,
        status=row.status, attempts=row.attempts, due_ms=row.due_ms, error=row.error, created_ms=row.created_ms,
        sent_ms=row.sent_ms,
    )  # fmt: skip
