"""Statements handed to the driver as they are, where a thousand of them a second are executed.

What SQLAlchemy does around a statement (compiling, typing, wrapping each row) costs several times what SQLite needs
for it. Placeholders are `?`; a driver's errors become SQLAlchemy's, so that the database's own handling sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

WIRE = "homeostat.wire"
T = TypeVar("T")

# In a connection's `info`: what holds once its transaction is committed; what held before it, where it is taken back.
HOPED = "homeostat.hoped"


class RowsWait(BaseException):
    """Rows wait in the inbox, so that what is read there is not all there is. Nobody but the database catches it."""


class Wire(Protocol):
    """How statements of a transaction reach a database elsewhere: several in one exchange. Found in a connection's
    `info` where there is one."""

    def later(self, sql: str, parameters: Sequence[Any] = ()) -> None: ...

    def ahead(self, sql: str, parameters: Sequence[Any] = ()) -> Callable[[], list[Any]]: ...

    def must(self, sql: str, parameters: Sequence[Any] = ()) -> None: ...

    def ask(self, *asked: tuple[str, Sequence[Any]]) -> list[tuple[list[Any], int]]: ...

    def settle(self) -> None: ...

    def commit(self) -> None: ...


def rows(c: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Every row that `sql` gives, as tuples."""
    if (wire := _wire(c)) is not None:
        return _asked(c, wire, (sql, parameters))[0][0]
    cursor = c.connection.cursor()
    try:
        cursor.execute(_for(c.dialect.name, sql), parameters)
        return list(cursor.fetchall())
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, sql, error) from error
    finally:
        cursor.close()


def each(c: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
    """What `rows` gives, one by one: for many thousand of which nothing but a little is kept."""
    settle(c)
    cursor: Any = c.connection.cursor()
    try:
        cursor.execute(_for(c.dialect.name, sql), parameters)
        yield from cursor
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, sql, error) from error
    finally:
        cursor.close()


def rows_of(c: sa.Connection, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[list[Any]]:
    """What `rows` gives for each of several statements; a database elsewhere is asked them all at once."""
    if c.dialect.name == "sqlite":
        return [rows(c, sql, parameters) for sql, parameters in asked]
    wire = _wire(c)
    assert wire is not None
    return [found for found, _ in _asked(c, wire, *asked)]


def rows_of_last(c: sa.Connection, sql: str) -> list[Any]:
    """Every row that the last of several statements gives, which are asked at once; of a database elsewhere only."""
    settle(c)
    cursor: Any = c.connection.cursor()
    try:
        cursor.execute(sql, prepare=False)
        while cursor.nextset():
            pass
        return list(cursor.fetchall()) if cursor.description else []
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, sql, error) from error
    finally:
        cursor.close()


def change(c: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> int:
    """Execute `sql`; the number of rows it changed."""
    if (wire := _wire(c)) is not None:
        return _asked(c, wire, (sql, parameters))[0][1]
    cursor = c.connection.cursor()
    try:
        cursor.execute(_for(c.dialect.name, sql), parameters)
        return int(cursor.rowcount)
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, sql, error) from error
    finally:
        cursor.close()


def put(c: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> None:
    """Execute `sql`, of which nobody needs to know the rows it changed.

    In a write to a database elsewhere that is done with what is asked next, or at the end of the write: then it is
    that which raises what is wrong with it.
    """
    wire = _wire(c)
    if wire is None:
        change(c, sql, parameters)
        return
    try:
        wire.later(sql, parameters)
    except c.dialect.loaded_dbapi.Error as error:  # a value that cannot be kept
        raise _wrapped(c, sql, error) from error


def ahead(c: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> Callable[[], list[Any]]:
    """What gives the rows of `sql`, which is asked of a database elsewhere along with what is asked next."""
    wire = _wire(c)
    if wire is None:
        return lambda: rows(c, sql, parameters)
    later = wire.ahead(sql, parameters)
    return lambda: _told(c, later)


def must(c: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> bool:
    """Have the `insert` of `sql` executed at the end of the write, which fails as if another process were in its way
    where that adds no row. False where that cannot be: then nothing is done."""
    wire = _wire(c)
    if wire is not None:
        _told(c, lambda: wire.must(sql, parameters))
    return wire is not None


def settle(c: sa.Connection) -> None:
    """Execute what was put off, if anything was."""
    if (wire := _wire(c)) is not None:
        _told(c, wire.settle)


def commit(c: sa.Connection) -> None:
    """Execute what was put off, and end the transaction. For the database itself."""
    if (wire := _wire(c)) is not None:
        _told(c, wire.commit)


def change_many(c: sa.Connection, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
    """Execute `sql` once for each of `parameters`, as `put` does."""
    if not parameters:
        return
    if _wire(c) is not None:
        for each in parameters:
            put(c, sql, each)
        return
    cursor = c.connection.cursor()
    try:
        cursor.executemany(_for(c.dialect.name, sql), parameters)
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, sql, error) from error
    finally:
        cursor.close()


def marks(count: int) -> str:
    """As many placeholders, for an `in (…)`.

    >>> marks(3)
    '?, ?, ?'
    """
    return ", ".join("?" * count)


def among(c: sa.Connection, numbers: Sequence[int]) -> tuple[str, list[Any]]:
    """What says of the column before it that it is one of `numbers`, and what is bound: one value for all of them."""
    listed = ",".join(map(str, numbers))
    if c.dialect.name == "sqlite":
        return "in (select value from json_each(?))", [f"[{listed}]"]
    return "= any(cast(? as bigint[]))", [f"{{{listed}}}"]  # as text: the driver takes longer for a list


def _wire(c: sa.Connection) -> Wire | None:
    return None if c.dialect.name == "sqlite" else c.info.get(WIRE)


def _asked(c: sa.Connection, wire: Wire, *asked: tuple[str, Sequence[Any]]) -> list[tuple[list[Any], int]]:
    try:
        return wire.ask(*asked)
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, "; ".join(sql for sql, _ in asked), error) from error


def _told(c: sa.Connection, call: Callable[[], T]) -> T:
    try:
        return call()
    except c.dialect.loaded_dbapi.Error as error:
        raise _wrapped(c, "what was put off", error) from error


@lru_cache(2000)
def _for(dialect: str, sql: str) -> str:
    return sql if dialect == "sqlite" else sql.replace("?", "%s")


def _wrapped(c: sa.Connection, sql: str, error: Exception) -> exc.DBAPIError:
    driver = c.dialect.loaded_dbapi.Error
    wrapped = exc.DBAPIError.instance(sql, (), error, driver, dialect=c.dialect)
    known = wrapped if isinstance(wrapped, exc.DBAPIError) else exc.DBAPIError(sql, (), error)
    if isinstance(error, driver) and c.dialect.is_disconnect(error, c.connection.dbapi_connection, None):
        # The connection is of no more use, and what was asked may be tried on another.
        known.connection_invalidated = True
        c.invalidate(error)
    return known
