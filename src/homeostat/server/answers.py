"""Results and errors as HTTP answers. Every failure has one shape: `{"error": {code, message, hint, facts}}`."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from homeostat.core.errors import HomeostatError, InvalidInput, NotFound, TooManyRequests, from_os
from homeostat.core.foreign import ForeignError

log = logging.getLogger("homeostat.server")

_JSON = (b"content-type", b"application/json")
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as JSON."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def error_response(error: HomeostatError) -> Response:
    """`error` with the status its class decides."""
    body = {"code": error.code, "message": error.message, "hint": error.hint, "facts": error.facts}
    try:
        response = json_response({"error": body}, error.status)
    except TypeError:  # a fact that JSON cannot hold: the words still travel
        response = json_response({"error": {**body, "facts": {}}}, error.status)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.facts.get("retry_after_s", 1))
    return response


async def on_homeostat_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HomeostatError)
    if error.status >= 500:
        log.error("%s: %s", error.code, error)
    return error_response(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    if status == 404:
        return error_response(
            NotFound(f"there is nothing at {request.url.path[:200]}", hint="see /api/v1/openapi.json")
        )
    refused = InvalidInput(
        f"{request.method} is not what {request.url.path[:200]} takes", hint="see /api/v1/openapi.json"
    )
    response = error_response(refused)
    response.status_code = status
    return response


async def on_os_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    if error.errno not in (errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT):
        return await on_any_error(request, error)
    return await on_homeostat_error(request, from_os(error))


async def on_any_error(_: Request, error: Exception) -> Response:
    # The trace belongs in the log, never on the wire.
    log.exception("unexpected error", exc_info=error)
    return error_response(HomeostatError("something went wrong here", hint="the server's log has the details"))


Headers = Sequence[tuple[bytes, bytes]]


def json_headers(body: bytes, more: Headers = ()) -> list[tuple[bytes, bytes]]:
    """What stands before `body`, which is JSON."""
    return [_JSON, (b"content-length", b"%d" % len(body)), *_HEADERS, *more]


async def send_json(send: Send, body: bytes, status: int = 200, more: Headers = ()) -> None:
    """Answer with `body`, which is JSON."""
    await send({"type": "http.response.start", "status": status, "headers": json_headers(body, more)})
    await send({"type": "http.response.body", "body": body})


def foreign_error_body(error: ForeignError) -> tuple[bytes, Headers]:
    """An error in the protocol's shape, and the headers that go with it."""
    body = msgspec.json.encode({"error_code": error.code, "message": error.message})
    return body, [(b"retry-after", b"%d" % error.retry_after_s)] if error.retry_after_s else []


async def send_foreign_error(send: Send, error: ForeignError) -> None:
    """Answer with an error in the protocol's shape."""
    body, more = foreign_error_body(error)
    await send_json(send, body, error.status, more)
