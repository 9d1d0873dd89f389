"""`webhooks/*`: hooks on models and prompts."""

from __future__ import annotations

import re
import uuid
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.foreign import Args, ForeignError, invalid, present, rpc
from homeostat.core.foreign_search import offset_of, token_of
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.notify import check_hook, drop_hook, put_hook, try_hook
from homeostat.registry import store
from homeostat.registry.webhooks import body_of, channel_of

_BASE = "2.0/mlflow/webhooks"
_NAME = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9._-]*[a-z0-9])?\Z", re.IGNORECASE)
_LONGEST_URL, _LONGEST_DESCRIPTION, _LONGEST_SECRET = 500, 1000, 1000
_CREATED, _CHANGED, _TAGGED = ("CREATED",), ("CREATED", "DELETED"), ("DELETED", "SET")
_ACTIONS = {
    "REGISTERED_MODEL": _CREATED, "MODEL_VERSION": _CREATED, "MODEL_VERSION_TAG": _TAGGED,
    "MODEL_VERSION_ALIAS": _CHANGED, "PROMPT": _CREATED, "PROMPT_VERSION": _CREATED, "PROMPT_TAG": _TAGGED,
    "PROMPT_VERSION_TAG": _TAGGED, "PROMPT_ALIAS": _CHANGED, "BUDGET_POLICY": ("EXCEEDED",),
}  # fmt: skip
_STATUSES = ("ACTIVE", "DISABLED")


@rpc("POST", _BASE, permission="registry:admin")
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Make a hook. Its address must be https and public, now and whenever it is called."""
    name, url = _name(args.text("name", required=True)), _url(ws, args.text("url", required=True))
    events, secret = _events(args), args.text("secret", longest=_LONGEST_SECRET)
    description = args.text("description", longest=_LONGEST_DESCRIPTION)
    identifier, now = str(uuid.uuid4()), now_ms()
    row: dict[str, Any] = {
        "id": identifier, "name": name, "description": description, "url": url, "events": to_json(events),
        "active": _active(args), "created_ms": now, "updated_ms": now,
    }  # fmt: skip

    def put(c: sa.Connection) -> Any:
        c.execute(sa.insert(store.webhook).values(**row))
        put_hook(c, channel_of(identifier), url, secret)
        return _find(c, identifier)

    return {"webhook": _shown(ws.db.write(put))}


@rpc("GET", _BASE, permission="registry:admin")
def listed(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of hooks, newest first."""
    most = args.integer("max_results") or 100
    if not 1 <= most <= 1000:
        raise invalid("max_results must be between 1 and 1000.")
    offset = offset_of(args.text("page_token"))
    query = sa.select(store.webhook).order_by(store.webhook.c.created_ms.desc(), store.webhook.c.id)
    rows = ws.db.read(lambda c: c.execute(query.limit(most + 1).offset(offset)).all())
    token = token_of(offset + most) if len(rows) > most else ""
    return present({"webhooks": [_shown(row) for row in rows[:most]], "next_page_token": token})


@rpc("GET", _BASE + "/{webhook_id}", permission="registry:admin")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A hook, without its secret."""
    return {"webhook": _shown(ws.db.read(lambda c: _find(c, args.text("webhook_id"))))}


@rpc("PATCH", _BASE + "/{webhook_id}", permission="registry:admin")
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Change what is given of a hook. Without a secret it keeps the one it has."""
    identifier, change = args.text("webhook_id"), dict[str, Any]()
    if args.text("name"):
        change["name"] = _name(args.text("name"))
    if args.text("url"):
        change["url"] = _url(ws, args.text("url"))
    if args.has("description"):
        change["description"] = args.text("description", longest=_LONGEST_DESCRIPTION)
    if args.items("events"):
        change["events"] = to_json(_events(args))
    if args.has("status"):
        change["active"] = _active(args)
    secret = args.text("secret", longest=_LONGEST_SECRET) if args.has("secret") else None

    def put(c: sa.Connection) -> Any:
        _find(c, identifier)
        c.execute(
            sa.update(store.webhook).where(store.webhook.c.id == identifier).values(**change, updated_ms=now_ms())
        )
        row = _find(c, identifier)
        put_hook(c, channel_of(identifier), row.url, secret)
        return row

    return {"webhook": _shown(ws.db.write(put))}


