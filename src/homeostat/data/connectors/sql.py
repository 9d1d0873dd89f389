"""The rows of an SQL query as a frame: an SQLite file, or any database that SQLAlchemy opens."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import sqlalchemy as sa
from sqlalchemy import exc

from homeostat.core.errors import InvalidInput, MissingExtra, NotFound, Unavailable


def read_sql(source: str, query: str) -> pl.DataFrame:
    """The rows that `query` gives. `source` is an SQLite file (opened read-only) or an SQLAlchemy URL.

    Raises: NotFound for a file that does not exist, InvalidInput for a query that fails, Unavailable when the database
    does not answer. Passwords in `source` never appear in errors.
    """
    try:
        url = sa.make_url(source) if "://" in source else _sqlite(source)
        engine = sa.create_engine(url)
    except exc.ArgumentError as error:
        raise InvalidInput("that is not an SQLAlchemy URL", hint="such as postgresql+psycopg://host/name") from error
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the driver '{error.name}' is not installed", hint=f"pip install {error.name}") from error
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            answer = connection.execute(sa.text(query))
            if not answer.returns_rows:
                raise InvalidInput("the query gives no rows", hint="write a SELECT")
            names = list(answer.keys())
            rows = [tuple(row) for row in answer]
            transaction.rollback()
    except exc.OperationalError as error:
        if "no such" in str(error.orig) or "syntax" in str(error.orig):
            raise InvalidInput(f"the query failed: {error.orig}", hint="try it in the database's own shell") from error
        raise Unavailable(f"the database {engine.url!r} does not answer: {error.orig}") from error
    except exc.DBAPIError as error:
        raise InvalidInput(f"the query failed: {error.orig}", hint="try it in the database's own shell") from error
    finally:
        engine.dispose()
    if len(set(names)) < len(names):
        raise InvalidInput(f"the query gives two columns of one name: {names}", hint="rename one with AS")
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def _sqlite(source: str) -> sa.URL:
    path = Path(source)
    if not path.is_file():
        raise NotFound(f"there is no file {source}", hint="name an SQLite file or an SQLAlchemy URL", path=source)
    return sa.make_url(f"sqlite:///file:{path.absolute()}?mode=ro&uri=true")
