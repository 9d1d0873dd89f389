"""Filters over things that have columns and tags, as SQL: experiments, datasets that applications are judged on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.foreign import invalid
from homeostat.core.foreign_search import Comparison, Group
from homeostat.tracking.mlflow.search_sql import compared

Sql = tuple[str, list[Any]]


class Tagged(NamedTuple):
    """Where attributes lie, by name; `tags` selects the tag `x` of the thing at hand whose key is bound.

    `ids` are attributes that are compared as a whole only, with what makes their value of a text.
    """

    attributes: dict[str, str]
    tags: str
    ids: dict[str, Callable[[str], Any]]


def condition(c: sa.Connection, node: Any, of: Tagged) -> Sql:
    """A filter's tree as SQL and what is bound. Raises ForeignError."""
    if isinstance(node, Group):
        parts = [condition(c, member, of) for member in node.members]
        bound = [value for _, more in parts for value in more]
        if node.kind == "not":
            return f"not coalesce({parts[0][0]}, false)", bound
        return "(" + f" {node.kind} ".join(sql for sql, _ in parts) + ")", bound
    assert isinstance(node, Comparison)
    entity, key, operator, value = node
    if entity == "tag":
        if value is None:
            return f"{'not ' if operator == 'IS NULL' else ''}exists ({of.tags})", [key]
        sql, more = compared(c, "x.value", operator, value)
        return f"exists ({of.tags} and {sql})", [key, *more]
    if key in of.ids:
        if operator not in ("=", "!=", "IN", "NOT IN"):
            raise invalid(f"Invalid comparator for {key}: {operator}")
        read = of.ids[key]
        value = tuple(map(read, value)) if isinstance(value, tuple) else read(value)
    return compared(c, of.attributes[key], operator, value)


def ordered(
    c: sa.Connection, clauses: list[tuple[str, str, bool]], of: Tagged, default: str, texts: tuple[str, ...], last: str
) -> str:
    """`order by` for clauses, else `default`; `last` settles what is alike. Raises ForeignError."""
    plain = ' collate "C"' if c.dialect.name == "postgresql" else ""
    order: list[str] = []
    for entity, key, ascending in clauses:
        if entity != "attribute":
            raise invalid(f"Invalid order_by entity: {entity}")
        order.append(f"{of.attributes[key]}{plain if key in texts else ''} {'asc' if ascending else 'desc'}")
    return ", ".join([*order, last]) if order else default
