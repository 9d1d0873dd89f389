"""What holds for every route there is, ours and those of foreign protocols: a new one is checked without being named.

Each is asked without a token, with every permission but its own, from a foreign page, under a foreign name, with a body
over the limit, and with odd values where its path takes an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

import homeostat as hs
from homeostat.core.foreign import PUBLIC
from homeostat.core.remote import path_of
from homeostat.core.slices import SLICES
from homeostat.server import access
from homeostat.server.app import all_verbs
from homeostat.server.foreign import all_rpcs, paths_of
from homeostat.server.pages import PLACES
from homeostat.server.routes import Fixed
from homeostat.team.model import Actor
from tests.server.running import Answer, Running

# Everything that anybody may ask without a token. A route that joins them has to be added here by hand.
OPEN = {
    ("GET", "/healthz"), ("GET", "/login"), ("POST", "/login"), ("GET", "/assets/{path:path}"), ("GET", "/health"),
    ("GET", "/version"), ("GET", "/api/3.0/mlflow/server-info"), ("GET", "/ajax-api/3.0/mlflow/server-info"),
    ("PUT", "/api/2.0/mlflow-artifacts/mpu/part/{upload}/{number}"),
    ("PUT", "/ajax-api/2.0/mlflow-artifacts/mpu/part/{upload}/{number}"),
}  # fmt: skip


class Way(NamedTuple):
    """One method at one path."""

    method: str
    path: str
    permission: str
    takes_bytes: bool = False
    foreign: bool = False

    @property
    def id(self) -> str:
        return f"{self.method} {self.path}"

    def filled(self, value: str = "x") -> str:
        """The path with `value` for each of its arguments."""
        return re.sub(r"\{\w+(?::path)?\}", quote(value, safe=""), self.path)


PAGES = [
    Way("GET", "/api/v1/events", "loop:read"),
    Way("GET", "/api/v1/openapi.json", "loop:read"),
    Way("GET", "/preview/{run}/{path:path}", "tracking:read"),
    Way("GET", "/predict/{model}", "serving:read"), Way("POST", "/predict/{model}", "serving:read"),
    *(Way("GET", path, "loop:read") for path in ("/", "/loop", "/runs", "/runs/{rest:path}", "/models", "/data")),
    Way("GET", "/healthz", PUBLIC), Way("GET", "/login", PUBLIC), Way("POST", "/login", PUBLIC),
    Way("GET", "/assets/{path:path}", PUBLIC),
]  # fmt: skip
VERBS = [
    Way("GET" if v.safe and v.body is None else "POST", path_of(v), v.permission, v.body is not None)
    for v in all_verbs()
]
CALLS = [Way(d.method, path, d.permission, d.raw, True) for d in all_rpcs() for path in paths_of(d)]
WAYS = [*PAGES, *VERBS, *CALLS]
LOCKED = [way for way in WAYS if way.permission != PUBLIC]
# A call answers at two places with one function: what is checked inside it is asked at one of them.
ONCE = [way for way in WAYS if not way.path.startswith("/ajax-api/")]
CHANGING = [way for way in ONCE if way.method != "GET"]
EVERY = [f"{name}:{right}" for name in SLICES for right in ("read", "write", "admin")]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for this machine that reads at most 1 MiB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEOSTAT_MAX_BODY_MB", "1")
        patch.setenv("HOMEOSTAT_MAX_ARTIFACT_MB", "1")
        with hs.open(Path(tmp_path_factory.mktemp("small")) / "home") as workspace:
            running = Running(workspace)
            yield running
            running.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that asks everybody for a token, and knows tokens that say what they may not."""

    def recognised(_: hs.Workspace, token: str) -> Actor:
        missing = token.partition("without ")[2]
        return Actor(name="ann", role="admin", permissions=[one for one in EVERY if one != missing])

    with hs.open(Path(tmp_path_factory.mktemp("guarded")) / "home") as workspace, pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "recognise", recognised)
        running = Running(workspace, host="0.0.0.0")
        yield running
        running.stop()


