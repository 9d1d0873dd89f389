"""The way from our pages to the data plane: what a model takes, and an answer to what somebody has typed.

A page of this server may not ask the data plane, which is another origin and lets no page of another in. So the server
asks in its place, with the token of whoever asks: who may ask which model, and how often, is decided there.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.errors import (
    HomeostatError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from homeostat.core.outgoing import connect
from homeostat.core.workspace import Workspace
from homeostat.server.access import token_of
from homeostat.server.answers import json_response
from homeostat.server.verb_routes import read_body
from homeostat.serving import endpoint as where
from homeostat.serving import get_deployment

# Typed by a person: programs ask the data plane itself.
_MOST_BYTES = 4 << 20
_TIMEOUT_S = 60
_ERRORS: dict[int, type[HomeostatError]] = {
    400: InvalidInput, 401: Unauthenticated, 403: PermissionDenied, 404: NotFound, 413: TooLarge, 429: TooManyRequests,
}  # fmt: skip


def endpoint(workspace: Workspace, max_body: int) -> Callable[[Request], Awaitable[Response]]:
    """GET: the OpenAPI document of the model, or of its `version`. POST: an inference request in JSON, handed on; its
    answer with the status and the milliseconds that it took."""

    async def handle(request: Request) -> Response:
        model, version = request.path_params["model"], request.query_params.get("version", "")
        if version and not (version.isdecimal() and len(version) < 10):
            raise InvalidInput(f"{version[:80]!r} is not a version", hint="leave it out to be routed as anybody is")
        body = await read_body(request, min(max_body, _MOST_BYTES)) if request.method == "POST" else None
        headers = {"Content-Type": "application/json"}
        if token := token_of(request.headers):
            headers["Authorization"] = f"Bearer {token}"
        return json_response(await run_in_threadpool(_ask, workspace, model, version, body, headers))

    return handle


def _ask(workspace: Workspace, model: str, version: str, body: bytes | None, headers: dict[str, str]) -> Any:
    get_deployment(workspace, model)
    plane = where(workspace)
    if not plane.live:
        raise Unavailable(f"the data plane at {plane.rest_url} is silent", hint="start it with `homeostat up`")
    path = f"/v2/models/{quote(model, safe='')}" + (f"/versions/{version}" if version else "")
    connection = connect(plane.rest_url, allow_private=True, timeout_s=_TIMEOUT_S)
    try:
        began = time.perf_counter_ns()
        if body is None:
            connection.request("GET", f"{path}/openapi.json", headers=headers)
        else:
            connection.request("POST", f"{path}/infer", body=body, headers=headers)
        response = connection.getresponse()
        raw = response.read(_MOST_BYTES + 1)
        took_ms = (time.perf_counter_ns() - began) / 1e6
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the data plane at {plane.rest_url} did not answer: {error}") from error
    finally:
        connection.close()
    if len(raw) > _MOST_BYTES:
        raise TooLarge(f"the answer is larger than {_MOST_BYTES >> 20} MiB", hint="ask the data plane itself")
    answer = _decoded(raw, urlsplit(plane.rest_url).netloc)
    if response.status != 200:
        told = answer.get("error") if isinstance(answer, dict) else None
        raise _ERRORS.get(response.status, Unavailable)(str(told or f"the data plane answered {response.status}"))
    return answer if body is None else {"answer": answer, "took_ms": took_ms}


def _decoded(raw: bytes, who: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise Unavailable(f"{who} does not answer as a data plane does: {error}") from error
