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


def all_rpcs() -> list[Rpc]:
    """Every call of every protocol."""
    return [found for name in PROTOCOLS for found in rpcs_of(importlib.import_module(name))]


def paths_of(declared: Rpc) -> list[str]:
    """Where a call is mounted."""
    return [declared.path] if declared.path.startswith("/") else [root + declared.path for root in FOREIGN_ROOTS]


class Calls:
    """The calls of all protocols, by path and method.

    Raises: HomeostatError for a call without a permission, and for two that answer the same.
    """

    def __init__(self, workspace: Workspace, rpcs: Iterable[Rpc], max_body: int) -> None:
        self._exact: dict[str, dict[str, Call]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Call]]] = []
        by_path: dict[str, dict[str, Call]] = {}
        for declared in rpcs:
            if not declared.permission:
                raise HomeostatError(f"call {declared.path} declares no permission; the server does not start")
            call = Call(workspace, declared, max_body)
            for path in paths_of(declared):
                methods = by_path.setdefault(path, {})
                if declared.method in methods:
                    raise HomeostatError(f"two calls answer {declared.method} {path}; the server does not start")
                methods[declared.method] = call
        for path, methods in by_path.items():
            if "{" in path:
                self._patterns.append((_pattern(path), methods))
            else:
                self._exact[path] = methods
        # The most particular first: fixed text before arguments, arguments before the rest of a path.
        self._patterns.sort(key=lambda entry: ("(.+)" in entry[0].pattern, -len(entry[0].pattern)))

    def at(self, path: str) -> tuple[dict[str, Call], dict[str, str]] | None:
        """What answers at `path`, by method, and the arguments in the path; None where nothing does."""
        if path.startswith("//"):  # an address that was joined to one with a slash at its end
            path = "/" + path.lstrip("/")
        methods = self._exact.get(path)
        if methods is not None:
            return methods, {}
        for pattern, methods in self._patterns:
            if (found := pattern.fullmatch(path)) is not None:
                return methods, found.groupdict()
        return None


class Foreign:
    """ASGI middleware that answers foreign calls and hands everything else on."""

    def __init__(self, app: ASGIApp, calls: Calls) -> None:
        self.app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path: str = scope["path"]
        found = self._calls.at(path)
        if found is None:
            if not path.startswith(FOREIGN_SPACES) and path not in PAGES:
                return await self.app(scope, receive, send)
            return await send_foreign_error(send, absence(path) or _nowhere(path))
        methods, scope["path_params"] = found
        method = scope["method"]
        call = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if call is None:
            unfit = ForeignError("BAD_REQUEST", f"{path[:200]} takes {', '.join(sorted(methods))}", 405)
            return await send_foreign_error(send, absence(path) or unfit)
        try:
            await call(scope, receive, send)
        except Exception as error:
            await send_foreign_error(send, refusal(error))


def refusal(error: Exception) -> ForeignError:
    """What is said of an error that a call ended with; in the log is what is our own fault."""
    if isinstance(error, ForeignError):
        return error
    if isinstance(error, HomeostatError):
        if error.status >= 500:
            log.error("%s: %s", error.code, error)
        return foreign(error)
    log.exception("unexpected error", exc_info=error)  # the trace belongs in the log, never on the wire
    return ForeignError("INTERNAL_ERROR", "something went wrong here; the server's log has the details", 500)


def _pattern(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    for found in _PARAMETER.finditer(path):
        parts += [re.escape(path[at : found.start()]), f"(?P<{found[1]}>{'(?s:.+)' if found[2] else '[^/]+'})"]
        at = found.end()
    return re.compile("".join([*parts, re.escape(path[at:])]))


class Call:
    """A foreign call as the server answers it. ASGI; or `answer`, for a request that is there as a whole."""

    def __init__(self, workspace: Workspace, declared: Rpc, max_body: int) -> None:
        self.declared = declared
        self.max_body = max_body
        self._workspace = workspace
        self._form = msgspec.json.Decoder(declared.form) if declared.form is not None else None
        self._answering = _answering(workspace, declared)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        actor: Actor = (scope.get("state") or {}).get("actor") or ANONYMOUS
        self._check(actor)  # before anything is read
        if self.declared.raw:
            await self._raw(actor, scope, receive, send)
            return
        query = scope.get("query_string", b"")
        bare = query and scope["method"] in ("GET", "HEAD")
        body = b"" if bare else await _body(receive, self.max_body)
        await send_json(send, await self.answer(actor, query, scope["path_params"], body))

    async def answer(self, actor: Actor, query: bytes, named: dict[str, str], body: bytes) -> bytes:
        """The JSON that answers. `named`: the arguments in the path.

        Raises: whatever `refusal` puts into words.
        """
        self._check(actor)
        with acting_as(actor.name):
            return await self._answering(self._given(query, named, body))

    def _check(self, actor: Actor) -> None:
        # On loopback the local user may everything: the common case costs one comparison.
        if actor.permissions is not None and self.declared.permission != PUBLIC:
            _check(actor, self.declared.permission)

    def _given(self, query: bytes, named: dict[str, str], body: bytes) -> Any:
        if self._form is not None and not query:
            try:
                return self._form.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return Args(decode(body))
        return Args(_arguments(query, named, body))

    async def _raw(self, actor: Actor, scope: Scope, receive: Receive, send: Send) -> None:
        declared = self.declared
        with acting_as(actor.name):
            response = await declared.handler(self._workspace, Request(scope, receive, send))
            if declared.audit:
                found = _loggable(dict(scope["path_params"]))
                await run_in_threadpool(self._workspace.team.record_audit, verb=_name(declared), arguments=found)
            await response(scope, receive, send)


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


def _name(declared: Rpc) -> str:
    return f"{declared.method} {declared.path}"[:128]


def _loggable(values: dict[str, Any]) -> dict[str, Any]:
    # An address of a hook often is a secret itself.
    return {
        name: "(secret)" if "secret" in name or "token" in name or name == "url" else value
        for name, value in values.items()
    }


def _arguments(query: bytes, named: dict[str, str], body: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if query:
        if len(query) > _MAX_QUERY:
            raise TooLarge("the query is too long", hint="send less, or page through it")
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in values:
                before = values[name]
                values[name] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                values[name] = value
    if body:
        values.update(decode(body))
    if named:
        values.update({name: unquote(value) if "%" in value else value for name, value in named.items()})
    return values


async def _body(receive: Receive, limit: int) -> bytes:
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