def ask(running: Running, way: Way, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    kind = {} if way.method == "GET" or way.takes_bytes else {"Content-Type": "application/json"}
    sent = b"{}" if body is None and way.method != "GET" else body
    return running.request(way.method, way.filled(), sent, {**kind, **(headers or {})})


def code_of(answer: Answer) -> str:
    """The code of an error in whichever of the two shapes."""
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    return str(answer.json["error_code"] if "error_code" in answer.json else answer.error["code"]).lower()


def test_nothing_is_mounted_that_is_not_listed_here(small: Running):
    mounted = {
        (method, path)
        for route in small.app.routes
        for path, methods in (route.paths if isinstance(route, Fixed) else {route.path: route.methods}).items()
        for method in methods
        if method != "HEAD"
    }
    pages = {(way.method, way.path) for way in [*PAGES, *VERBS]}
    more = {("GET", f"/{page}{rest}") for page in PLACES for rest in ("", "/{rest:path}")}
    assert mounted - pages - more == set() and pages - mounted == set()
    assert {(way.method, way.path) for way in WAYS if way.permission == PUBLIC} == OPEN


def test_only_changes_change():
    """The check of origins leaves GET alone: so no GET may need more than reading, or administrators only look."""
    looking = {"/api/2.0/mlflow/webhooks", "/api/2.0/mlflow/webhooks/{webhook_id}"}
    looking |= {path.replace("/api/", "/ajax-api/") for path in looking}
    beyond = {way.path for way in WAYS if way.method == "GET" and not way.permission.endswith((":read", PUBLIC))}
    assert beyond - {way.path for way in VERBS} <= looking
    assert all(verb.safe or verb.permission.partition(":")[2] != "read" for verb in all_verbs())


@pytest.mark.parametrize("way", LOCKED, ids=lambda way: way.id)
def test_it_asks_for_its_own_permission(guarded: Running, way: Way):
    nobody = ask(guarded, way)
    assert (nobody.status, code_of(nobody)) == (401, "unauthenticated")
    lacking = ask(guarded, way, {"Authorization": f"Bearer without {way.permission}"})
    assert (lacking.status, code_of(lacking)) == (403, "permission_denied")
    assert way.permission in EVERY


@pytest.mark.parametrize("way", CHANGING, ids=lambda way: way.id)
def test_a_foreign_page_or_name_reaches_nothing(small: Running, way: Way):
    for headers in (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Cookie": "homeostat_token=hst_x"}, {"Host": "evil.example"}, {"Host": "evil.example:80", "Origin": "http://evil.example:80"},
    ):  # fmt: skip
        refused = ask(small, way, headers)
        assert (refused.status, code_of(refused)) == (403, "permission_denied"), headers


@pytest.mark.parametrize("way", CHANGING, ids=lambda way: way.id)
def test_a_body_over_the_limit_is_refused(small: Running, way: Way):
    # Not for calls that need a header or an argument first, or that answer without reading: they keep nothing of it.
    answer = ask(small, way, body=b'{"x":"' + b"x" * (1 << 20) + b'"}')
    assert answer.status == 413 or (answer.status in (400, 404, 422, 501) and way.takes_bytes), answer.body[:300]


def test_a_query_over_the_limit_is_refused(small: Running):
    for way in WAYS:
        if way.method == "GET" and way.path.startswith("/api/") and not way.takes_bytes and way not in PAGES:
            assert small.request("GET", f"{way.filled()}?filter={'x' * 40_000}").status == 413, way.path


ODD = [
    "..", "../..", "../../etc/passwd", "..%2f..", "%2e%2e", "%252e%252e/x", "/etc/passwd", "//etc/passwd", "a\\..\\b",
    "C:\\x", "\\\\host\\share", "file:///etc/passwd", "a\0b", "a\r\nSet-Cookie: x=1", "\u2025/\uff0e\uff0e/x",
    "' or 1=1 --", "<script>alert(1)</script>", "x" * 5000, "\u202eexe", "{x}", "${jndi:x}", "nul", "~root",
]  # fmt: skip


@pytest.mark.parametrize("way", [way for way in ONCE if "{" in way.path], ids=lambda way: way.id)
def test_odd_arguments_of_a_path_reach_nothing(small: Running, way: Way):
    for odd in ODD:
        body = None if way.method == "GET" else b"{}"
        path = way.filled(odd)
        answer = small.request(way.method, path, body, {"Content-Type": "application/json"} if body else {})
        page = way in PAGES and way.path.startswith(
            "/runs"
        )  # the one page, whatever its path; it is read in the browser
        assert answer.status < 500 or answer.status == 501, (path, answer.body[:300])
        assert page or b"root:" not in answer.body
        # Such a name may well be free to use for a file; what is stored lies by its digest, and never by its name.
        assert not [name for name in answer.headers if name.lower() == "set-cookie"]
        if answer.headers["Content-Type"].startswith("text/html"):
            assert page and b"<script>alert(1)" not in answer.body
    assert sorted(path.name for path in small.workspace.home.parent.iterdir()) == ["home"]
