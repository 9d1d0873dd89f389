"""One statement again and again on a connection of its own, for an event loop.

What a loop wants written costs one exchange with the server this way, and no thread: the loop hears from the socket
when the answer is there. Only for a statement that may as well be asked again in another way when nothing is heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from psycopg import Error, pq

from homeostat.engines.postgres_wire import numbered

log = logging.getLogger("homeostat.postgres")

_AGAIN_S = 1.0

Told = Callable[["list[int] | None"], None]

# Its plan is made once, when there may be few rows yet.
_SET = b"set plan_cache_mode = force_generic_plan; set enable_seqscan = off"


class PostgresLine:
    """A connection that executes one statement, some times in one exchange, which is a transaction.

    It is asked one at a time, and connects by itself; `open` says whether it is connected.
    """

    def __init__(self, url: str, sql: str, loop: asyncio.AbstractEventLoop) -> None:
        self.open = False
        self._url, self._sql, self._loop = url, sql, loop
        self._connection: pq.abc.PGconn | None = None
        self._tell: Told | None = None
        self._changed: list[int] = []
        self._failed = False
        self._socket = -1
        self._closed = False
        self._connect()

    def ask(self, rows: Sequence[Sequence[str | bytes]], tell: Told) -> None:
        """Execute it for each of `rows`, its parameters; `tell` is called on the loop when that is committed.

        With how many rows each changed; or None when that failed or nothing was heard: it may be done or not.
        """
        connection = self._connection
        if connection is None:
            tell(None)
            return
        self._tell, self._changed, self._failed = tell, [], False
        try:
            for row in rows:
                values = [value.encode() if isinstance(value, str) else value for value in row]
                formats = [pq.Format.TEXT if isinstance(value, str) else pq.Format.BINARY for value in row]
                connection.send_query_prepared(b"it", values, formats)
            connection.pipeline_sync()
            self._flush()
        except Error as error:
            self._broken(error)

    def close(self) -> None:
        """Let go of the connection; from any thread."""
        self._closed = True
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._finish)
        elif self._connection is not None:
            self._connection.finish()

    def _connect(self) -> None:
        self._loop.run_in_executor(None, self._connected).add_done_callback(self._begin)

    def _connected(self) -> pq.abc.PGconn:
        connection = pq.PGconn.connect(self._url.encode())
        if connection.status != pq.ConnStatus.OK:
            raise ConnectionError(connection.get_error_message())
        for made in (connection.exec_(_SET), connection.prepare(b"it", numbered(self._sql))):
            if made.status != pq.ExecStatus.COMMAND_OK:
                raise ConnectionError(connection.get_error_message())
        connection.nonblocking = 1
        connection.enter_pipeline_mode()
        return connection

    def _begin(self, made: asyncio.Future[pq.abc.PGconn]) -> None:
        if (failure := made.exception()) is not None:
            self._broken(failure)
            return
        self._connection = made.result()
        self._socket = self._connection.socket  # which a broken connection no longer tells
        self._loop.add_reader(self._socket, self._readable)
        self.open = True
        if self._closed:
            self._finish()

    def _flush(self) -> None:
        assert self._connection is not None
        if self._connection.flush():  # the server does not take it all at once
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        try:
            self._flush()
        except Error as error:
            self._broken(error)

    def _readable(self) -> None:
        connection = self._connection
        assert connection is not None
        try:
            connection.consume_input()
            between = False  # two answers
            while not connection.is_busy():
                result = connection.get_result()
                if result is None:
                    if between:  # nothing was asked
                        return
                    between = True
                    continue
                between = False
                if result.status == pq.ExecStatus.PIPELINE_SYNC:
                    self._answered()
                    return
                if result.status == pq.ExecStatus.COMMAND_OK:
                    self._changed.append(result.command_tuples or 0)
                else:
                    self._failed = True
        except Error as error:
            self._broken(error)

    def _answered(self) -> None:
        tell, changed = self._tell, None if self._failed else self._changed
        self._tell = None
        if tell is not None:
            tell(changed)

    def _broken(self, error: BaseException) -> None:
        log.warning("a connection to the database was lost: %s", str(error).strip())
        self._finish()
        if not self._closed:
            self._loop.call_later(_AGAIN_S, self._connect)
        self._failed = True
        self._answered()

    def _finish(self) -> None:
        self.open = False
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            connection.finish()
