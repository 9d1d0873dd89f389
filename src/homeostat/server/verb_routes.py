"""The generic face: one route a verb, made from its declaration."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.frames import MEDIA_TYPE, from_ipc, to_ipc
from homeostat.core.remote import path_of
from homeostat.core.settings import UNPACKED_TIMES
from homeostat.core.verbs import Verb
from homeostat.core.workspace import Workspace
from homeostat.server.answers import json_response
from homeostat.server.at_once import change, look
from homeostat.server.routes import Guarded

# Below what the HTTP parser takes, so that it is we who say why.
_MAX_QUERY = 32 * 1024
_MAX_DEPTH = 64


def route_of(workspace: Workspace, verb: Verb, max_body: int) -> Guarded:
    """The route of `verb`: GET when it changes nothing, POST otherwise."""

    name = f"{verb.slice}.{verb.name}"

    def call(arguments: dict[str, Any]) -> Any:
        result = verb.function(workspace, **arguments)
        return to_ipc(result) if verb.gives == "frame" else result

    def audited(arguments: dict[str, Any]) -> Any:
        result = call(arguments)
        if not verb.safe:
            workspace.team.record_audit(verb=name, arguments=_loggable(verb, arguments))
        return result

    async def answer(arguments: dict[str, Any]) -> Any:
        if not verb.at_once:
            return await run_in_threadpool(audited, arguments)
        if verb.safe:
            return await look(workspace, lambda: call(arguments))
        return await change(workspace, lambda _: call(arguments), name, _loggable(verb, arguments))

    async def endpoint(request: Request) -> Response:
        arguments = await _arguments(request, verb, max_body)
        with acting_as(request.state.actor.name):
            result = await answer(arguments)
        if verb.gives:
            media = MEDIA_TYPE if verb.gives == "frame" else "application/octet-stream"
            # Never shown by a browser, whatever the bytes are.
            headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
            return Response(result, media_type=media, headers=headers)
        return json_response(result)

    method = "GET" if verb.safe and verb.body is None else "POST"
    return Guarded(path=path_of(verb), methods=(method,), permission=verb.permission, endpoint=endpoint)


def _loggable(verb: Verb, arguments: dict[str, Any]) -> dict[str, Any]:
    body = verb.body
    return {
        name: "(data)"
        if body and name == body.name
        else "(secret)"
        if name in ("secret", "token", "password")
        else value
        for name, value in arguments.items()
    }


async def _arguments(request: Request, verb: Verb, max_body: int) -> dict[str, Any]:
    if len(request.url.query) > _MAX_QUERY:
        raise TooLarge("the query is too long", hint="send less, or page through it")
    if request.method == "GET":
        query = dict(request.query_params)
        # Programs send every argument in one piece of JSON, so that a type is never guessed; people write a=1&b=2.
        return (
            verb.arguments(_object(query["args"].encode()))
            if set(query) == {"args"}
            else verb.arguments(_written(query), text=True)
        )
    raw = await read_body(request, max_body)
    body = verb.body
    if body is None:
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if kind != "application/json":
            raise InvalidInput(f"{kind!r} is not a body that is read here", hint="send application/json")
        return verb.arguments(_object(raw or b"{}"))
    given = _object(request.query_params.get("args", "{}").encode())
    arguments = verb.arguments({**given, body.name: raw})
    if body.body == "frame":
        arguments[body.name] = await run_in_threadpool(from_ipc, raw, UNPACKED_TIMES * max_body)
    return arguments


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object", hint='send {"argument": value}')
    _check_depth(value)
    # The only way to write that character in JSON: most bodies need no closer look.
    return _written(value) if b"\\u0000" in raw else value


def _written(value: Any) -> Any:
    """`value`, unless there is a null character in its text: no file name, no PostgreSQL, no C library takes one."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput(f"there is a null character in {value[:80]!r}", hint="send text without it")
    if isinstance(value, dict):
        for name, child in value.items():
            _written(name)
            _written(child)
    elif isinstance(value, list):
        for child in value:
            _written(child)
    return value


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInput(f"the body is nested deeper than {_MAX_DEPTH} levels")
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(child, depth + 1)


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body, at most `limit` bytes. Raises: TooLarge."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the body is larger than {limit >> 20} MiB", hint="raise HOMEOSTAT_MAX_BODY_MB")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is larger than {limit >> 20} MiB", hint="raise HOMEOSTAT_MAX_BODY_MB")
        parts.append(part)
    return b"".join(parts)
