"""Foreign protocols: where they are mounted, what they are checked for, how they fail."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

import homeostat as hs
from homeostat.core.errors import Conflict, HomeostatError, NotFound
from homeostat.core.foreign import Args, First, ForeignError, Rpc, decode, foreign, present, rpc, rpcs_of
from homeostat.server.access import Actor
from homeostat.server.foreign import Calls, Foreign, all_rpcs
from tests.server.running import Running

INFO = "/api/3.0/mlflow/server-info"


@pytest.fixture
def open_server(ws: hs.Workspace) -> Iterator[Running]:
    running = Running(ws, host="0.0.0.0")
    yield running
    running.stop()


def test_a_client_finds_a_server_of_its_kind(shared: Running):
    assert shared.request("GET", "/health").body == b"OK"
    assert shared.request("GET", "/version").body.count(b".") == 2
    for root in ("/api", "/ajax-api"):
        told = shared.request("GET", f"{root}/3.0/mlflow/server-info")
        assert told.status == 200 and told.headers["Content-Type"] == "application/json"
        assert told.json["store_type"] == "SqlStore" and told.json["multipart_uploads_enabled"] is False


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/2.0/mlflow/nothing", 404, "ENDPOINT_NOT_FOUND"),
        ("POST", "/ajax-api/3.0/mlflow/nothing/at/all", 404, "ENDPOINT_NOT_FOUND"),
        ("DELETE", INFO, 405, "BAD_REQUEST"),
        ("POST", "/graphql", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/3.0/mlflow/skills/x", 501, "NOT_IMPLEMENTED"),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate", 501, "NOT_IMPLEMENTED"),
        ("POST", "/ajax-api/3.0/mlflow/issues/invoke", 501, "NOT_IMPLEMENTED"),
        ("GET", "/ajax-api/3.0/mlflow/jobs/x", 501, "NOT_IMPLEMENTED"),
        ("POST", "/ajax-api/3.0/mlflow/issues/x", 405, "BAD_REQUEST"),
        ("POST", "/ajax-api/3.0/mlflow/gateway/secrets/create", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/3.0/mlflow/skillsandmore", 404, "ENDPOINT_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_said_in_the_protocols_shape(
    shared: Running, method: str, path: str, status: int, code: str
):
    answer = shared.request(method, path)
    assert answer.status == status
    assert answer.json["error_code"] == code and answer.json["message"]


def test_foreign_hosts_and_origins_are_refused_in_the_protocols_shape(shared: Running):
    renamed = shared.request("GET", INFO, headers={"Host": "evil.example"})
    assert renamed.status == 403 and renamed.json["error_code"] == "PERMISSION_DENIED"
    page = shared.request("POST", "/api/2.0/mlflow/runs/create", "{}", {"Origin": "https://evil.example"})
    assert page.status == 403 and page.json["error_code"] == "PERMISSION_DENIED"


def test_a_password_may_be_a_token(ws: hs.Workspace, open_server: Running):
    token = ws.team.create_token("ann", role="admin").secret
    search = "/api/v1/tracking/search_runs"

    def basic(text: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    assert open_server.request("GET", search).status == 401
    assert open_server.request("GET", search, headers=basic(f"ann:{token}")).status == 200
    assert open_server.request("GET", search, headers=basic("ann:hst_wrong")).status == 401
    assert open_server.request("GET", INFO, headers=basic("ann:hst_wrong")).json["error_code"] == "UNAUTHENTICATED"
    assert open_server.request("GET", search, headers={"Authorization": "Basic %%%"}).status == 401


def test_every_call_declares_a_permission_and_a_place_of_its_own(ws: hs.Workspace):
    calls = all_rpcs()
    assert calls and all(call.permission for call in calls)
    nothing = Rpc(method="GET", path="2.0/x", permission="", handler=lambda ws, args: {})
    twice = [Rpc(method="GET", path="2.0/x", permission="tracking:read", handler=lambda ws, args: {})] * 2
    for refused in ([nothing], twice):
        with pytest.raises(HomeostatError, match="the server does not start"):
            Calls(ws, refused, 1024)


def test_calls_are_collected_from_a_module():
    module = type(hs)("calls")

    def call(ws: Any, args: Args) -> dict[str, Any]:
        return {}

    call.__module__ = "calls"
    module.call = rpc("POST", "2.0/a", permission="tracking:write")(  # type: ignore[attr-defined]
        rpc("GET", "2.0/b", permission="registry:write")(call)
    )
    assert [(found.path, found.audit) for found in rpcs_of(module)] == [("2.0/b", True), ("2.0/a", False)]


ARGS = Args({
    "step": "12", "big": 2**63, "list": ["a"], "one": "a", "nan": "NaN", "no": None, "flag": "TRUE",
    "tags": [{"key": "a"}],
    "empty": "", "nul": "a\0", "inner": {"x": 1}, "half": 1.5, "whole": 2.0, "yes": True,
})  # fmt: skip


def test_arguments_are_read_by_type():
    assert ARGS.integer("step") == 12 and ARGS.integer("whole") == 2 and ARGS.integer("no", default=7) == 7
    assert ARGS.texts("list") == ARGS.texts("one") == ["a"] and ARGS.texts("no") == []
    assert ARGS.number("nan") != ARGS.number("nan") and ARGS.number("half") == 1.5
    assert ARGS.flag("flag") and not ARGS.flag("no") and ARGS.items("tags") == [{"key": "a"}]
    inner = ARGS.object("inner")
    assert inner is not None and inner.integer("x") == 1 and ARGS.object("no") is None
    assert ARGS.text("empty", default="x") == "" and ARGS.text("gone", default="x") == "x"


@pytest.mark.parametrize(
    ("getter", "name", "message"),
    [
        ("text", "step_", "Missing value for required parameter 'step_'. See the API docs"),
        ("text", "empty", "Missing value for required parameter 'empty'"),
        ("text", "half", "Invalid value 1.5 for parameter 'half' supplied:  Hint: Value was of type 'float'"),
        ("text", "nul", "NUL"),
        ("integer", "no", "Missing value for required parameter 'no'"),
        ("integer", "big", "Invalid value 9223372036854775808 for parameter 'big'"),
        ("integer", "half", "Hint: Value was of type 'float'"),
        ("integer", "yes", "Hint: Value was of type 'bool'"),
        ("number", "one", "Hint: Value was of type 'str'"),
        ("items", "list", "Hint: Value was of type 'list'"),
        ("texts", "tags", "Hint: Value was of type 'list'"),
        ("object", "one", "Hint: Value was of type 'str'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(getter: str, name: str, message: str):
    with pytest.raises(ForeignError, match=message) as refused:
        getattr(ARGS, getter)(name, required=True)
    assert (refused.value.code, refused.value.status) == ("INVALID_PARAMETER_VALUE", 400)


def test_bodies():
    assert decode(b"") == {} and decode(b'{"a": 1}') == {"a": 1} and decode(b'"{\\"a\\": 1}"') == {"a": 1}
    assert decode(b'{"a": NaN, "b": -Infinity}')["b"] == float("-inf")
    for bad in (
        b"x",
        b"[]",
        b'{"a": "\\ud800"}',
        b'{"a": NaN, "b": "\\ud800"}',
        b'{"a":' * 5000,
        b'{"a":' * 70 + b"1" + b"}" * 70,
    ):
        with pytest.raises(ForeignError):
            decode(bad)


def test_our_errors_have_a_wire_form():
    assert foreign(NotFound("gone", hint="look")).message == "gone (look)"
    assert foreign(Conflict("moved on")).status == 409
    ours = foreign(HomeostatError("secret detail"))
    assert ours.status == 500 and "secret" not in ours.message
    assert present({"a": [], "b": {}, "c": False}) == {"c": False}


def test_a_body_may_not_be_nested_without_end():
    assert decode(b'{"a":' + b"[" * 60 + b"]" * 60 + b"}") and decode(b'{"a":[' + b"{}," * 200 + b"{}]}")
    for deep in (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", b'{"a":' * 70 + b"1" + b"}" * 70):
        with pytest.raises(ForeignError, match="nested deeper"):
            decode(deep)


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/api/2.0/mlflow/registered-models/alias", "POST 2.0/mlflow/registered-models/alias"),
        ("/api/2.0/mlflow/model-versions/create", "POST 2.0/mlflow/model-versions/create"),
        ("/api/v1/registry/set_alias", "registry.set_alias"),
    ],
)
def test_a_change_and_its_entry_in_the_audit_log_are_one_transaction(ws: hs.Workspace, path: str, verb: str):
    ws.registry.register_source("m", "s3://models/m")
    running = Running(ws)
    try:
        commits: list[str] = []
        event.listen(ws.db.writer, "commit", lambda _: commits.append("commit"))
        given = {"name": "m", "source": "s3://models/m", "alias": "champion", "version": "1"}
        ours = {"model": "m", "alias": "champion", "version": 1}
        body = ours if "v1" in path else given
        assert running.post(path, body).status == 200
        assert len(commits) == 1
        assert [entry.verb for entry in ws.team.list_audit()] == [verb]
        assert running.post(path, {key: f"no such {value}" for key, value in body.items()}).status in (400, 404)
        assert len(ws.team.list_audit()) == 1 and ws.team.verify_audit().intact
    finally:
        running.stop()


def test_a_call_that_needs_something_done_first_is_asked_again_and_changes_once(ws: hs.Workspace):
    done: list[str] = []

    def handler(ws: hs.Workspace, args: Args) -> dict[str, Any]:
        made = ws.registry.register_source(args.text("name"), "s3://models/m")
        if not done:
            raise First(lambda: done.append(threading.current_thread().name))
        return {"version": made.version}

    async def ask(path: str) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b'{"name": "m"}'}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "state": {"actor": Actor(name="ann")}}
        await app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    def never(ws: hs.Workspace, args: Args) -> dict[str, Any]:
        raise First(lambda: None)

    calls = [
        Rpc(method="POST", path=path, permission="registry:write", handler=each, audit=True, at_once=True)
        for path, each in (("/do", handler), ("/never", never))
    ]
    app = Foreign(lambda scope, receive, send: None, Calls(ws, calls, 1024))  # type: ignore[arg-type, return-value]
    assert asyncio.run(ask("/do")) == (200, b'{"version":1}')
    assert done != [] and done[0] != threading.current_thread().name
    assert [version.version for version in ws.registry.list_versions("m")] == [1]
    assert [(entry.verb, entry.actor) for entry in ws.team.list_audit()] == [("POST /do", "ann")]
    assert asyncio.run(ask("/never"))[0] == 503
