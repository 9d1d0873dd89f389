"""One statement after another on a connection of its own, each a transaction by itself, for an event loop.

What a loop wants written costs one exchange with the server this way, and no thread: the loop hears from the socket
when the answer is there. Only for a statement that may as well be asked again in another way when nothing is heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from psycopg import Error, pq

log = logging.getLogger("homeostat.postgres")

_AGAIN_S = 1.0

Told = Callable[["list[str] | None"], None]


def array(texts: Sequence[str | bytes]) -> bytes:
    r"""A parameter that holds an array of texts, or of bytes.

    >>> array(["a", 'b"\\']), array([b"\x01"])
    (b'{"a","b\\"\\\\"}', b'{"\\\\x01"}')
    """
    written = [f"\\x{text.hex()}" if isinstance(text, bytes) else text for text in texts]
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in written]
    return ("{" + ",".join(f'"{text}"' for text in quoted) + "}").encode()


class PostgresLine:
    """A connection that executes one statement, whose answer has one column of text.

    It is asked one at a time, and connects by itself; `open` says whether it is connected.
    """

    def __init__(self, url: str, sql: str, loop: asyncio.AbstractEventLoop) -> None:
        self.open = False
        self._url, self._sql, self._loop = url, sql, loop
        self._connection: pq.abc.PGconn | None = None
        self._tell: Told | None = None
        self._rows: list[str] | None = None
        self._socket = -1
        self._closed = False
        self._connect()

    def ask(self, parameters: Sequence[Sequence[str | bytes]], tell: Told) -> None:
        """Execute it, each parameter an array; `tell` is called on the loop, with the rows once they are committed.

        With None when that failed or nothing was heard: it may be done or not.
        """
        if self._connection is None:
            tell(None)
            return
        written = [array(each) for each in parameters]
        self._tell, self._rows = tell, None
        try:
            self._connection.send_query_prepared(b"it", written)
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
        if connection.prepare(b"it", self._sql.encode()).status != pq.ExecStatus.COMMAND_OK:
            raise ConnectionError(connection.get_error_message())
        connection.nonblocking = 1
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
            while not connection.is_busy():
                result = connection.get_result()
                if result is None:
                    self._answered()
                    return
                if result.status == pq.ExecStatus.TUPLES_OK:
                    self._rows = [str(result.get_value(row, 0) or b"", "utf-8") for row in range(result.ntuples)]
        except Error as error:
            self._broken(error)

    def _answered(self) -> None:
        tell, rows = self._tell, self._rows
        self._tell, self._rows = None, None
        if tell is not None:
            tell(rows)

    def _broken(self, error: BaseException) -> None:
        log.warning("a connection to the database was lost: %s", str(error).strip())
        self._finish()
        if not self._closed:
            self._loop.call_later(_AGAIN_S, self._connect)
        self._rows = None
        self._answered()

    def _finish(self) -> None:
        self.open = False
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            connection.finish()
