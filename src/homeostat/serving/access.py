"""Who may ask the data plane.

On loopback anyone on this machine: requests must name it by a loopback name and not come from a foreign web page, so
neither a page in a browser nor a renamed address (DNS rebinding) gets through. On any other address whoever sends a
token of the workspace with the permission `serving:read`, or one of a file of tokens; or, where a cluster decides who
gets through to the port at all, anyone, who may then ask and change nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from homeostat.core.attempts import Attempts
from homeostat.core.errors import HomeostatError, PermissionDenied, TooManyRequests, Unauthenticated
from homeostat.core.workspace import Workspace

_MOST = 1000
log = logging.getLogger("homeostat.serving")

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# How long a token is believed before it is looked up again: a revoked one ends within this time.
_BELIEVED_S = 5.0
_READING = ("serving:read", "explain:read")
_NEEDED = "a token is needed: send the header 'Authorization: Bearer TOKEN'"


class Refusal(NamedTuple):
    """Status, message, and in how many seconds asking again makes sense (0: not said)."""

    status: int
    message: str
    wait_s: int = 0


class Line(Protocol):
    """The connection that a request came by."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once it is closed."""
        ...


class Asked(Protocol):
    """What access is decided by: the headers, with lower-case names, of a request in any protocol, and its line."""

    @property
    def connection(self) -> Line:
        """For the address of whoever asks."""
        ...

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
        self._trusting = self._authenticate is None and not open_to_all
        self._attempts = Attempts()
        self._good_hosts: set[bytes] = set()
        # By the header that was sent, changed on the event loop only. Wrong ones have a place of their own: however
        # many somebody sends, those of others are not forgotten for them.
        self._good: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._wrong: OrderedDict[bytes, _Verdict] = OrderedDict()

    def familiar(self, exchange: Asked) -> bool:
        """Whether nothing need be looked at: this machine asks itself, by a name that was good before."""
        headers = exchange.headers
        return self._trusting and headers.get(b"host") in self._good_hosts and b"origin" not in headers

    def known(self, exchange: Asked) -> bool:
        """Whether `refusal` can answer from memory; if not, `look_up` goes first."""
        if self._authenticate is None:
            return True
        verdict = self._verdict(exchange)
        return verdict is not None and verdict.until > time.monotonic()

    def look_up(self, exchange: Asked, then: Callable[[], object]) -> None:
        """Ask the workspace about the token that was sent, beside the event loop, and go on with `then`."""
        header = exchange.headers.get(b"authorization", b"")
        looking = asyncio.get_running_loop().run_in_executor(None, self._looked_up, header)
        looking.add_done_callback(partial(self._learn, header, then))

    def _learn(self, header: bytes, then: Callable[[], object], looked: asyncio.Future[_Verdict]) -> None:
        verdict = looked.result()
        good, wrong = self._good, self._wrong
        good.pop(header, None)
        wrong.pop(header, None)
        place = good if verdict.permissions else wrong
        place[header] = verdict
        if len(place) > _MOST:
            place.popitem(last=False)
        then()

    def _verdict(self, exchange: Asked) -> _Verdict | None:
        header = exchange.headers.get(b"authorization", b"")
        return self._good.get(header) or self._wrong.get(header)

    def _looked_up(self, header: bytes) -> _Verdict:
        refusal: Refusal | None = None
        actor, permissions = "", frozenset[str]()
        scheme, _, token = header.decode("latin-1").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated(_NEEDED)
            assert self._authenticate is not None
            actor, permissions = self._authenticate(token.strip())
            if not {"serving:read", "*:read"} & permissions:
                refusal = Refusal(403, "the token may not ask for predictions (it lacks serving:read)")
        except HomeostatError as error:
            refusal = Refusal(error.status, error.message)
        except Exception:  # whoever asked must hear something
            log.exception("a token could not be looked up")
            refusal = Refusal(503, "tokens cannot be looked up just now")
        return _Verdict(time.monotonic() + _BELIEVED_S, refusal, actor, permissions)

    def refusal(self, exchange: Asked) -> Refusal | None:
        """Status and message when the request may not be answered."""
        headers = exchange.headers
        if self._authenticate is not None:
            return self._refused(exchange)
        if self._open:
            return None
        named, origin = headers.get(b"host", b""), headers.get(b"origin")
        host = named.decode("latin-1")
        if _name_of(host) not in _LOOPBACK_NAMES:
            return Refusal(403, f"the Host header names '{host[:80]}', which is not this machine (DNS rebinding?)")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return Refusal(403, "requests from other web pages are refused")
        if len(self._good_hosts) < 64:
            self._good_hosts.add(named)
        return None

    def _refused(self, exchange: Asked) -> Refusal | None:
        verdict = self._verdict(exchange)
        if verdict is None:
            return Refusal(503, "tokens cannot be looked up just now")
        refusal = verdict.refusal
        if refusal is None or refusal.status != 401 or not exchange.headers.get(b"authorization"):
            return refusal
        line = exchange.connection.transport
        peer = None if line is None else line.get_extra_info("peername")
        told = self._attempts.wrong(str(peer[0]) if peer else "", Unauthenticated(refusal.message))
        wait_s = told.facts["retry_after_s"] if isinstance(told, TooManyRequests) else 0
        return Refusal(told.status, told.message, wait_s)

    def actor(self, exchange: Asked, permission: str) -> str:
        """Who asks, after `refusal` let the request through, for something that takes `permission` ("slice:verb").

        Raises: PermissionDenied when the token does not have it.
        """
        if self._authenticate is None:
            if self._open and permission not in _READING:
                raise PermissionDenied(f"whoever reaches this port may ask and change nothing ({permission} is needed)")
            return "local"
        verdict = self._verdict(exchange)
        if verdict is None or not {permission, f"*:{permission.partition(':')[2]}"} & verdict.permissions:
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
