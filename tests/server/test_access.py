"""Who gets in: hosts, origins, tokens, permissions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import Response

import homeostat as hs
from homeostat.core.errors import HomeostatError, InvalidInput, PermissionDenied, Unauthenticated
from homeostat.server.app import all_verbs
from homeostat.server.routes import Guarded, build
from homeostat.server.up import require_login_beyond_loopback
from tests.server.running import Running

CREATE = "/api/v1/tracking/create_run"
SEARCH = "/api/v1/tracking/search_runs"

# What each verb that reaches for the server's own machine (files, addresses, code) must ask for.
LOCAL_REACH = {"data.import_file", "data.import_query", "data.write_tree", "loop.apply", "pipelines.run_pipeline"}


@pytest.fixture
def open_server(ws: hs.Workspace) -> Iterator[Running]:
    """A server that believes to listen on every address: each request needs a token."""
    running = Running(ws, host="0.0.0.0")
    yield running
    running.stop()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LOCALHOST"]
)
def test_this_machine_is_let_in(shared: Running, host: str):
    assert shared.request("GET", SEARCH, headers={"Host": host.format(port=shared.port)}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "", "2130706433",
     "localhost@evil.example", "evil.example@localhost.evil", "0.0.0.0", "192.168.1.5", "127.0.0.1.",
     "localhost:5000:x@evil", "[", "[::1", "[evil]"],
)  # fmt: skip
def test_a_renamed_address_is_not(shared: Running, host: str):
    """DNS rebinding: the name in the address bar is the attacker's, the address behind it ours."""
    answer = shared.request("GET", SEARCH, headers={"Host": host.format(port=shared.port)})
    assert answer.status in (400, 403)


