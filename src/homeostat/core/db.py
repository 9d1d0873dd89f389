"""The metadata database: SQLAlchemy Core over SQLite or PostgreSQL, one writer at a time, group commit.

Promises, checked by `homeostat.testing.database`:
- `write(fn)` returns after the commit that holds it: what was answered is on disk.
- Writes that wait at the same time share one transaction, each in a savepoint of its own: one that fails takes only
  itself back. Many small writes cost few commits, and a lone write never waits for company.
- A write from an event loop (`turns.py`) is done right there when nobody else is writing and writing is quick: handing
  it over and back costs more than the write. Otherwise the writer thread does it.
- `write` inside a write joins the transaction; `read` inside a write sees it.
- Rows that were appended in a hurry (the `inbox`) are put in their place before anybody reads, whoever appended them.
- Any thread may call; several processes may open one database.
- `fn` may run again (lost connection, busy database, another process in the way): it touches nothing but the database.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from homeostat.core import statements
from homeostat.core.complaints import may_succeed_again, told, too_large, translate
from homeostat.core.errors import StorageFull, Unavailable

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

metadata = sa.MetaData()

# The largest group: bounds how long the first waiter waits for the last.
_GROUP = 256

# What is written on an event loop holds it up: where writes take longer than this, they are handed over for a while, so
# that slow ones hold it for a tenth of the time at most. To hand one over takes as long on a machine that has much to
# do. A single one that takes long says little of the next.
_LONG_S, _RARELY, _JUMP = 0.005, 10, 8

# What is written behind others waits so many times as long as the last one and what led to it took, and at most so
# long, while there was a write of others in the last moment.
_BEHIND, _MOST_S, _QUIET_S = 9, 1.0, 0.25

# How often a write is tried that another process was in the way of, and how long it waits at first.
_TRIES, _PAUSE_S = 5, 0.02

Write = Callable[[sa.Connection], Any]
_Job = tuple[Write, "Future[Any]", Context]
_Done = tuple["Future[Any]", Any, BaseException | None]
Snapshot = Callable[[sa.Engine, str, Callable[[sa.Connection], Any]], Any]


class _TakenBack(Exception):
    """What was seen in a write that is not to be."""


class _InTheWay(Exception):
    """Nothing was written, because of somebody else: it may be tried again, by who can wait."""


class Inbox(NamedTuple):
    """A table that is appended to and no more, because that is quick; `settle` puts its rows where readers look."""

    look: str  # gives a row while there are some
    settle: Write


class Line(Protocol):
    """A way to execute one statement, which gives no rows, for an event loop without a thread.

    It executes it for each of some rows of parameters, all in one transaction. Asked one at a time, it calls `tell` on
    the loop with how many rows each changed once that is committed, or with None when it failed or was not heard of:
    it may be done or not. `open` says whether it makes sense to ask.
    """

    open: bool

    def ask(self, rows: Sequence[Sequence[str | bytes]], tell: Callable[[list[int] | None], None]) -> None: ...

    def close(self) -> None: ...


class Database:
    """A database with one writer at a time. `writer` and `reader` are engines on the same data.

    `patience(connection, waits)` sets whether the writer waits for other processes or fails almost at once; None where
    every write waits for something, such as the network: then the writer thread does them all, but for those that a
    `line` takes, where there are such. `snapshot(reader, look, fn)` gives what `fn(connection)` does in a transaction
    of its own, or raises RowsWait, from whatever `fn` asks first at the latest, where the statement `look`, unless it
    is empty, gives a row there. `looker` is for statements by themselves, where another engine suits those better.
    """

    def __init__(
        self,
        writer: sa.Engine,
        reader: sa.Engine,
        url: str,
        patience: Callable[[sa.Connection, bool], None] | None = None,
        line: Callable[[str, str, asyncio.AbstractEventLoop], Line] | None = None,
        snapshot: Snapshot | None = None,
        looker: sa.Engine | None = None,
    ) -> None:
        self.url = url
        self.writer = writer
        self.reader = reader
        self._looker = looker or reader
        self.inbox: Inbox | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._patience = patience
        self._new_line, self._lines = line, list[Line]()
        self._snapshot = snapshot or _snapshot
        # The writer's own connection, and whether it waits for other processes: of whoever holds the turn.
        self._turn = threading.Lock()
        self._kept: sa.Connection | None = None
        self._waits: bool | None = None
        # How long writing on an event loop takes of late, and when it may be tried again.
        self._takes = self._not_before = 0.0
        self._asked = 0  # writes handed to the thread and not done
        self._wanted = 0.0  # when somebody last asked for a write, other than `behind` all others
        self._lock = threading.Lock()
        self._open = threading.local()
        self._closed = False

    def write(self, fn: Callable[[sa.Connection], T]) -> T:
        """`fn(connection)` inside a transaction; its result once that is committed."""
        joined: sa.Connection | None = getattr(self._open, "connection", None)
        if joined is not None:
            return fn(joined)
        if not getattr(self._open, "behind", False):
            self._wanted = monotonic()
            future: Future[T] = Future()
            jobs: list[_Job] = [(fn, future, copy_context())]
            # An interrupt may come at any moment, but to the main thread only: what it writes it hands over.
            if threading.current_thread() is threading.main_thread() or not self._done_by_caller(jobs):
                self._hand_over(jobs)
            return future.result()
        begun = now = monotonic()
        while now < self._open.next and now - self._wanted < _QUIET_S:
            sleep(_PAUSE_S / 2)
            now = monotonic()
        try:
            return self.submit(fn).result()
        finally:
            end = monotonic()
            spent = end - self._open.since - (now - begun)  # with what was read and computed for it
            self._open.since, self._open.next = end, end + min(_MOST_S, _BEHIND * spent)

    @contextmanager
    def behind(self) -> Generator[None]:
        """Have this thread give way before it writes: while others write, its work takes a tenth of the time.

        For housekeeping, whose writes are small then, as whoever asks for something waits for one of them at most.
        """
        before, self._open.behind = getattr(self._open, "behind", False), True
        self._open.since, self._open.next = monotonic(), getattr(self._open, "next", 0.0)
        try:
            yield
        finally:
            self._open.behind = before

    def submit(self, fn: Callable[[sa.Connection], T]) -> Future[T]:
        """As `write`, without waiting: the future is done once it is committed. Not from inside a write."""
        future: Future[T] = Future()
        self._hand_over([(fn, future, copy_context())])
        return future

    def submit_all(self, asked: Iterable[tuple[Write, Context]]) -> list[Future[Any]]:
        """As `submit`, of several that share a transaction, for a thread that must not wait: an event loop's.

        They are done on return where that takes a moment only, else by the writer thread.
        """
        self._wanted = monotonic()
        jobs: list[_Job] = [(fn, Future(), context) for fn, context in asked]
        if not self._done_here(jobs):
            self._hand_over(jobs)
        return [future for _, future, _ in jobs]

    def line(self, sql: str, loop: asyncio.AbstractEventLoop) -> Line | None:
        """A line for this statement, which is not open at first; None where writing here is as quick."""
        if self._new_line is None:
            return None
        line = self._new_line(self.url, sql, loop)
        self._lines.append(line)
        return line

    def _hand_over(self, jobs: list[_Job]) -> None:
        for _, future, _ in jobs:
            # From here on nobody can cancel it: whoever waits may go away, the write is made, and the writer lives on.
            future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise Unavailable("the workspace is closed", hint="open it again with hs.open(…)")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="homeostat-writer", daemon=True)
                self._thread.start()
            self._asked += len(jobs)
            for job in jobs:
                self._jobs.put(job)

    def _done_by_caller(self, jobs: list[_Job]) -> bool:
        """Whether nobody was writing, so that it is done now: to hand it over takes longer than a small write."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._asked or self._closed:
                return False
            done = self._commit(jobs)
        finally:
            self._turn.release()
        _tell(done)
        return True

    def _done_here(self, jobs: list[_Job]) -> bool:
        start = monotonic()
        if self._patience is None or start < self._not_before or not self._turn.acquire(blocking=False):
            return False
        try:
            # Whoever asked before is served before.
            if self._asked or self._closed or len(jobs) > _GROUP:
                return False
            try:
                transaction = self._connection(waits=False).begin()
            except exc.DBAPIError:  # another process is writing; or worse, which the thread will find out
                self._let_go()
                return False
            try:
                done = self._commit(jobs, transaction)
            except _InTheWay:
                now = monotonic()
                self._not_before = now + _RARELY * (now - start)
                return False
        finally:
            self._turn.release()
        _tell(done)
        end = monotonic()
        self._takes += (min(end - start, _JUMP * max(self._takes, _LONG_S / 10)) - self._takes) / 8
        if self._takes > _LONG_S:
            self._not_before = end + _RARELY * self._takes
        return True

    def look(self, fn: Callable[[sa.Connection], T]) -> T:
        """What `fn(connection)` finds by one statement, which needs no transaction: to begin and end one costs as much.

        Rows that wait in the inbox stay there.
        """
        joined: sa.Connection | None = getattr(self._open, "connection", None)
        if joined is not None:
            return fn(joined)
        try:
            for last in (False, True):
                with self._looker.connect() as connection:
                    try:
                        return fn(connection)
                    except exc.DBAPIError as error:
                        if last or not error.connection_invalidated:
                            raise
                self._looker.dispose()  # it was lost since it was last used, and so are those beside it
        except exc.DBAPIError as error:
            raise translate(error) from error
        except OverflowError as error:
            raise too_large(error) from error
        raise AssertionError("it has found something, or failed")

    def read(self, fn: Callable[[sa.Connection], T], settled: bool = True) -> T:
        """`fn(connection)` on one consistent snapshot, beside any writer.

        `settled=False` is for what has nothing to do with rows that wait in the inbox, and is asked many times a
        second: they stay there.
        """
        inbox = self.inbox if settled else None
        joined: sa.Connection | None = getattr(self._open, "connection", None)
        if joined is not None:
            if inbox is not None and statements.rows(joined, inbox.look):
                inbox.settle(joined)
            return fn(joined)
        try:
            try:
                return self._snapshot(self.reader, "" if inbox is None else inbox.look, fn)
            except statements.RowsWait:
                assert inbox is not None
            try:
                self.write(inbox.settle)
            except StorageFull:
                with suppress(StorageFull):
                    return self._as_if_settled(fn, inbox)
            except Unavailable:  # another process is writing all the time: what is in its place can be read, at least
                pass
            return self._snapshot(self.reader, "", fn)
        except exc.DBAPIError as error:
            raise translate(error) from error
        except OverflowError as error:
            raise too_large(error) from error

    def _as_if_settled(self, fn: Callable[[sa.Connection], T], inbox: Inbox) -> T:
        # Nothing can be put in its place on a full disk, but it can be looked at there, and taken back.
        def look(connection: sa.Connection) -> None:
            inbox.settle(connection)
            raise _TakenBack(fn(connection))

        try:
            self.write(look)
        except _TakenBack as taken:
            return taken.args[0]
        raise AssertionError("it is always taken back")

    @property
    def writing(self) -> bool:
        """Whether this thread is inside a write: what it reads then may be taken back."""
        return getattr(self._open, "connection", None) is not None

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closed

    @property
    def near(self) -> bool:
        """Whether the data lies on this machine: then a small read takes less than handing it to a thread would."""
        return self._patience is not None

    def before_commit(self, fn: Callable[[sa.Connection], None], order: int = 0) -> None:
        """From inside a write: call `fn(connection)` at the end of its transaction, if the write succeeds.

        For what takes a lock that all writers share: taken last, it is held for a moment only, and nobody who holds
        it waits for a row. `order` is that of the locks: whoever takes two takes them alike, of all writes of a group.
        """
        self._open.last.append((order, fn))

    def close(self) -> None:
        """Finish the writes already asked for, then let go of every connection."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        for line in self._lines:
            line.close()
        if self._thread is not None:
            self._thread.join()
        with self._turn:
            self._let_go()
        for engine in (self.writer, self.reader, self._looker):
            engine.dispose()

    def _run(self) -> None:
        while True:
            jobs: list[_Job] = []
            job = self._jobs.get()
            with self._turn:  # what is asked until it comes is in the same group
                while job is not None:
                    jobs.append(job)
                    if len(jobs) == _GROUP:
                        break
                    try:
                        job = self._jobs.get_nowait()
                    except queue.Empty:
                        break
                done = self._commit(jobs) if jobs else []
            if jobs:
                with self._lock:
                    self._asked -= len(jobs)
                _tell(done)
            if job is None:
                return

    def _connection(self, waits: bool) -> sa.Connection:
        # Kept from write to write: to take it from the pool and give it back costs more than a small write itself.
        if self._kept is None:
            self._kept, self._waits = self.writer.connect(), None
        if self._waits is not waits and self._patience is not None:
            self._patience(self._kept, waits)
            self._waits = waits
        return self._kept

    def _let_go(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept.close()

    def _commit(self, jobs: list[_Job], begun: sa.RootTransaction | None = None, tries: int = _TRIES) -> list[_Done]:
        """What became of each, to be told once the next may write."""
        done: list[_Done] = []
        try:
            with begun or self._connection(waits=True).begin() as transaction:
                connection = self._open.connection = transaction.connection
                last: list[tuple[int, Write]] = []
                # Alone in its transaction, a job needs no savepoint: it is taken back with it.
                attempt = _attempt_alone if len(jobs) == 1 else _attempt
                for fn, future, context in jobs:
                    self._open.last = []
                    done.append((future, *attempt(connection, fn, context)))
                    last += self._open.last if done[-1][2] is None else []
                if len(jobs) == 1 and done[0][2] is not None:
                    transaction.rollback()
                for _, fn in sorted(last, key=_order):
                    fn(connection)
        except BaseException as error:
            self._let_go()
            if begun is not None and isinstance(error, exc.DBAPIError) and may_succeed_again(error):
                raise _InTheWay from error
            if tries > 1 and isinstance(error, exc.DBAPIError) and may_succeed_again(error):
                self._open.connection = None
                # Not at once, or whom it was in the way of finds it there again.
                sleep(_PAUSE_S * 2 ** (_TRIES - tries))
                # One by one: a group takes rows in the order of its members, which another process may not share.
                return [done for job in jobs for done in self._commit([job], tries=tries - 1)]
            failure = error
            if isinstance(error, exc.DBAPIError):
                # What a lone one put off fails here, as a statement of it.
                failure = told(error) if len(jobs) == 1 else translate(error)
            done = [(future, None, failure) for _, future, _ in jobs]
        finally:
            self._open.connection = None
        return done


def _snapshot(reader: sa.Engine, look: str, fn: Callable[[sa.Connection], T]) -> T:
    with reader.connect() as connection, connection.begin():
        if look and statements.rows(connection, look):
            raise statements.RowsWait
        return fn(connection)


def _order(last: tuple[int, Write]) -> int:
    return last[0]


def _tell(done: list[_Done]) -> None:
    for future, result, failure in done:
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)


def _attempt(connection: sa.Connection, fn: Write, context: Context) -> tuple[Any, BaseException | None]:
    def whole(connection: sa.Connection) -> Any:
        result = fn(connection)
        # What was put off is this job's: whatever is wrong with it fails nobody else.
        statements.put(connection, "release savepoint job")
        statements.settle(connection)
        return result

    statements.put(connection, "savepoint job")
    result, failure = _attempt_alone(connection, whole, context)
    if failure is not None:
        try:
            statements.change(connection, "rollback to savepoint job")
            statements.change(connection, "release savepoint job")
        except exc.DBAPIError as error:
            # A full disk may take all of a transaction back, savepoints too: then that is what went wrong.
            if may_succeed_again(error):
                raise
            raise failure from error
    return result, failure


def _attempt_alone(connection: sa.Connection, fn: Write, context: Context) -> tuple[Any, BaseException | None]:
    try:
        return context.run(fn, connection), None
    except exc.DBAPIError as error:
        if may_succeed_again(error):
            raise
        return None, told(error)
    except OverflowError as error:
        return None, too_large(error)
    except BaseException as error:
        return None, error


# Of each dialect: the milliseconds since 1970 by the database's clock, which several hosts share.
NOW_MS = {
    "postgresql": "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
    "sqlite": "cast((julianday('now') - 2440587.5) * 86400000 as integer)",
}


def database_now_ms(connection: sa.Connection) -> int:
    """`NOW_MS`, asked."""
    return int(statements.rows(connection, f"select {NOW_MS[connection.dialect.name]}")[0][0])
