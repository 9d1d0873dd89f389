"""Requests that cannot be meant: each is answered with a status below 500 and the one shape of errors."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.server.app import all_verbs
from tests.server.running import Running

CREATE = "/api/v1/tracking/create_run"
SEARCH = "/api/v1/tracking/search_runs"
TABLE = "/api/v1/data/write_table"


def test_a_good_request_works(shared: Running):
    made = shared.post(CREATE, {"name": "x"})
    assert made.status == 200
    assert made.json["name"] == "x"
    assert shared.request("GET", f"{SEARCH}?limit=5").json["runs"]


REFUSED = {
    "unknown slice": ("GET", "/api/v1/nothing/list", None, 404, "not_found"),
    "unknown verb": ("GET", "/api/v1/tracking/nothing", None, 404, "not_found"),
    "unknown page": ("GET", "/nothing", None, 404, "not_found"),
    "no such run": ("GET", "/api/v1/tracking/get_run?id=nope", None, 404, "not_found"),
    "GET for a change": ("GET", CREATE, None, 405, "invalid_input"),
    "POST for a question": ("POST", SEARCH, "{}", 405, "invalid_input"),
    "DELETE": ("DELETE", CREATE, None, 405, "invalid_input"),
    "TRACE": ("TRACE", SEARCH, None, 405, "invalid_input"),
    "unknown argument": ("POST", CREATE, '{"nmae": "x"}', 400, "invalid_input"),
    "unknown argument in a query": ("GET", f"{SEARCH}?limti=1", None, 400, "invalid_input"),
    "wrong type": ("POST", CREATE, '{"name": 1}', 400, "invalid_input"),
    "wrong type in a query": ("GET", f"{SEARCH}?limit=many", None, 400, "invalid_input"),
    "missing argument": ("POST", "/api/v1/tracking/finish_run", "{}", 400, "invalid_input"),
    "not JSON": ("POST", CREATE, "name=x", 400, "invalid_input"),
    "cut off JSON": ("POST", CREATE, '{"name": "x"', 400, "invalid_input"),
    "a list": ("POST", CREATE, "[]", 400, "invalid_input"),
    "NaN": ("POST", CREATE, '{"name": NaN}', 400, "invalid_input"),
    "lone surrogate": ("POST", CREATE, '{"name": "\\ud800"}', 400, "invalid_input"),
    "NUL in a name": ("POST", CREATE, '{"experiment": "a\\u0000b"}', 400, "invalid_input"),
    "NUL deep inside": (
        "POST", "/api/v1/tracking/set_tags", '{"id": "x", "tags": {"a\\u0000": 1}}', 400, "invalid_input"
    ),
    "NUL in a path": ("POST", "/api/v1/data/import_file", '{"name": "t", "path": "a\\u0000"}', 400, "invalid_input"),
    "NUL in a query": ("GET", f"{SEARCH}?text=a%00b", None, 400, "invalid_input"),
    "a folder for a file": ("POST", "/api/v1/data/import_file", '{"name": "t", "path": "/"}', 400, "invalid_input"),
    "a path too long": (
        "POST", "/api/v1/data/write_tree", f'{{"name": "t", "folder": "{"x" * 5000}"}}', 400, "invalid_input"
    ),
    "deep": ("POST", CREATE, '{"params": ' + '{"a":' * 3000 + "1" + "}" * 3001, 400, "invalid_input"),
    "nested a little too deep": ("POST", CREATE, '{"x":' * 80 + "1" + "}" * 80, 400, "invalid_input"),
    "huge number": ("GET", f"{SEARCH}?limit={'9' * 400}", None, 400, "invalid_input"),
    "beyond 64 bits": ("POST", CREATE, '{"start_ms": 99999999999999999999999}', 400, "invalid_input"),
    "a frame that is none": ("POST", TABLE + "?args=%7B%22name%22%3A%22t%22%7D", "hello", 400, "invalid_input"),
    "arguments that are none": ("POST", TABLE + "?args=%5B", "hello", 400, "invalid_input"),
    "long query": ("GET", f"{SEARCH}?text={'x' * 40_000}", None, 413, "too_large"),
    "path": ("GET", "/api/v1/tracking/../../etc/passwd", None, 404, "not_found"),
    "assets, up": ("GET", "/assets/../app.py", None, 400, "invalid_input"),
    "assets, percent": ("GET", "/assets/..%2f..%2fapp.py", None, 400, "invalid_input"),
    "assets, twice": ("GET", "/assets/%252e%252e/app.py", None, 400, "invalid_input"),
    "assets, absolute": ("GET", "/assets//etc/passwd", None, 400, "invalid_input"),
    "assets, NUL": ("GET", "/assets/a%00b", None, 400, "invalid_input"),
    "assets, missing": ("GET", "/assets/missing.js", None, 404, "not_found"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused(shared: Running, case: tuple[str, str, str | None, int, str]):
    method, path, body, status, code = case
    headers = {"Content-Type": "application/json"} if body is not None else {}
    answer = shared.request(method, path, body, headers)
    assert answer.status == status, answer.body
    assert answer.error["code"] == code
    assert answer.error["message"]


def test_an_unknown_argument_names_the_nearest(shared: Running):
    assert "did you mean 'name'" in shared.post(CREATE, {"nmae": "x"}).error["hint"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_only_json_is_read_as_arguments(shared: Running, kind: str):
    answer = shared.request("POST", CREATE, '{"name":"x"}', {"Content-Type": kind})
    assert (answer.status, answer.error["code"]) == (400, "invalid_input")


def test_a_body_over_the_limit_is_not_read(shared: Running):
    limit = shared.workspace.settings.max_body_mb << 20
    answer = shared.request("POST", CREATE, b"", {"Content-Type": "application/json", "Content-Length": str(limit + 1)})
    assert (answer.status, answer.error["code"]) == (413, "too_large")


def test_a_body_without_a_length_is_limited_as_well(shared: Running):
    """Chunked: one chunk after another until the server has had enough."""
    limit = shared.workspace.settings.max_body_mb << 20
    chunk = b"x" * (1 << 20)
    sock = socket.create_connection(("127.0.0.1", shared.port), timeout=300)
    with sock:
        head = f"POST {CREATE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        sock.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        try:
            for _ in range((limit >> 20) + 2):
                sock.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        except (BrokenPipeError, ConnectionResetError):
            pass
        first = sock.recv(1000)
    assert first.startswith(b"HTTP/1.1 413")


def test_two_lengths_are_not_guessed_between(shared: Running):
    """Request smuggling: a length and chunks."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=300) as sock:
        sock.sendall(
            f"POST {CREATE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
        assert sock.recv(1000).startswith(b"HTTP/1.1 4")


def test_the_machine_is_told_apart_from_the_user(shared: Running):
    """An error that nobody foresaw: 500, no trace on the wire."""
    from homeostat.core.verbs import find

    verb = find("tracking", "list_experiments")
    original = verb.function.__code__
    verb.function.__code__ = (lambda ws: 1 / 0).__code__
    try:
        answer = shared.request("GET", "/api/v1/tracking/list_experiments")
    finally:
        verb.function.__code__ = original
    assert answer.status == 500
    assert answer.error["code"] == "internal"
    assert b"ZeroDivision" not in answer.body
    assert b"Traceback" not in answer.body


def test_health_and_description(shared: Running):
    assert shared.request("GET", "/healthz").json["status"] == "ok"
    described = shared.request("GET", "/api/v1/openapi.json").json
    ours = {path for path in described["paths"] if path.startswith("/api/v1/")}
    assert ours == {f"/api/v1/{v.slice}/{v.name}" for v in all_verbs()}
    assert all(operation["x-permission"] for path in described["paths"].values() for operation in path.values())


def test_the_description_is_valid_openapi(shared: Running):
    openapi = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    openapi.validate(shared.request("GET", "/api/v1/openapi.json").json)


def test_pages_say_what_browsers_may_do(shared: Running):
    headers = shared.request("GET", "/").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers


def test_bytes_are_never_shown_by_a_browser(server: Running):
    run = server.post(CREATE, {}).json["id"]
    evil = b"<script>alert(1)</script>"
    args = json.dumps({"id": run, "path": "x.html"})
    kept = server.request("POST", f"/api/v1/tracking/log_artifact?args={args.replace(' ', '%20')}", evil)
    assert kept.status == 200, kept.body
    shown = server.request("GET", f"/api/v1/tracking/read_artifact?id={run}&path=x.html")
    assert shown.body == evil
    assert shown.headers["Content-Disposition"].startswith("attachment")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Type"] == "application/octet-stream"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


# Verbs that only ask: any arguments of any kind end in an answer or in a refusal, never in a fault of ours.
ASKING = [v for v in all_verbs() if v.safe and v.body is None and v.name not in ("wait_ready",)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.sampled_from(ASKING), st.data())
def test_no_question_is_a_fault_of_ours(shared: Running, verb, data: st.DataObject):
    from urllib.parse import urlencode

    given_ = data.draw(st.fixed_dictionaries({}, optional={p.name: anything for p in verb.parameters}))
    query = urlencode(
        {n: v if isinstance(v, str) else json.dumps(v) for n, v in given_.items()}, errors="surrogatepass"
    )
    answer = shared.request("GET", f"/api/v1/{verb.slice}/{verb.name}?{query}")
    assert answer.status < 500 or answer.error["code"] in ("unavailable", "missing_extra"), (given_, answer.body)