@rpc("DELETE", _BASE + "/{webhook_id}", permission="registry:admin")
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Forget a hook and what waits for it."""
    identifier = args.text("webhook_id")

    def remove(c: sa.Connection) -> None:
        _find(c, identifier)
        c.execute(sa.delete(store.webhook).where(store.webhook.c.id == identifier))
        drop_hook(c, channel_of(identifier))

    ws.db.write(remove)
    return {}


@rpc("POST", _BASE + "/{webhook_id}/test", permission="registry:admin")
def test(ws: Workspace, args: Args) -> dict[str, Any]:
    """Send an example now. Only whether it arrived is told: the answer's body stays where it is."""
    row = ws.db.read(lambda c: _find(c, args.text("webhook_id")))
    asked = args.object("event")
    name = _event(asked) if asked is not None else from_json(row.events, list[str])[0]
    done = try_hook(ws, channel_of(row.id), name, body_of(name, _example(name), now_ms()))
    if done is None or done.error:
        why = done.error if done else "the hook's channel was removed"
        if status := re.fullmatch(r"answered (\d{3})", why):
            return {"result": {"success": False, "response_status": int(status[1])}}
        return {"result": {"success": False, "error_message": f"Failed to test webhook: {why}"}}
    return {"result": {"success": True, "response_status": 200}}


def _find(c: sa.Connection, identifier: str) -> Any:
    row = c.execute(sa.select(store.webhook).where(store.webhook.c.id == identifier)).first()
    if row is None:
        raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"Webhook with ID {identifier[:100]} not found.", 404)
    return row


def _shown(row: Any) -> dict[str, Any]:
    events = [name.upper().split(".") for name in from_json(row.events, list[str])]
    return present(
        {
            "webhook_id": row.id,
            "name": row.name,
            "description": row.description,
            "url": row.url,
            "events": [{"entity": entity, "action": action} for entity, action in events],
            "status": "ACTIVE" if row.active else "DISABLED",
            "creation_timestamp": row.created_ms,
            "last_updated_timestamp": row.updated_ms,
        }
    )


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise invalid(
            f"Webhook name {name[:200]!r} is invalid. It must start and end with a letter or digit, be less than 63"
            " characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
        )
    return name


def _url(ws: Workspace, url: str) -> str:
    if not url.strip():
        raise invalid(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    if len(url) > _LONGEST_URL or not url.isprintable():
        raise invalid(f"Invalid webhook URL: it has at most {_LONGEST_URL} printable characters")
    scheme, colon, _ = url.partition(":")
    if scheme.lower() not in ("http", "https"):
        shown = scheme[:40] if colon else ""
        raise invalid(f"Invalid webhook URL scheme: {shown!r}. Allowed schemes are: https, http.")
    try:
        check_hook(ws, url)
    except (InvalidInput, Unavailable) as error:
        # A host that is not found may be found later; a client that is told so would try again for minutes.
        raise invalid(f"Invalid webhook URL: {error.message}") from None
    except ValueError as error:
        raise invalid(f"Invalid webhook URL {url!r}: {error}") from None
    return url


def _events(args: Args) -> list[str]:
    if not (given := args.items("events")):
        raise invalid("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    return list(dict.fromkeys(_event(Args(one)) for one in given))


def _event(args: Args) -> str:
    entity, action = args.text("entity", required=True), args.text("action", required=True)
    if entity not in _ACTIONS or action not in _ACTIONS[entity]:
        raise invalid(
            f"Invalid action '{action[:50].lower()}' for entity '{entity[:50].lower()}'. Valid actions are:"
            f" {[one.lower() for one in _ACTIONS.get(entity, ())]}"
        )
    return f"{entity}.{action}".lower()


def _active(args: Args) -> bool:
    status = args.text("status") or "ACTIVE"
    if status not in _STATUSES:
        raise invalid(f"Invalid webhook status '{status[:50]}'. Valid statuses are {list(_STATUSES)}")
    return status == "ACTIVE"


def _example(name: str) -> dict[str, Any]:
    entity, _, action = name.partition(".")
    prompt = entity.startswith("prompt")
    data: dict[str, Any] = {"name": "example_prompt" if prompt else "example_model"}
    if "version" in entity and "alias" not in entity:
        data["version"] = "1"
    if entity.endswith("_tag"):
        data["key"] = "example_key"
        return data | ({"value": "example_value"} if action == "set" else {})
    if entity.endswith("_alias"):
        data["alias"] = "example_alias"
        return data | ({"version": "1"} if action == "created" else {})
    if entity == "model_version":
        data |= {"source": "models:/123", "run_id": "abcd1234abcd5678"}
    if entity == "prompt_version":
        data["template"] = "Hello {{name}}!"
    return data | {"tags": {"example_key": "example_value"}, "description": f"An example {entity.replace('_', ' ')}"}
