"""Hooks that another slice keeps: it says where they lead and what they are told; the outbox brings it there.

Such a hook is a channel of kind "mlflow": delivered, tried again, given up and replayed like every other message.
"""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.outgoing import check_url
from homeostat.core.workspace import Workspace
from homeostat.notify.model import Delivery, Message
from homeostat.notify.outbox import enqueue, try_now
from homeostat.notify.store import channels, deliveries


def check_hook(ws: Workspace, url: str) -> None:
    """Refuse an address that must not be called. Raises: InvalidInput, or Unavailable for a host that is not found."""
    check_url(url, ws.settings.allow_private_hooks)


def put_hook(connection: sa.Connection, name: str, url: str, secret: str | None) -> None:
    """Make a hook within the open transaction, or change its address, and its secret unless that is None."""
    same = channels.c.name == name
    known = connection.execute(sa.select(channels.c.secret).where(same)).scalar_one_or_none()
    if known is not None:
        kept = known if secret is None else secret
        connection.execute(sa.update(channels).where(same).values(url=url, secret=kept))
        return
    connection.execute(
        sa.insert(channels).values(
            name=name, kind="mlflow", url=url, secret=secret or "", events="[]", models="[]", created_ms=now_ms()
        )
    )


def drop_hook(connection: sa.Connection, name: str) -> None:
    """Forget a hook and what waits for it."""
    connection.execute(sa.delete(channels).where(channels.c.name == name))
    connection.execute(sa.delete(deliveries).where(deliveries.c.channel == name, deliveries.c.status == "waiting"))


def tell_hook(connection: sa.Connection, name: str, what: str, body: str, event_id: int | None) -> str | None:
    """Put `body` into a hook's outbox, once for each event; the delivery's id, None where there is no such hook."""
    if connection.execute(sa.select(channels.c.name).where(channels.c.name == name)).first() is None:
        return None
    return enqueue(connection, name, Message(event="hook", title=what, text=body, at_ms=now_ms()), event_id)


def try_hook(ws: Workspace, name: str, what: str, body: str) -> Delivery | None:
    """Bring `body` to a hook now; what became of it. A failed try is not repeated."""
    identifier = ws.db.write(lambda c: tell_hook(c, name, what, body, None))
    if identifier is None:
        return None
    done = try_now(ws, identifier)
    if done.status == "waiting":
        ws.db.write(lambda c: c.execute(sa.delete(deliveries).where(deliveries.c.id == identifier)))
    return done
