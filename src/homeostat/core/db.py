"""The metadata database: SQLAlchemy Core over SQLite or PostgreSQL, one writer thread, group commit.

Promises, checked by `homeostat.testing.database`:
- `write(fn)` returns after the commit that holds it: what was answered is on disk.
- Writes that wait at the same time share one transaction, each in a savepoint of its own: one that fails takes only
  itself back. Many small writes cost few commits, and a lone write never waits for company.
- `write` inside a write joins the transaction; `read` inside a write sees it.
- Any thread may call; several processes may open one database.
- `fn` may run again (lost connection, busy database, another process in the way): it touches nothing but the database.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from homeostat.core.errors import Conflict, Corrupt, HomeostatError, InvalidInput, StorageFull, Unavailable

T = TypeVar("T")

metadata = sa.MetaData()

# The largest group: bounds how long the first waiter waits for the last.
_GROUP = 256

_Job = tuple[Callable[[sa.Connection], Any], "Future[Any]", Context]


class Database:
    """A database behind one writer thread. `writer` and `reader` are engines on the same data."""

    def __init__(self, writer: sa.Engine, reader: sa.Engine, url: str) -> None:
        self.url = url
        self.writer = writer
        self.reader = reader
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open = threading.local()
        self._closed = False

    def write(self, fn: Callable[[sa.Connection], T]) -> T:
        """`fn(connection)` inside a transaction; its result once that is committed."""
        joined: sa.Connection | None = getattr(self._open, "connection", None)
        return fn(joined) if joined is not None else self.submit(fn).result()

    def submit(self, fn: Callable[[sa.Connection], T]) -> Future[T]:
        """As `write`, without waiting: the future is done once it is committed. Not from inside a write."""
        future: Future[T] = Future()
        # From here on nobody can cancel it: whoever waits may go away, the write is made, and the writer lives on.
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise Unavailable("the workspace is closed", hint="open it again with hs.open(…)")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="homeostat-writer", daemon=True)
                self._thread.start()
            self._jobs.put((fn, future, copy_context()))
        return future

    def read(self, fn: Callable[[sa.Connection], T]) -> T:
        """`fn(connection)` on one consistent snapshot, beside any writer."""
        joined: sa.Connection | None = getattr(self._open, "connection", None)
        if joined is not None:
            return fn(joined)
        try:
            with self.reader.connect() as connection, connection.begin():
                return fn(connection)
        except exc.DBAPIError as error:
            raise translate(error) from error
        except OverflowError as error:
            raise _too_large(error) from error

    def before_commit(self, fn: Callable[[sa.Connection], None]) -> None:
        """From inside a write: call `fn(connection)` at the end of its transaction, if the write succeeds.

        For what takes a lock that all writers share: taken last, it is held for a moment only, and nobody who holds
        it waits for a row.
        """
        self._open.last.append(fn)

    def close(self) -> None:
        """Finish the writes already asked for, then let go of every connection."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        self.writer.dispose()
        self.reader.dispose()

    def _run(self) -> None:
        while True:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                if len(jobs) == _GROUP:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                self._commit(jobs)
            if job is None:
                return

    def _commit(self, jobs: list[_Job], tries: int = 3) -> None:
        done: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self.writer.connect() as connection, connection.begin():
                self._open.connection = connection
                last: list[Callable[[sa.Connection], None]] = []
                for fn, future, context in jobs:
                    self._open.last = []
                    done.append((future, *_attempt(connection, fn, context)))
                    last += self._open.last if done[-1][2] is None else []
                for fn in last:
                    fn(connection)
        except BaseException as error:
            if tries > 1 and isinstance(error, exc.DBAPIError) and _may_succeed_again(error):
                self._open.connection = None
                # One by one: a group takes rows in the order of its members, which another process may not share.
                for job in jobs:
                    self._commit([job], tries - 1)
                return
            failure = translate(error) if isinstance(error, exc.DBAPIError) else error
            done = [(future, None, failure) for _, future, _ in jobs]
        finally:
            self._open.connection = None
        for future, result, failure in done:
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)


def _attempt(
    connection: sa.Connection, fn: Callable[[sa.Connection], Any], context: Context
) -> tuple[Any, BaseException | None]:
    savepoint = connection.begin_nested()
    try:
        result = context.run(fn, connection)
        savepoint.commit()
    except exc.DBAPIError as error:
        if _may_succeed_again(error):
            raise
        savepoint.rollback()
        # A constraint that does not hold belongs to whoever asked; they know what it means.
        return None, error if isinstance(error, exc.IntegrityError) else translate(error)
    except OverflowError as error:
        savepoint.rollback()
        return None, _too_large(error)
    except BaseException as error:
        savepoint.rollback()
        return None, error
    return result, None


def _may_succeed_again(error: exc.DBAPIError) -> bool:
    """True when nothing was wrong with the statement: the connection broke, or another process was in the way."""
    deadlock, serialisation = "40P01", "40001"
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in (deadlock, serialisation)


def _too_large(error: OverflowError) -> InvalidInput:
    # SQLite's driver says this itself; PostgreSQL's is a DataError.
    return InvalidInput(f"a number is too large to be kept: {error}", hint="whole numbers have 64 bits here")


def translate(error: exc.DBAPIError) -> HomeostatError:
    """A database driver's complaint as one of ours: what happened and what to do."""
    text = str(error.orig)
    low = text.lower()
    if "disk is full" in low or "no space left" in low or "disk i/o error" in low or "could not extend file" in low:
        return StorageFull(f"the database cannot grow: {text}", hint="free some disk space; nothing answered is lost")
    if "malformed" in low or "not a database" in low or "corrupt" in low:
        return Corrupt(f"the database is damaged: {text}", hint="`homeostat doctor`, then `homeostat restore BACKUP`")
    if "locked" in low or "could not connect" in low or "connection" in low or "timeout" in low:
        return Unavailable(f"the database does not answer: {text}", hint="is another process holding it? try again")
    if "readonly" in low or "read-only" in low or "unable to open" in low:
        return Unavailable(f"the database cannot be opened for writing: {text}", hint="check the folder's permissions")
    if isinstance(error, exc.DataError):
        return InvalidInput(f"a value cannot be kept: {text}")
    if isinstance(error, exc.IntegrityError):
        return Conflict(f"the change contradicts what is stored: {text}")
    return HomeostatError(f"the database refused a statement: {text}")


def database_now_ms(connection: sa.Connection) -> int:
    """Milliseconds since 1970 by the database's clock, which several hosts share."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(sa.text("select extract(epoch from clock_timestamp()) * 1000")).scalar_one())
    return int(
        connection.execute(sa.text("select cast((julianday('now') - 2440587.5) * 86400000 as integer)")).scalar_one()
    )
