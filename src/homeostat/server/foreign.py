"""Foreign protocols, mounted: every call of `core.slices.PROTOCOLS`, found by one look into a dict.

They stand before the router, because some of them (a metric logged) are called thousands of times a second. What is
checked is the same as for verbs: host, origin and token by `access.py`, the permission and the body's size here.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from homeostat.core.context import acting_as
from homeostat.core.errors import HomeostatError, PermissionDenied, TooLarge, Unauthenticated, Unavailable
from homeostat.core.foreign import PUBLIC, Args, First, ForeignError, Rpc, decode, foreign, rpcs_of
from homeostat.core.slices import PROTOCOLS
from homeostat.core.workspace import Workspace
from homeostat.server.absent import PAGES, absence
from homeostat.server.access import ANONYMOUS, FOREIGN_ROOTS, FOREIGN_SPACES, Actor
from homeostat.server.answers import send_foreign_error, send_json
from homeostat.server.at_once import change, look

log = logging.getLogger("homeostat.server")

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
_MAX_QUERY = 32 * 1024
_FIRSTS = 8

Handle = Callable[[Scope, Receive, Send], Awaitable[None]]


def all_rpcs() -> list[Rpc]:
    """Every call of every protocol."""
    return [found for name in PROTOCOLS for found in rpcs_of(importlib.import_module(name))]


def paths_of(declared: Rpc) -> list[str]:
    """Where a call is mounted."""
    return [declared.path] if declared.path.startswith("/") else [root + declared.path for root in FOREIGN_ROOTS]


class Foreign:
    """ASGI middleware that answers foreign calls and hands everything else on."""

    def __init__(self, app: ASGIApp, workspace: Workspace, rpcs: Iterable[Rpc], max_body: int) -> None:
        self.app = app
        self._exact: dict[str, dict[str, Handle]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Handle]]] = []
        by_path: dict[str, dict[str, Handle]] = {}
        for declared in rpcs:
            if not declared.permission:
                raise HomeostatError(f"call {declared.path} declares no permission; the server does not start")
            handle = _handle(workspace, declared, max_body)
            for path in paths_of(declared):
                methods = by_path.setdefault(path, {})
                if declared.method in methods:
                    raise HomeostatError(f"two calls answer {declared.method} {path}; the server does not start")
                methods[declared.method] = handle
        for path, methods in by_path.items():
            if "{" in path:
                self._patterns.append((_pattern(path), methods))
            else:
                self._exact[path] = methods
        # The most particular first: fixed text before arguments, arguments before the rest of a path.
        self._patterns.sort(key=lambda entry: ("(.+)" in entry[0].pattern, -len(entry[0].pattern)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path: str = scope["path"]
        if path.startswith("//"):  # an address that was joined to one with a slash at its end
            path = "/" + path.lstrip("/")
        methods = self._exact.get(path)
        if methods is None:
            methods, found = self._match(path)
            if methods is None:
                if not path.startswith(FOREIGN_SPACES) and path not in PAGES:
                    return await self.app(scope, receive, send)
                return await send_foreign_error(send, absence(path) or _nowhere(path))
            scope["path_params"] = found
        method = scope["method"]
        handle = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if handle is None:
            unfit = ForeignError("BAD_REQUEST", f"{path[:200]} takes {', '.join(sorted(methods))}", 405)
            return await send_foreign_error(send, absence(path) or unfit)
        try:
            await handle(scope, receive, send)
        except HomeostatError as error:
            if error.status >= 500:
                log.error("%s: %s", error.code, error)
            await send_foreign_error(send, foreign(error))
        except ForeignError as error:
            await send_foreign_error(send, error)
        except Exception as error:  # the trace belongs in the log, never on the wire
            log.exception("unexpected error", exc_info=error)
            await send_foreign_error(
                send, ForeignError("INTERNAL_ERROR", "something went wrong here; the server's log has the details", 500)
            )

    def _match(self, path: str) -> tuple[dict[str, Handle] | None, dict[str, str]]:
        for pattern, methods in self._patterns:
            if (found := pattern.fullmatch(path)) is not None:
                return methods, found.groupdict()
        return None, {}


def _pattern(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    for found in _PARAMETER.finditer(path):
        parts += [re.escape(path[at : found.start()]), f"(?P<{found[1]}>{'(?s:.+)' if found[2] else '[^/]+'})"]
        at = found.end()
    return re.compile("".join([*parts, re.escape(path[at:])]))


def _handle(workspace: Workspace, declared: Rpc, max_body: int) -> Handle:
    run = _raw(workspace, declared) if declared.raw else _json(workspace, declared, max_body)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if declared.permission != PUBLIC:
            actor: Actor = scope["state"]["actor"]
            # On loopback the local user may everything: the common case costs one comparison.
            if actor.permissions is not None:
                _check(actor, declared.permission)
        await run(scope, receive, send)

    return handle


def _check(actor: Actor, permission: str) -> None:
    if actor == ANONYMOUS:
        raise Unauthenticated(
            "this server asks for a token", hint="set MLFLOW_TRACKING_TOKEN, or send 'Authorization: Bearer hst_…'"
        )
    if not actor.may(permission):
        raise PermissionDenied(
            f"'{actor.name}' may not do this: it needs {permission}",
            hint="ask an administrator for a token with another role: `homeostat team create-token USER --role ROLE`",
            permission=permission,
        )


def _raw(workspace: Workspace, declared: Rpc) -> Handle:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with acting_as(_actor_name(scope)):
            response = await declared.handler(workspace, Request(scope, receive, send))
            if declared.audit:
                found = _loggable(dict(scope.get("path_params") or {}))
                await run_in_threadpool(workspace.team.record_audit, verb=_name(declared), arguments=found)
            await response(scope, receive, send)

    return run


def _json(workspace: Workspace, declared: Rpc, max_body: int) -> Handle:
    form = msgspec.json.Decoder(declared.form) if declared.form is not None else None
    answer = _answering(workspace, declared)

    async def given(scope: Scope, receive: Receive) -> Any:
        if form is None or scope.get("query_string"):
            return Args(await _arguments(scope, receive, max_body))
        body = await _body(scope, receive, max_body)
        try:
            return form.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Args(decode(body))

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        args = await given(scope, receive)
        with acting_as(_actor_name(scope)):
            body = await answer(args)
        await send_json(send, body)

    return run


def _answering(workspace: Workspace, declared: Rpc) -> Callable[[Any], Awaitable[bytes]]:
    """How the handler is asked, by what the call declares of it."""
    handler, verb = declared.handler, _name(declared)

    def in_thread(args: Args) -> bytes:
        result = handler(workspace, args)
        if declared.audit:
            workspace.team.record_audit(verb=verb, arguments=_loggable(args.values))
        return _encoded(result)

    async def thread(args: Args) -> bytes:
        return await run_in_threadpool(in_thread, args)

    async def quick(args: Any) -> bytes:
        return _encoded(await handler(workspace, args))

    async def looking(args: Args) -> bytes:
        return await look(workspace, lambda: _encoded(handler(workspace, args)))

    async def writing(args: Args) -> bytes:
        values = _loggable(args.values)
        for _ in range(_FIRSTS):
            try:
                return _encoded(
                    await change(workspace, lambda _: handler(workspace, args), verb, values, declared.audit)
                )
            except First as first:
                await run_in_threadpool(first.do)
        raise Unavailable("the call found something else to do first each time", hint="try again")

    if inspect.iscoroutinefunction(handler):
        return quick
    if declared.at_once:
        return looking if declared.permission.endswith(":read") else writing
    return thread


def _encoded(result: Any) -> bytes:
    return result if isinstance(result, bytes) else msgspec.json.encode(result)


def _actor_name(scope: Scope) -> str:
    actor: Actor | None = (scope.get("state") or {}).get("actor")
    return actor.name if actor is not None else ""


def _name(declared: Rpc) -> str:
    return f"{declared.method} {declared.path}"[:128]


def _loggable(values: dict[str, Any]) -> dict[str, Any]:
    # An address of a hook often is a secret itself.
    return {
        name: "(secret)" if "secret" in name or "token" in name or name == "url" else value
        for name, value in values.items()
    }


async def _arguments(scope: Scope, receive: Receive, max_body: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    query: bytes = scope.get("query_string", b"")
    if query:
        if len(query) > _MAX_QUERY:
            raise TooLarge("the query is too long", hint="send less, or page through it")
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in values:
                before = values[name]
                values[name] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                values[name] = value
    if not query or scope["method"] not in ("GET", "HEAD"):
        values.update(decode(await _body(scope, receive, max_body)))
    if found := scope.get("path_params"):
        values.update({name: unquote(value) if "%" in value else value for name, value in found.items()})
    return values


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ForeignError("BAD_REQUEST", "the connection was closed before the body was whole", 400)
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is larger than {limit >> 20} MiB", hint="raise HOMEOSTAT_MAX_BODY_MB")
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _nowhere(path: str) -> ForeignError:
    return ForeignError("ENDPOINT_NOT_FOUND", f"there is no call {path[:200]} here", 404)
