"""Who may ask the data plane.

On loopback anyone on this machine: requests must name it by a loopback name and not come from a foreign web page, so
neither a page in a browser nor a renamed address (DNS rebinding) gets through. On any other address whoever sends a
token of the workspace with the permission `serving:read`, or one of a file of tokens; or, where a cluster decides who
gets through to the port at all, anyone, who may then ask and change nothing.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from homeostat.core.errors import HomeostatError, PermissionDenied, Unauthenticated
from homeostat.core.workspace import Workspace

Refusal = tuple[int, str]
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# How long a token is believed before it is looked up again: a revoked one ends within this time.
_BELIEVED_S = 5.0
_READING = ("serving:read", "explain:read")
_NEEDED = "a token is needed: send the header 'Authorization: Bearer TOKEN'"


class Asked(Protocol):
    """What access is decided by: the headers, with lower-case names, of a request in any protocol."""

    @property
    def headers(self) -> dict[bytes, bytes]:
        """At least those of `host`, `origin` and `authorization` that were sent."""
        ...


class _Verdict(NamedTuple):
    until: float
    refusal: Refusal | None
    actor: str
    permissions: frozenset[str]


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine to itself only.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """The check before every request but health. `ws` is asked for tokens when `host` is not loopback."""

    def __init__(
        self, host: str, ws: Workspace | None = None, *, token_file: Path | None = None, open_to_all: bool = False
    ) -> None:
        self._open = open_to_all
        self._authenticate: Callable[[str], tuple[str, frozenset[str]]] | None = None
        if token_file is not None:
            self._authenticate = lambda token: _listed(token_file, token)
        elif ws is not None and not is_loopback(host) and not open_to_all:
            self._authenticate = lambda token: _of_workspace(ws, token)
        self._good_hosts: set[bytes] = set()
        self._verdicts: dict[bytes, _Verdict] = {}

    def known(self, exchange: Asked) -> bool:
        """Whether `refusal` can answer from memory; if not, `look_up` goes first."""
        if self._authenticate is None:
            return True
        verdict = self._verdicts.get(exchange.headers.get(b"authorization", b""))
        return verdict is not None and verdict.until > time.monotonic()

    def look_up(self, header: bytes) -> None:
        """Ask the workspace about a token. Takes a database read: not for the event loop."""
        refusal: Refusal | None = None
        actor, permissions = "", frozenset[str]()
        scheme, _, token = header.decode("latin-1").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated(_NEEDED)
            assert self._authenticate is not None
            actor, permissions = self._authenticate(token.strip())
            if not {"serving:read", "*:read"} & permissions:
                refusal = 403, "the token may not ask for predictions (it lacks serving:read)"
        except Unauthenticated as error:
            refusal = 401, error.message
        except HomeostatError as error:
            refusal = error.status, error.message
        if len(self._verdicts) > 1000:
            self._verdicts.clear()
        self._verdicts[header] = _Verdict(time.monotonic() + _BELIEVED_S, refusal, actor, permissions)

    def refusal(self, exchange: Asked) -> Refusal | None:
        """Status and message when the request may not be answered."""
        headers = exchange.headers
        if self._authenticate is not None:
            return self._verdicts[headers.get(b"authorization", b"")].refusal
        if self._open:
            return None
        named, origin = headers.get(b"host", b""), headers.get(b"origin")
        if named in self._good_hosts and origin is None:
            return None
        host = named.decode("latin-1")
        if _name_of(host) not in _LOOPBACK_NAMES:
            return 403, f"the Host header names '{host[:80]}', which is not this machine (DNS rebinding?)"
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return 403, "requests from other web pages are refused"
        if len(self._good_hosts) < 64:
            self._good_hosts.add(named)
        return None

    def actor(self, exchange: Asked, permission: str) -> str:
        """Who asks, after `refusal` let the request through, for something that takes `permission` ("slice:verb").

        Raises: PermissionDenied when the token does not have it.
        """
        if self._authenticate is None:
            if self._open and permission not in _READING:
                raise PermissionDenied(f"whoever reaches this port may ask and change nothing ({permission} is needed)")
            return "local"
        verdict = self._verdicts[exchange.headers.get(b"authorization", b"")]
        if not {permission, f"*:{permission.partition(':')[2]}"} & verdict.permissions:
            raise PermissionDenied(f"the token may not do this (it lacks {permission})")
        return verdict.actor


def _of_workspace(ws: Workspace, token: str) -> tuple[str, frozenset[str]]:
    found = ws.team.authenticate(token)
    return found.name, frozenset(found.permissions)


def _listed(file: Path, token: str) -> tuple[str, frozenset[str]]:
    """Read each time: a secret that is mounted is replaced while we run."""
    try:
        known = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise Unauthenticated("the file of tokens cannot be read") from error
    # Every line is compared, so that the time taken tells nothing of which one is near.
    if not sum(hmac.compare_digest(line.encode(), token.encode()) for line in known if line):
        raise Unauthenticated("the token is not known")
    return "token", frozenset(_READING)


def _name_of(host: str) -> str:
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
