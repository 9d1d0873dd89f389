"""Rows for every table there is, made from the tables' declarations: for tests of what must lose no row."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.schema import all_tables, version_table
from homeostat.core.slices import INBOX


def made_tables() -> list[sa.Table]:
    """Every table in an order in which what is referred to comes first.

    But for the inbox, which readers empty, and for what is derived from other tables.
    """
    left_out = {version_table.name, INBOX[0], *derived_tables()}
    return [table for table in all_tables().sorted_tables if table.name not in left_out]


def derived_tables() -> set[str]:
    """The names of tables whose rows are made from those of others, by whoever needs them."""
    return {table.name for table in all_tables().sorted_tables if table.info.get("derived")}


def row_of(table: sa.Table, number: int) -> dict[str, object]:
    """The `number`-th row (from 1) of a table; each column gets a value of its type, odd numbers leave out nulls."""
    return {
        column.name: value_of(column, number)
        for column in table.columns
        if not (column.nullable and not column.foreign_keys and number % 2 == 0)
    }


def value_of(column: sa.Column[object], number: int) -> object:
    if column.foreign_keys:
        return value_of(next(iter(column.foreign_keys)).column, number)
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return number % 2 == 1
    if isinstance(kind, sa.Integer):
        big = isinstance(kind, sa.BigInteger) and column.name.endswith("_ms")
        return number + (1_700_000_000_000 if big else 0)
    if isinstance(kind, sa.Float):
        return number / 3
    if isinstance(kind, sa.LargeBinary):
        return bytes(range(256)) * number
    text = f"Ω{number}"
    return text[: kind.length] if isinstance(kind, sa.String) and kind.length else text


def fill(connection: sa.Connection, rows: int = 3) -> None:
    """Put `rows` rows into every table."""
    for table in made_tables():
        for number in range(1, rows + 1):
            connection.execute(sa.insert(table).values(**row_of(table, number)))


def dump(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in the order of their keys."""
    return {
        table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
        for table in made_tables()
    }


def fill_empty(connection: sa.Connection) -> None:
    """Put one row into every table that has none."""
    for table in made_tables():
        if connection.execute(sa.select(table).limit(1)).first() is None:
            connection.execute(sa.insert(table).values(**row_of(table, 1)))
