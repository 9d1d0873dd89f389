"""Calls that only ask the database, and little: without a thread of their own where the data lies on this machine.

A change is one transaction with its entry in the audit log: the one is kept if and only if the other is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.concurrency import run_in_threadpool

from homeostat.core.turns import turns
from homeostat.core.workspace import Workspace
from homeostat.team import note_audit

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


async def look(ws: Workspace, call: Callable[[], T]) -> T:
    """What `call` finds."""
    return call() if ws.db.near else await run_in_threadpool(call)


async def change(
    ws: Workspace, fn: Callable[[sa.Connection], T], verb: str, arguments: dict[str, Any], audit: bool = True
) -> T:
    """What `fn(connection)` gives, once that is committed, and with it that the acting user has called `verb`."""

    def write(c: sa.Connection) -> T:
        result = fn(c)
        if audit:
            note_audit(ws, verb, arguments)
        return result

    return await turns(ws.db).write(write)
