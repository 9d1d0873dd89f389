"""Who is asking, and whether the request may be from them.

On loopback without tokens everybody is the local user. Otherwise a bearer token, or the cookie of a page that logged
in, names the actor. Requests that change something must come from a program or from our own pages: Host and Origin
are checked by value, so neither a foreign page (CSRF) nor a renamed address (DNS rebinding) gets through.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from homeostat.core.attempts import Attempts
from homeostat.core.errors import HomeostatError, PermissionDenied, Unauthenticated
from homeostat.core.foreign import foreign
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.server.answers import error_response, send_foreign_error
from homeostat.team import believed, recognise

COOKIE = "homeostat_token"
_HEADERS = (b"host", b"origin", b"sec-fetch-site", b"authorization", b"cookie")
_SAFE = ("GET", "HEAD", "OPTIONS")

# Where foreign protocols are spoken (`foreign.py`), errors included. Ours is below /api/v1/.
FOREIGN_ROOTS = ("/api/", "/ajax-api/")
FOREIGN_SPACES = tuple(root + version for root in FOREIGN_ROOTS for version in ("2.0/", "3.0/"))


class Actor(Record):
    """Somebody, with the permissions of their role. `permissions` None means all of them."""

    name: str
    permissions: tuple[str, ...] | None = None

    def may(self, permission: str) -> bool:
        """Whether `permission` ("slice:read", "slice:write", "slice:admin") is among theirs; `*` stands for any slice.

        >>> Actor(name="ann", permissions=("*:read",)).may("data:read")
        True
        """
        return (
            self.permissions is None
            or permission in self.permissions
            or f"*:{permission.partition(':')[2]}" in self.permissions
        )


ANONYMOUS = Actor(name="", permissions=())


@lru_cache(64)
def is_loopback(host: str) -> bool:
    """Whether `host` names this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """Who is asking, by the headers of a request. `open_to_local` is the loopback mode without login."""

    def __init__(self, workspace: Workspace, host: str, attempts: Attempts) -> None:
        self._attempts = attempts
        self._workspace = workspace
        self._open_to_local = is_loopback(host)
        self._without_token = Actor(name=workspace.settings.actor) if self._open_to_local else ANONYMOUS

    async def actor(self, scope: Scope) -> Actor:
        """Who sends a request.

        Raises: PermissionDenied for a host or an origin that may not; Unauthenticated for a token that is none.
        """
        headers = _asked_for(scope)
        self._check(scope["method"], headers)
        try:
            token = token_of(headers)
        except Unauthenticated as error:
            raise self._attempts.wrong(address_of(scope), error) from None
        return await self.holder(token, address_of(scope))

    async def holder(self, token: str, address: str) -> Actor:
        """Whose token this is, sent from `address`; whoever has none for "".

        Raises: Unauthenticated; TooManyRequests for many wrong ones from there.
        """
        if not token:
            return self._without_token
        found = believed(self._workspace, token)
        if found is None:
            try:
                found = await run_in_threadpool(recognise, self._workspace, token)
            except Unauthenticated as error:
                raise self._attempts.wrong(address, error) from None
        return Actor(name=found.name, permissions=tuple(found.permissions))

    def token_of(self, scope: Scope) -> str | None:
        """The token of a request, "" without one; None if the request is refused whoever sends it."""
        headers = _asked_for(scope)
        try:
            self._check(scope["method"], headers)
            return token_of(headers)
        except HomeostatError:
            return None

    def _check(self, method: str, headers: Mapping[str, str]) -> None:
        name = _host_of(headers.get("host", ""))
        if self._open_to_local and not is_loopback(name):
            raise PermissionDenied(
                f"this server answers on loopback only, not as {name[:80]!r}", hint="use http://127.0.0.1"
            )
        if method not in _SAFE:
            _check_origin(headers)


class Access:
    """ASGI middleware that lets through whom the gate does, and notes who it is."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            scope.setdefault("state", {})["actor"] = await self._gate.actor(scope)
        except HomeostatError as error:
            if scope["path"].startswith(FOREIGN_SPACES):
                return await send_foreign_error(send, foreign(error))
            return await error_response(error)(scope, receive, send)
        return await self.app(scope, receive, send)


def _asked_for(scope: Scope) -> dict[str, str]:
    """The headers that matter here, the first of each name."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS:
            found.setdefault(name.decode(), value.decode("latin-1"))
    return found


@lru_cache(64)
def _host_of(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:  # such as a bracket that is never closed
        return ""


def address_of(scope: Scope) -> str:
    """The address a request comes from; "" where it has none (a local socket)."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def token_of(headers: Mapping[str, str]) -> str:
    """The token that a request names its sender by, whichever way it came; "" without one."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return _password(value)
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _password(value: str) -> str:
    """The token that a client sends as the password beside a user name; the token alone says who it is."""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2].strip()
    except ValueError:
        raise Unauthenticated("the Authorization header is not well formed", hint="send user:token as Basic") from None


def _check_origin(headers: Mapping[str, str]) -> None:
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise PermissionDenied(f"a page of {origin[:80]!r} may not change anything here")
    if origin is None and site not in (None, "same-origin", "none"):
        raise PermissionDenied("a foreign page may not change anything here")
    if origin is None and site is None and headers.get("cookie") and not headers.get("authorization"):
        raise PermissionDenied("a change needs a token or a page of this server", hint="send an Authorization header")
