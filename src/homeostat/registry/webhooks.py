"""Hooks on models, in MLflow's form: what happens to models and prompts, told to an address of one's own.

The messages go through the outbox of `notify`: signed, tried again for hours, given up as an event, replayed on demand.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import iso
from homeostat.core.errors import NotFound
from homeostat.core.events import StoredEvent
from homeostat.core.records import from_json, to_json
from homeostat.core.statements import rows
from homeostat.core.workspace import Workspace
from homeostat.notify import tell_hook
from homeostat.registry import models, store
from homeostat.registry.model import Model
from homeostat.registry.names import PROMPT_TAG, is_prompt

_TEXT, _TYPE = "mlflow.prompt.text", "_mlflow_prompt_type"
_HIDDEN = (PROMPT_TAG, _TYPE, _TEXT)
_ACTIVE = "select id, events from registry_webhook where active"


def on_event(ws: Workspace, event: StoredEvent) -> None:
    """Listener: put what the event says into the outbox of every active hook that wants it. Twice is once."""
    hooks = ws.db.look(lambda c: rows(c, _ACTIVE))
    said = ws.db.read(lambda c: _said(c, event)) if hooks else None
    if said is None:
        return
    name, data = said
    wanting = [identifier for identifier, events in hooks if name in from_json(events, list[str])]
    body = body_of(name, data, event.at_ms)

    def tell(c: sa.Connection) -> None:
        for identifier in wanting:
            tell_hook(c, channel_of(identifier), name, body, event.id)

    if wanting:
        ws.db.write(tell)


def any_active(ws: Workspace) -> bool:
    """Whether there is a hook that is told anything: mostly there is none, which is asked once for many events."""
    return bool(ws.db.look(lambda c: rows(c, _ACTIVE)))


def channel_of(identifier: str) -> str:
    """The name under which `notify` knows a hook."""
    return f"mlflow-{identifier}"


def body_of(name: str, data: dict[str, Any], at_ms: int) -> str:
    """What is sent: the entity, what was done with it, when, and its particulars."""
    entity, _, action = name.partition(".")
    return to_json({"entity": entity, "action": action, "timestamp": iso(at_ms), "data": data})


def _said(c: sa.Connection, event: StoredEvent) -> tuple[str, dict[str, Any]] | None:
    given = event.payload
    try:
        model = models.one(c, given["model"])
    except NotFound:  # renamed or deleted meanwhile: what happened is told all the same
        model = Model(name=given["model"], description="", versions=0, aliases={}, updated_ms=0)
    prompt = is_prompt(model.tags)
    match event.name:
        case "model_created":
            return "prompt.created" if prompt else "registered_model.created", {
                "name": model.name, "tags": _shown(model.tags, prompt), "description": model.description,
            }  # fmt: skip
        case "version_registered":
            return _version(c, model, given["version"], prompt)
        case "model_tagged":
            return _tag(model, given, prompt)
        case "alias_moved":
            entity = "prompt_alias" if prompt else "model_version_alias"
            data = {"name": model.name, "alias": given["alias"]}
            if given["version"] is None:
                return f"{entity}.deleted", data
            return f"{entity}.created", {**data, "version": str(given["version"])}
        case _:
            return None


def _version(c: sa.Connection, model: Model, number: int, prompt: bool) -> tuple[str, dict[str, Any]]:
    data: dict[str, Any] = {"name": model.name, "version": str(number)}
    try:
        found = store.one(c, model.name, number)
    except NotFound:
        return "prompt_version.created" if prompt else "model_version.created", data
    about = {"tags": _shown(found.tags, prompt), "description": found.description or None}
    if prompt:
        return "prompt_version.created", {**data, "template": found.tags.get(_TEXT), **about}
    return "model_version.created", {**data, "source": found.source, "run_id": found.run_id, **about}


def _tag(model: Model, given: dict[str, Any], prompt: bool) -> tuple[str, dict[str, Any]] | None:
    if given["version"] is None and not prompt:
        return None  # MLflow tells nothing of these
    entity = ("prompt" if prompt else "model") + ("_version_tag" if given["version"] is not None else "_tag")
    data: dict[str, Any] = {"name": model.name}
    if given["version"] is not None:
        data["version"] = str(given["version"])
    data["key"] = given["key"]
    if given["value"] is None:
        return f"{entity}.deleted", data
    return f"{entity}.set", {**data, "value": given["value"]}


def _shown(tags: dict[str, str], prompt: bool) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not (prompt and key in _HIDDEN)}
