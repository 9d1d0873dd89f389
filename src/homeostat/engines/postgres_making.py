"""The tables of an empty database, made by PostgreSQL while this process does something else.

They take it as long as everything else that a server does until it answers. So they are asked for before SQLAlchemy is
even loaded, by libpq itself, and nobody waits for the answer until the database is used.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from homeostat.core.extras import require
from homeostat.core.making import IS_MADE, LOCK, making

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

# Whoever is not heard of by then is told of by those who wait for longer.
_CONNECT_S = 2


def begin_tables(url: str) -> Callable[[], None]:
    """Begin to make the tables of the database behind `url`, where it has none; what is given back waits until it is
    done.

    What goes wrong is not told, and then nothing is made: who uses the database next finds out what it is.
    Raises: MissingExtra.
    """
    require("psycopg", extra="postgres")
    from psycopg import Error, pq
    from psycopg.conninfo import make_conninfo

    with suppress(Error):
        connection = pq.PGconn.connect(make_conninfo(url, connect_timeout=_CONNECT_S).encode())
        if connection.status == pq.ConnStatus.OK and _is_empty(connection):
            connection.send_query(f"{making('postgresql')}; commit".encode())
            return lambda: _wait(connection)
        connection.finish()
    return lambda: None


def _is_empty(connection: PGconn) -> bool:
    """Whether no tables of ours are there; then in a transaction that keeps others from making them."""
    asked = (IS_MADE, f"begin; {LOCK}; {IS_MADE}")
    return all(connection.exec_(each.encode()).get_value(0, 0) == b"f" for each in asked)


def _wait(connection: PGconn) -> None:
    from psycopg import Error

    with suppress(Error):
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN)
        while True:
            while connection.is_busy():
                poll.poll()  # libpq itself would wait with the interpreter's lock held
                connection.consume_input()
            if connection.get_result() is None:
                break
    connection.finish()
