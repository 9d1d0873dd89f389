"""The remote twin of a verb: the same call, sent to a server as a request."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from homeostat.core.errors import HomeostatError, Unavailable, from_code
from homeostat.core.frames import MEDIA_TYPE, from_ipc, to_ipc
from homeostat.core.verbs import Verb


def path_of(verb: Verb) -> str:
    """The route of a verb.

    >>> from homeostat.core.verbs import find
    >>> path_of(find("data", "list_tables"))
    '/api/v1/data/list_tables'
    """
    return f"/api/v1/{verb.slice}/{verb.name}"


def call(base: str, verb: Verb, arguments: dict[str, Any], token: str = "") -> Any:
    """Send `verb` with `arguments` to the server at `base` and give its result.

    Raises: the error the server answered, of the same class; Unavailable when there is no server.
    """
    method, target, headers, body = _request(verb, arguments)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=600)
    try:
        connection.request(method, parts.path.rstrip("/") + target, body=body, headers=headers)
        response = connection.getresponse()
        data = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"no Homeostat answers at {base}: {error}", hint="start one with `homeostat up`") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise _error(data, response.status, base)
    if verb.gives == "bytes":
        return data
    return from_ipc(data) if verb.gives == "frame" else msgspec.json.decode(data, type=verb.result)


def _request(verb: Verb, arguments: dict[str, Any]) -> tuple[str, str, dict[str, str], bytes | None]:
    body = verb.body
    target = path_of(verb)
    if verb.safe and body is None:
        sent = quote(msgspec.json.encode(arguments).decode())
        return "GET", f"{target}?args={sent}" if arguments else target, {}, None
    rest = {name: value for name, value in arguments.items() if body is None or name != body.name}
    if body is None:
        return "POST", target, {"Content-Type": "application/json"}, msgspec.json.encode(rest)
    given = arguments[body.name]
    media, raw = (MEDIA_TYPE, to_ipc(given)) if body.body == "frame" else ("application/octet-stream", given)
    return "POST", f"{target}?args={quote(msgspec.json.encode(rest).decode())}", {"Content-Type": media}, raw


def _error(data: bytes, status: int, base: str) -> HomeostatError:
    try:
        told = msgspec.json.decode(data)["error"]
        return from_code(told["code"], told["message"], told.get("hint", ""), told.get("facts"))
    except (msgspec.DecodeError, KeyError, TypeError):
        return HomeostatError(f"{base} answered {status}, not as a Homeostat does: {data[:200]!r}")
