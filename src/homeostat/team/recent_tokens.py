"""Tokens that were looked up a moment ago, for servers that hear the same one with each request.

A change of users or tokens by this process counts from the next request on; that of another one within `BELIEVED_S`.
"""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple
from weakref import WeakKeyDictionary

from homeostat.core.clock import now_ms
from homeostat.core.workspace import Workspace
from homeostat.team.model import Actor

BELIEVED_S = 1.0
_MOST = 4096


class _Found(NamedTuple):
    actor: Actor
    change: int
    until_s: float


class _Tokens:
    def __init__(self) -> None:
        self.change = 0  # how often users or tokens were changed here
        self.found: dict[bytes, _Found] = {}


_of: WeakKeyDictionary[Workspace, _Tokens] = WeakKeyDictionary()


def believed(ws: Workspace, token: str) -> Actor | None:
    """Whose token this was when it was looked up, if that was a moment ago and nothing changed here; else None."""
    tokens = _of.get(ws)
    found = None if tokens is None else tokens.found.get(_key(token))
    if tokens is None or found is None or found.change != tokens.change or found.until_s <= time.monotonic():
        return None
    return found.actor


def changes(ws: Workspace) -> int:
    """How often users or tokens were changed by this process; to be asked for before a token is looked up."""
    tokens = _of.get(ws)
    return 0 if tokens is None else tokens.change


def believe(ws: Workspace, token: str, actor: Actor, expires_ms: int | None, change: int) -> None:
    """Remember for a moment that `token` is of `actor`, as it was after `change` changes."""
    lasts_s = BELIEVED_S if expires_ms is None else min(BELIEVED_S, (expires_ms - now_ms()) / 1000)
    tokens = _of.setdefault(ws, _Tokens())
    if len(tokens.found) >= _MOST:
        tokens.found.clear()
    tokens.found[_key(token)] = _Found(actor, change, time.monotonic() + lasts_s)


def note_change(ws: Workspace) -> None:
    """Users or tokens were changed: each is looked up again."""
    _of.setdefault(ws, _Tokens()).change += 1


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