def test_forwarded_headers_are_not_believed(shared: Running):
    headers = {"Host": "evil.example", "X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
    assert shared.request("GET", SEARCH, headers=headers).status == 403


FOREIGN = {
    "foreign origin": {"Origin": "https://evil.example"},
    "other port here": {"Origin": "http://127.0.0.1:1"},
    "other scheme-less": {"Origin": "127.0.0.1"},
    "null origin": {"Origin": "null"},
    "empty origin": {"Origin": ""},
    "half an origin": {"Origin": "http://["},
    "prefix": {"Origin": "http://127.0.0.1.evil.example"},
    "no origin, cross-site": {"Sec-Fetch-Site": "cross-site"},
    "no origin, same-site": {"Sec-Fetch-Site": "same-site"},
    "cookie without origin": {"Cookie": "homeostat_token=hst_x"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("path", [CREATE, "/login", "/api/v1/data/write_table?args={}"])
def test_a_foreign_page_changes_nothing(shared: Running, path: str, headers: dict[str, str]):
    before = shared.request("GET", SEARCH).json
    answer = shared.post(path, {}, headers)
    assert answer.status == 403
    assert answer.error["code"] == "permission_denied"
    assert shared.request("GET", SEARCH).json == before


def test_our_own_page_and_programs_do(shared: Running):
    own = f"http://127.0.0.1:{shared.port}"
    assert shared.post(CREATE, {}, {"Origin": own}).status == 200
    assert shared.post(CREATE, {}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}).status == 200
    assert shared.post(CREATE, {}, {"Sec-Fetch-Site": "none"}).status == 200
    assert shared.post(CREATE, {}).status == 200


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_no_other_origin_is_granted_anything(shared: Running, headers: dict[str, str]):
    for method in ("GET", "OPTIONS"):
        answer = shared.request(method, SEARCH, headers=headers)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_the_method_cannot_be_overridden(shared: Running):
    before = shared.request("GET", SEARCH).json
    shared.request("GET", CREATE, headers={"X-HTTP-Method-Override": "POST"})
    assert shared.request("GET", SEARCH).json == before


def test_beyond_loopback_a_token_is_needed(open_server: Running):
    for method, path in (("GET", SEARCH), ("POST", CREATE), ("GET", "/api/v1/openapi.json"), ("GET", "/api/v1/events")):
        answer = open_server.request(
            method, path, b"{}" if method == "POST" else None, {"Content-Type": "application/json"}
        )
        assert (answer.status, answer.error["code"]) == (401, "unauthenticated")
    assert open_server.request("GET", "/healthz").status == 200


def test_a_browser_without_a_token_is_led_to_the_form(open_server: Running):
    answer = open_server.request("GET", "/", headers={"Accept": "text/html"})
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert b"<form" in open_server.request("GET", "/login").body


@pytest.mark.parametrize("token", ["", "hst_", "hst_wrong", "x" * 5000, "hst_\xff"])
def test_a_wrong_token_is_refused(open_server: Running, token: str):
    answer = open_server.request("GET", SEARCH, headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 401


def test_wrong_tokens_are_soon_answered_429_and_right_ones_are_let_in_all_the_same(open_server: Running):
    right = open_server.workspace.team.create_token("ann", role="admin").secret
    own = {"Origin": f"http://127.0.0.1:{open_server.port}"}

    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    open_server.app.state.attempts.__init__(clock=lambda: 0.0)
    asked = [open_server.request("GET", SEARCH, headers=bearer(f"hst_{number}")).status for number in range(25)]
    assert asked == [401] * 20 + [429] * 5
    for headers in (bearer("hst_x"), {"Authorization": "Basic !"}, {"Cookie": "homeostat_token=hst_x"}):
        answer = open_server.request("GET", SEARCH, headers=headers)
        assert (answer.status, answer.error["code"]) == (429, "too_many_requests")
        assert answer.headers["Retry-After"] == "3"
    foreign = open_server.request("GET", "/api/2.0/mlflow/runs/get?run_id=x", headers=bearer("hst_x"))
    assert (foreign.status, foreign.json["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert int(foreign.headers["Retry-After"]) > 0
    form = open_server.request("POST", "/login", "token=hst_x", own)
    assert form.status == 429
    assert int(form.headers["Retry-After"]) > 0
    # Nobody is locked out by somebody who guesses from the same address; who sends no token does not guess.
    assert open_server.request("GET", SEARCH, headers=bearer(right)).status == 200
    assert open_server.request("POST", "/login", f"token={right}", own).status == 303
    assert open_server.request("GET", SEARCH).status == 401


def test_roles_bound_what_a_token_may(open_server: Running):
    team = open_server.workspace.team
    of = {role: team.create_token(role, role=role).secret for role in ("viewer", "editor", "admin")}

    def status(role: str, path: str, body: object | None) -> int:
        headers = {"Authorization": f"Bearer {of[role]}"}
        return (
            open_server.post(path, body, headers)
            if body is not None
            else open_server.request("GET", path, headers=headers)
        ).status

    assert [status(role, SEARCH, None) for role in of] == [200, 200, 200]
    assert [status(role, CREATE, {}) for role in of] == [403, 200, 200]
    assert [status(role, "/api/v1/team/add_user", {"name": f"by-{role}"}) for role in of] == [403, 403, 200]
    assert {user.name for user in team.list_users()} == {"viewer", "editor", "admin", "by-admin"}


def test_a_revoked_token_ends_at_once(open_server: Running):
    made = open_server.workspace.team.create_token("ann", role="admin")
    headers = {"Authorization": f"Bearer {made.secret}"}
    assert open_server.request("GET", SEARCH, headers=headers).status == 200
    open_server.workspace.team.revoke_token(made.token.id)
    assert open_server.request("GET", SEARCH, headers=headers).status == 401


def test_the_actor_is_who_sent_the_token(open_server: Running):
    made = open_server.workspace.team.create_token("ann", role="editor")
    open_server.post(CREATE, {"name": "hers"}, {"Authorization": f"Bearer {made.secret}"})
    (entry,) = open_server.workspace.team.list_audit(verb="tracking.create_run")
    assert (entry.actor, entry.arguments) == ("ann", {"name": "hers"})


def test_a_browser_logs_in_with_a_cookie_that_scripts_cannot_read(open_server: Running):
    own = {"Origin": f"http://127.0.0.1:{open_server.port}"}
    secret = open_server.workspace.team.create_token("ann", role="editor").secret
    answer = open_server.request("POST", "/login", f"token={secret}", own)
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 303
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    session = {"Cookie": cookie.partition(";")[0]}
    assert open_server.request("GET", SEARCH, headers=session).status == 200
    assert open_server.post(CREATE, {}, {**session, **own}).status == 200
    assert open_server.post(CREATE, {}, session).status == 403
    assert open_server.post(CREATE, {}, {**session, "Origin": "https://evil.example"}).status == 403


def test_a_wrong_login_says_so_without_repeating_it(open_server: Running):
    answer = open_server.request("POST", "/login", "token=<script>", {"Origin": f"http://127.0.0.1:{open_server.port}"})
    assert answer.status == 401
    assert b"<script>" not in answer.body


def test_the_remote_twin_sends_its_token(open_server: Running, monkeypatch: pytest.MonkeyPatch):
    with hs.open(open_server.url) as remote, pytest.raises(Unauthenticated, match="asks for a token"):
        remote.tracking.list_experiments()
    made = open_server.workspace.team.create_token("ann", role="viewer")
    monkeypatch.setenv("HOMEOSTAT_TOKEN", made.secret)
    with hs.open(open_server.url) as remote:
        assert remote.tracking.list_experiments() == []
        with pytest.raises(PermissionDenied, match="'ann' may not do this: it needs tracking:write"):
            remote.tracking.create_run()


def test_a_route_without_a_permission_stops_the_start():
    async def endpoint(_: Request) -> Response:
        return Response()

    with pytest.raises(HomeostatError, match="route /x declares no permission"):
        build([Guarded(path="/x", methods=("GET",), permission="", endpoint=endpoint)])


def test_every_verb_that_reaches_for_this_machine_needs_an_administrator():
    reaching = {"path", "folder", "project", "database", "query", "destination", "dest"}
    found = {
        f"{v.slice}.{v.name}"
        for v in all_verbs()
        if not v.safe
        and v.body is None
        and reaching & {p.name for p in v.parameters}
        and f"{v.slice}.{v.name}" != "tracking.save_view"  # its query is the text of a page's address, kept as it is
    }
    assert found == LOCAL_REACH
    assert {v.permission.partition(":")[2] for v in all_verbs() if f"{v.slice}.{v.name}" in found} == {"admin"}


def test_no_address_but_loopback_without_tokens(ws: hs.Workspace):
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(InvalidInput, match="has no tokens") as caught:
            require_login_beyond_loopback(ws, host)
        assert "create-token" in caught.value.hint
    for host in ("127.0.0.1", "::1", "localhost"):
        require_login_beyond_loopback(ws, host)
    made = ws.team.create_token("ann", role="admin")
    require_login_beyond_loopback(ws, "0.0.0.0")
    ws.team.revoke_token(made.token.id)
    with pytest.raises(InvalidInput, match="has no tokens"):
        require_login_beyond_loopback(ws, "0.0.0.0")
