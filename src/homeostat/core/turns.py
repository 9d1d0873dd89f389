"""Writes asked for on an event loop, which must not wait for a thread, let alone hold one.

Those asked for in one turn of the loop share a transaction: a thousand small requests cost few commits. Like with every
write, whoever asked is answered once it is committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from homeostat.core.db import Database

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")

Tell = Callable[["Future[Any]"], None]


class Turns:
    """The way of one event loop into one database."""

    def __init__(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._db = db
        self._asked: list[tuple[Callable[[sa.Connection], Any], Context, Tell]] = []
        self._done: deque[tuple[Tell, Future[Any]]] = deque()

    def write(self, fn: Callable[[sa.Connection], T]) -> asyncio.Future[T]:
        """`fn(connection)` inside a transaction, as `Database.write` does it; the future has its result."""
        answer: asyncio.Future[T] = self.loop.create_future()

        def tell(result: Future[T]) -> None:
            if answer.done():  # whoever asked has gone
                return
            failure = result.exception()
            if failure is None:
                answer.set_result(result.result())
            else:
                answer.set_exception(failure)

        self.ask(fn, tell)
        return answer

    def ask(self, fn: Callable[[sa.Connection], T], tell: Callable[[Future[T]], None]) -> None:
        """As `write`; `tell` is called with the outcome, on the loop."""
        self._asked.append((fn, copy_context(), tell))
        if len(self._asked) == 1:
            # Not at once: what has arrived together is written together.
            self.loop.call_soon(self._write)

    def _write(self) -> None:
        asked, self._asked = self._asked, []
        try:
            written = self._db.submit_all([(fn, context) for fn, context, _ in asked])
        except Exception as error:  # the workspace is closed
            failed: Future[Any] = Future()
            failed.set_exception(error)
            written = [failed] * len(asked)
        for (_, _, tell), result in zip(asked, written, strict=True):
            if result.done():
                tell(result)
            else:
                result.add_done_callback(partial(self._later, tell))

    def _later(self, tell: Tell, result: Future[Any]) -> None:
        # In the writer's thread, for each of a group: the loop is woken once.
        self._done.append((tell, result))
        if len(self._done) == 1:
            self.loop.call_soon_threadsafe(self._tell_all)

    def _tell_all(self) -> None:
        while self._done:
            tell, result = self._done[0]
            tell(result)
            self._done.popleft()


_turns: WeakKeyDictionary[Database, Turns] = WeakKeyDictionary()


def turns(db: Database) -> Turns:
    """The way of the running event loop into `db`."""
    loop = asyncio.get_running_loop()
    found = _turns.get(db)
    if found is None or found.loop is not loop:
        found = _turns[db] = Turns(db, loop)
    return found
