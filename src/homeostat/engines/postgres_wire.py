"""Statements that reach PostgreSQL together: what is put off goes along with whatever is asked next, in one exchange.

To wait for each answer costs more than the statements do, and so does what the driver does around each of them. So
this is libpq's pipeline, asked directly; values are converted by the driver, as everywhere else.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from psycopg import Connection, Error, OperationalError, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import SerializationFailure, error_from_result
from psycopg.pq.abc import PGconn, PGresult

from homeostat.core.statements import RowsWait

# A statement is prepared when it is asked for the third time; so many are at most.
_OFTEN, _MOST = 3, 200

BEGIN = "begin"
_DIVISION = "22012"
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


class _Asked(NamedTuple):
    """A statement that waits. `found` takes its rows, where they are asked for; `must` it change a row, it is so
    written that it fails with a division by zero where it does not; `none` says that it gives no row, or RowsWait."""

    sql: str
    values: Sequence[Any] | None = None
    types: tuple[int, ...] = ()
    formats: Sequence[pq.Format] | None = None
    found: list[list[Any]] | None = None
    must: bool = False
    none: bool = False


class PostgresWire:
    """A driver's connection, for statements that may share an exchange. It begins and ends a transaction when told to
    only: to change something with `BEGIN` put off and `commit`, to read with `begin` and `end`. `heard` says whether
    anything was answered since `begin`.

    A statement that fails ends the exchange: those after it are not executed, and its error is raised.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._converter = Transformer.from_context(connection)  # one for all: it knows by now how values are written
        self._put_off: list[_Asked] = []
        self._seen: dict[str, int] = {}
        # Statements with the types of their values, as far as they are prepared.
        self._names: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._count = 0
        self._stale = False
        self.heard = False
        self._ending = False  # a transaction was ended, and it was not waited for
        self._poll = select.poll()
        self._poll.register(connection.pgconn.socket, select.POLLIN)

    def begin(self, sql: str, look: str) -> None:
        """Begin a transaction with what is asked first in it, which raises RowsWait where `look` gives a row."""
        self.heard = False
        self._put_off = [_Asked(sql)]
        if look:
            self._put_off.append(_Asked(look, none=True))

    def end(self) -> None:
        """End a transaction that changed nothing, without waiting until it is."""
        self._put_off.clear()
        if self._connection.closed:
            return
        connection = self._connection.pgconn
        if self._ending or connection.transaction_status == pq.TransactionStatus.IDLE:  # nothing was asked in it
            return
        with suppress(Error):  # a connection that is lost is found so when it is used again
            connection.enter_pipeline_mode()
            connection.send_query_params(b"commit", None)
            connection.pipeline_sync()
            connection.flush()
            self._ending = True

    def later(
        self, sql: str, parameters: Sequence[Any] = (), found: list[list[Any]] | None = None, must: bool = False
    ) -> None:
        """Execute it with what is asked next."""
        if not parameters:
            self._put_off.append(_Asked(sql, found=found, must=must))
            return
        values = self._converter.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
        types, formats = self._converter.types or (), self._converter.formats
        self._put_off.append(_Asked(sql, values, types, formats, found, must))

    def ahead(self, sql: str, parameters: Sequence[Any] = ()) -> Callable[[], list[Any]]:
        """Ask it with what is asked next; what is given back gives its rows."""
        found: list[list[Any]] = []
        self.later(sql, parameters, found)

        def rows() -> list[Any]:
            if not found:
                self.settle()
            return found[0]

        return rows

    def must(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Execute an `insert` with what is asked next: where it adds no row somebody else was in the way, and the
        transaction fails as it does then."""
        failing = f"with put as ({sql} returning 1) select 1 / count(*) from put"  # noqa: S608 - made of a statement
        self.later(failing, parameters, must=True)

    def ask(self, *asked: tuple[str, Sequence[Any]]) -> list[tuple[list[Any], int]]:
        """The rows that each gives, as tuples, and how many it changed; what was put off is executed before."""
        for sql, parameters in asked:
            self.later(sql, parameters)
        return [self._rows(result) for result in self._exchange()[-len(asked) :]]

    def settle(self) -> None:
        """Execute what was put off; then the driver itself may be asked."""
        if self._put_off or self._ending:
            self._exchange()

    def forget(self) -> None:
        """Never mind what was put off."""
        self._put_off.clear()

    def commit(self) -> None:
        """End the transaction, if it has begun, with what was put off."""
        put_off = self._put_off
        if put_off and put_off[0].sql == BEGIN and not any(one.sql.startswith("savepoint") for one in put_off):
            # All of it goes in one exchange, which is a transaction without anybody saying so.
            del put_off[0]
            if put_off:
                self._exchange()
            return
        self.later("commit")
        self._exchange()

    def _exchange(self) -> list[PGresult]:
        asked, self._put_off = self._put_off, []
        connection = self._connection.pgconn
        try:
            if self._ending:
                self._results(connection)
                self._ending = False
            connection.enter_pipeline_mode()
            stale, self._stale = self._stale, False
            if stale:  # by itself: what begins a transaction comes first in it
                connection.send_query_params(b"deallocate all", None)
                connection.pipeline_sync()
            sent = [self._send(connection, one) for one in asked]
            connection.pipeline_sync()
            if stale:
                self._results(connection)
            results = self._results(connection)
            connection.exit_pipeline_mode()
        except Exception:
            self._connection.close()
            raise
        except BaseException:  # an interrupt: whoever asked next would get the answers to this
            with suppress(Error):
                self._connection.cancel()
            self._connection.close()
            raise
        failure = next((each for each in results if each.status in _FAILED), None)
        if failure is not None:
            raise self._failed(failure, any(one.must for one in asked))
        answers: list[PGresult] = []
        rest = iter(results)
        for prepared in sent:
            if prepared is not None:
                next(rest)
                key, name = prepared
                self._names[key] = name
            answers.append(next(rest))
        self.heard = True
        for one, result in zip(asked, answers, strict=True):
            if one.none and result.ntuples:
                raise RowsWait
            if one.found is not None:
                one.found.append(self._rows(result)[0])
        return answers

    def _send(self, connection: PGconn, asked: _Asked) -> tuple[tuple[str, tuple[int, ...]], bytes] | None:
        """What was prepared for it, if anything."""
        sql, values, types, formats = asked.sql, asked.values, asked.types, asked.formats
        key = (sql, types)
        name, made = self._names.get(key), None
        if name is None and self._often(sql):
            self._count += 1
            name = b"hs_%d" % self._count
            connection.send_prepare(name, numbered(sql), types)
            made = (key, name)
        if name is None:
            connection.send_query_params(numbered(sql), values, types, formats)
        else:
            connection.send_query_prepared(name, values, formats)
        return made

    def _often(self, sql: str) -> bool:
        if len(self._names) >= _MOST:
            return False
        if len(self._seen) > 10 * _MOST:
            self._seen.clear()
        self._seen[sql] = seen = self._seen.get(sql, 0) + 1
        return seen >= _OFTEN

    def _results(self, connection: PGconn) -> list[PGresult]:
        found: list[PGresult] = []
        unsent, ended = connection.flush(), False
        while True:
            while unsent or connection.is_busy():
                self._wait(connection, bool(unsent))
                unsent = unsent and connection.flush()
            result = connection.get_result()
            if result is None:
                if ended:
                    raise OperationalError("the connection is closed")
                ended = True
                continue
            ended = False
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return found
            found.append(result)

    def _wait(self, connection: PGconn, unsent: bool) -> None:
        if unsent:
            self._poll.modify(connection.socket, select.POLLIN | select.POLLOUT)
        self._poll.poll()
        if unsent:
            self._poll.modify(connection.socket, select.POLLIN)
        connection.consume_input()

    def _rows(self, result: PGresult) -> tuple[list[Any], int]:
        changed = result.command_tuples or 0
        if result.status != pq.ExecStatus.TUPLES_OK:
            return [], changed
        self._converter.set_pgresult(result)
        found = list(self._converter.load_rows(0, result.ntuples, tuple))
        self._converter.set_pgresult(None)  # or it would be kept until the next
        return found, changed

    def _failed(self, result: PGresult, must: bool) -> Error:
        error = error_from_result(result, self._connection.info.encoding)
        if must and error.sqlstate == _DIVISION:
            return SerializationFailure("somebody else has changed this meanwhile")
        if not (error.sqlstate or "").startswith("23"):
            # Whatever was wrong, it is not to be in the way again: tables may have changed under what is prepared.
            self._names.clear()
            self._seen.clear()
            self._stale = True
        return error


_known: dict[str, bytes] = {}


def numbered(sql: str) -> bytes:
    r"""A statement with its placeholders as PostgreSQL knows them.

    >>> numbered("select ? where ? > 0")
    b'select $1 where $2 > 0'
    """
    found = _known.get(sql)
    if found is None:
        first, *rest = sql.split("?")
        found = "".join([first, *(f"${number}{part}" for number, part in enumerate(rest, 1))]).encode()
        if len(_known) < 10 * _MOST:
            _known[sql] = found
    return found
