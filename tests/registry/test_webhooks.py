"""Hooks that MLflow's clients make: what they are told, how it is signed, and where they may not lead."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import homeostat as hs
from homeostat.core.events import dispatch
from tests.notify.receivers import Receiver
from tests.registry.test_mlflow import asking
from tests.server.running import Running

HOOKS = "/api/2.0/mlflow/webhooks"
Ask = Callable[..., Any]


def event(name: str) -> dict[str, str]:
    entity, _, action = name.upper().partition(".")
    return {"entity": entity, "action": action}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Request before a workspace: then it may send to this machine."""
    monkeypatch.setenv("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "1")
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def ask(ws: hs.Workspace) -> Iterator[Ask]:
    server = Running(ws)
    yield asking(server)
    server.stop()


def hook(ask: Ask, url: str, *names: str, **given: Any) -> dict[str, Any]:
    return ask("POST", HOOKS, name="ops", url=url, events=[event(name) for name in names], **given)["webhook"]


def test_a_hooks_life(receiver: Receiver, ws: hs.Workspace, ask: Ask):
    made = hook(ask, receiver.url, "model_version.created", secret="s3cret", description="d")
    assert (made["status"], made["events"]) == ("ACTIVE", [event("model_version.created")])
    assert "secret" not in made and isinstance(made["creation_timestamp"], int)
    where = f"{HOOKS}/{made['webhook_id']}"
    assert ask("GET", where)["webhook"] == made
    changed = ask("PATCH", where, name="other", status="DISABLED", events=[event("prompt.created")])["webhook"]
    assert (changed["name"], changed["status"], changed["events"]) == ("other", "DISABLED", [event("prompt.created")])
    assert changed["description"] == "d" and changed["url"] == receiver.url
    first = ask("GET", HOOKS, max_results=1)
    assert first["webhooks"] == [changed] and "next_page_token" not in first
    assert ask("DELETE", where) == {}
    ask("GET", where, (404, "RESOURCE_DOES_NOT_EXIST", f"Webhook with ID {made['webhook_id']} not found."))
    assert ask("GET", HOOKS) == {} and ws.notify.list_channels() == []


def test_what_happens_is_told_once_and_signed(receiver: Receiver, ws: hs.Workspace, ask: Ask):
    names = (
        "registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
        "model_version_alias.created", "model_version_alias.deleted",
    )  # fmt: skip
    hook(ask, receiver.url, *names, secret="s3cret")
    ws.registry.create_model("m", tags={"team": "x"}, description="d")
    ws.registry.register_source("m", "s3://bucket/m", tags={"k": "v"})
    ws.registry.annotate("m", 1, tags={"k2": "v2"})
    ws.registry.annotate("m", tags={"not": "told"})
    ws.registry.delete_tag("m", "k2", 1)
    ws.registry.set_alias("m", "champion", 1)
    ws.registry.delete_alias("m", "champion")
    for _ in range(2):
        dispatch(ws)
        ws.notify.deliver_due()
    assert [f"{body['entity']}.{body['action']}" for body in receiver.bodies] == list(names)
    assert [body["data"] for body in receiver.bodies] == [
        {"name": "m", "tags": {"team": "x", "not": "told"}, "description": "d"},
        {
            "name": "m",
            "version": "1",
            "source": "s3://bucket/m",
            "run_id": None,
            "tags": {"k": "v"},
            "description": None,
        },
        {"name": "m", "version": "1", "key": "k2", "value": "v2"},
        {"name": "m", "version": "1", "key": "k2"},
        {"name": "m", "alias": "champion", "version": "1"},
        {"name": "m", "alias": "champion"},
    ]
    _, headers, body = receiver.requests[0]
    signed = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
    assert headers["x-mlflow-signature"] == f"v1,{expected}"


def test_prompts_have_events_of_their_own(receiver: Receiver, ws: hs.Workspace, ask: Ask):
    hook(ask, receiver.url, "prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_alias.created")
    hook(ask, receiver.url, "model_version.created", status="DISABLED")
    tags = {"mlflow.prompt.is_prompt": "true"}
    ws.registry.create_model("greet", tags=tags)
    ws.registry.register_source("greet", "dummy-source", tags={**tags, "mlflow.prompt.text": "Hi {{name}}"})
    ws.registry.annotate("greet", tags={"team": "x"})
    ws.registry.set_alias("greet", "live", 1)
    ws.registry.register_source("m", "s3://bucket/m")
    dispatch(ws)
    ws.notify.deliver_due()
    assert [body["entity"] for body in receiver.bodies] == ["prompt", "prompt_version", "prompt_tag", "prompt_alias"]
    assert receiver.bodies[1]["data"]["template"] == "Hi {{name}}" and receiver.bodies[1]["data"]["tags"] == {}
    assert "x-mlflow-signature" not in receiver.requests[0][1]


def test_what_is_not_taken_is_tried_again_and_can_be_replayed(receiver: Receiver, ws: hs.Workspace, ask: Ask):
    receiver.answer = lambda n: (503, {}) if n == 0 else (410, {}) if n == 1 else (200, {})
    made = hook(ask, receiver.url, "registered_model.created")
    ws.registry.create_model("m")
    dispatch(ws)
    assert ws.notify.deliver_due() == 0
    waiting = ws.notify.list_deliveries(channel=f"mlflow-{made['webhook_id']}")[0]
    assert (waiting.status, waiting.title) == ("waiting", "registered_model.created")
    assert ws.notify.deliver_due(now_ms=waiting.due_ms) == 0
    dead = ws.notify.list_deliveries(status="dead")[0]
    assert dead.error == "answered 410"
    ws.notify.replay_delivery(dead.id)
    assert ws.notify.deliver_due() == 1
    assert receiver.requests[0][2] == receiver.requests[2][2]  # the same body, under the same id
    assert receiver.requests[0][1]["x-mlflow-delivery-id"] == receiver.requests[2][1]["x-mlflow-delivery-id"]


def test_trying_a_hook(receiver: Receiver, ws: hs.Workspace, ask: Ask):
    made = hook(ask, receiver.url, "model_version.created", "prompt_alias.deleted")
    where = f"{HOOKS}/{made['webhook_id']}/test"
    assert ask("POST", where)["result"] == {"success": True, "response_status": 200}
    assert ask("POST", where, event=event("prompt_alias.deleted"))["result"]["success"]
    assert [body["data"]["name"] for body in receiver.bodies] == ["example_model", "example_prompt"]
    assert receiver.bodies[0]["data"]["description"] == "An example model version"
    receiver.answer = lambda n: (500, {})
    # An error is told where nobody answered; an answer speaks for itself.
    assert ask("POST", where)["result"] == {"success": False, "response_status": 500}
    assert ws.notify.list_deliveries(status="waiting") == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/",
        "https://2130706433/", "https://[::ffff:127.0.0.1]/", "http://93.184.216.34/", "file:///etc/passwd", " ",
        "https://u:p@93.184.216.34/", "https://127.0.0.1:99999/", "https://" + "x" * 600, "https://[", "https://a\nb/",
    ],
)  # fmt: skip
def test_hooks_do_not_reach_inside(ws: hs.Workspace, ask: Ask, url: str):
    refused = (400, "INVALID_PARAMETER_VALUE", "")
    ask("POST", HOOKS, refused, name="ops", url=url, events=[event("prompt.created")])
    assert ask("GET", HOOKS) == {}


@pytest.mark.parametrize(
    "given",
    [
        {"name": "-x"}, {"name": "x" * 64}, {"name": ""}, {"events": []}, {"events": [{"entity": "PROMPT"}]},
        {"events": [{"entity": "PROMPT", "action": "DELETED"}]}, {"events": [{"entity": "X", "action": "CREATED"}]},
        {"status": "x"}, {"description": "x" * 1001}, {"secret": 3},
    ],
)  # fmt: skip
def test_what_cannot_be_a_hook(receiver: Receiver, ws: hs.Workspace, ask: Ask, given: dict[str, Any]):
    refused = (400, "INVALID_PARAMETER_VALUE", "")
    whole = {"name": "ops", "url": receiver.url, "events": [event("prompt.created")], **given}
    ask("POST", HOOKS, refused, **whole)
    assert ask("GET", HOOKS) == {}
