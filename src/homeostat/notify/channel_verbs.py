"""The verbs on channels."""

from __future__ import annotations

import difflib
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.paths import check_name
from homeostat.core.records import from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.notify.addresses import check_address, shown
from homeostat.notify.channels.webhook import secret_key
from homeostat.notify.messages import TOLD
from homeostat.notify.model import Channel, Delivery, Fact, Kind, Message
from homeostat.notify.outbox import enqueue, try_now
from homeostat.notify.store import channels, deliveries


@verb(permission="notify:admin")
def add_channel(
    ws: Workspace,
    name: str,
    kind: Kind,
    url: str,
    events: list[str] | None = None,
    models: list[str] | None = None,
    secret: str = "",
) -> Channel:
    """Tell what happens to a channel; one of the same name is replaced.

    `kind`: "slack", "teams", "google_chat" (incoming webhooks), "webhook" (signed JSON), "email".
    `url`: the webhook's address, for e-mail `smtp://user:password@host:587?from=a@b.c&to=d@e.f`, or `${NAME}` for an
    address in the server's environment. `events`: which to tell; all by default (decision_made, variable_changed,
    check_failed). `models`: only of these. `secret`: "whsec_…", signs messages of kind "webhook".

    Raises: InvalidInput for an address that is private (unless HOMEOSTAT_ALLOW_PRIVATE_HOOKS allows it) or of another
    form, an unknown event, or a malformed secret.
    """
    check_name(name, "channel name")
    wanted = list(TOLD) if events is None else events
    for event in wanted:
        if event not in TOLD:
            near = difflib.get_close_matches(event, TOLD, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"these are told: {', '.join(TOLD)}"
            raise InvalidInput(f"'{event[:80]}' is not an event that is told", hint=hint)
    if secret:
        if kind != "webhook":
            raise InvalidInput(f"a {kind} channel signs nothing", hint="leave the secret out")
        secret_key(secret)
    check_address(kind, url, ws.settings.allow_private_hooks)
    values: dict[str, Any] = {
        "name": name, "kind": kind, "url": url, "secret": secret, "events": to_json(wanted),
        "models": to_json(models or []), "created_ms": now_ms(),
    }  # fmt: skip

    def put(connection: sa.Connection) -> Channel:
        connection.execute(sa.delete(channels).where(channels.c.name == name))
        connection.execute(sa.insert(channels).values(**values))
        return _channel(_find(connection, name))

    return ws.db.write(put)


@verb(permission="notify:read")
def list_channels(ws: Workspace) -> list[Channel]:
    """The channels, by name; of their addresses only the host."""
    rows = ws.db.read(lambda c: c.execute(sa.select(channels).order_by(channels.c.name)).all())
    return [_channel(row) for row in rows]


@verb(permission="notify:admin")
def remove_channel(ws: Workspace, name: str) -> int:
    """Tell nothing to a channel any more; the number of waiting messages that go with it. Raises: NotFound."""

    def remove(connection: sa.Connection) -> int:
        _find(connection, name)
        connection.execute(sa.delete(channels).where(channels.c.name == name))
        waiting = (deliveries.c.channel == name, deliveries.c.status == "waiting")
        return connection.execute(sa.delete(deliveries).where(*waiting)).rowcount

    return ws.db.write(remove)


@verb(permission="notify:write")
def send_test(ws: Workspace, name: str) -> Delivery:
    """Send a test message to a channel now; whether it arrived, and what was answered if not. Raises: NotFound."""
    message = Message(
        event="test", title="Homeostat can reach you here", text="This is a test. Nothing has happened.",
        facts=[Fact(name="Channel", value=name)], at_ms=now_ms(),
    )  # fmt: skip

    def put(connection: sa.Connection) -> str:
        _find(connection, name)
        return enqueue(connection, name, message, None)

    return try_now(ws, ws.db.write(put))


def _find(connection: sa.Connection, name: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(channels).where(channels.c.name == name)).first()
    if row is None:
        raise NotFound(f"there is no channel '{name[:80]}'", hint="list_channels names them", channel=name[:80])
    return row


def _channel(row: sa.Row[Any]) -> Channel:
    return Channel(
        name=row.name, kind=row.kind, target=shown(row.url), events=from_json(row.events, list[str]),
        models=from_json(row.models, list[str]), created_ms=row.created_ms,
    )  # fmt: skip
