"""Pages of runs in any order, each page at the cost of the first (keyset, not offset).

Runs that have the first thing ordered by come before those that lack it, so they are two searches. The first begins
with the rows that hold that thing, in the order of their index where there is one.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.statements import rows
from homeostat.tracking.query.figures import Figures, figures
from homeostat.tracking.query.sql import TABLES, Place, Sql, Writer, nullable, places
from homeostat.tracking.query.tree import Condition, Kind, OrderKey, Param

_Kept = list[float | int | str | None]


class Asked(NamedTuple):
    """A search: what holds of all its runs (`base`), the query, the order as written and as read, and a page."""

    base: Sql
    tree: Condition
    order_by: str
    order: tuple[OrderKey, ...]
    limit: int
    after: str | None


class _Key(NamedTuple):
    sql: Sql
    descending: bool
    nullable: bool


def find(c: sa.Connection, asked: Asked) -> tuple[list[int], str | None]:
    """The internal numbers of the runs of one page, and the token of the next."""
    order = _decided(asked.order)
    joined = figures(c, asked.base, asked.tree, [key.value for key in order])
    missing, last = (False, None) if asked.after is None else _read_token(asked.after, asked.order_by)
    found: list[tuple[bool, Any]] = []
    while len(found) <= asked.limit:
        part = _Part(c, order, joined, missing)
        found += [(missing, row) for row in part.rows(asked, last, asked.limit + 1 - len(found))]
        if missing or not nullable(order[0].value):
            break
        missing, last = True, None
    more, found = len(found) > asked.limit, found[: asked.limit]
    seqs = [row[0] for _, row in found]
    return seqs, _token(asked.order_by, *found[-1]) if more else None


def _decided(order: tuple[OrderKey, ...]) -> tuple[OrderKey, ...]:
    """A parameter is ordered as a number where it is one; the others come behind, as texts."""
    kinds: dict[bool, tuple[Kind | None, ...]] = {True: ("number", "text"), False: (None,)}
    return tuple(
        OrderKey(Param(key.value.key, kind) if isinstance(key.value, Param) and kind else key.value, key.descending)
        for key in order
        for kind in kinds[isinstance(key.value, Param)]
    )


class _Part:
    """The runs that have the first value (or, `missing`, lack it), in their order."""

    def __init__(self, c: sa.Connection, order: tuple[OrderKey, ...], joined: Figures, missing: bool) -> None:
        self._c = c
        self._joined = joined
        self._missing = missing
        self._writer = Writer(c.dialect.name == "postgresql", joined.names)
        self._first = order[0].value
        found = places(self._first)
        only = next(iter(found)) if len(found) == 1 else None
        self._at = only if only is not None and only.table in TABLES else None
        # What else is ordered by may lie in the row that the search begins with.
        rest = [self._key(key, None if missing else self._at) for key in order[1:]]
        self._keys = rest if missing else [self._key(order[0], self._at)._replace(nullable=False), *rest]

    def _key(self, key: OrderKey, at: Place | None) -> _Key:
        sql, bound = self._writer.value(key.value, at)
        by = self._writer.plain if key.value.kind == "text" else ""
        return _Key((f"{sql}{by}", bound), key.descending, nullable(key.value))

    def rows(self, asked: Asked, last: _Kept | None, limit: int) -> list[Any]:
        """Number and sort values of the runs behind `last`."""
        writer, at, joined = self._writer, self._at, self._joined
        source, seq = f"tracking_run r{joined.joined}", "r.seq"
        where: list[Sql] = [asked.base]
        if at is not None and not self._missing:
            # SQLite keeps to this order of a cross join: the rows of the key first, each with its run.
            cross = "join" if writer.postgres else "cross join"
            source = f"{TABLES[at.table]} x {cross} tracking_run r on r.seq = x.run_seq{joined.joined}"
            seq = "x.run_seq"
            where.append(("x.key = ?", [at.key]))
        where += [self._present(), writer.condition(asked.tree)]
        if last is not None:
            if len(last) != len(self._keys) + 1:
                raise InvalidInput("after= is not a page of this search", hint="begin without it")
            where.append(_beyond(self._keys, last, seq))
        order = [*(part for key in self._keys for part in _ordered(key)), (f"{seq} desc", [])]
        chosen: list[Sql] = [(seq, []), *(key.sql for key in self._keys)]
        sql = (
            f"{joined.tables[0]}select {_listed(chosen, ', ')} from {source} where {_listed(where, ' and ')}"  # noqa: S608 - names of this package; values are bound
            f" order by {_listed(order, ', ')} limit {limit}"
        )
        bound = [value for _, values in (joined.tables, *chosen, *where, *order) for value in values]
        return rows(self._c, sql, bound)

    def _present(self) -> Sql:
        if not nullable(self._first):
            return "1 = 1", []
        if not self._missing:
            sql, bound = self._keys[0].sql
            return f"{sql} is not null", bound
        return self._writer.missing(self._first)


def _listed(parts: list[Sql], by: str) -> str:
    return by.join(sql for sql, _ in parts)


def _ordered(key: _Key) -> list[Sql]:
    sql, bound = key.sql
    by: Sql = (f"{sql} {'desc' if key.descending else 'asc'}", bound)
    return [(f"case when {sql} is null then 1 else 0 end", bound), by] if key.nullable else [by]


def _beyond(keys: list[_Key], last: _Kept, seq: str) -> Sql:
    """What comes behind the run with the sort values `last`, of which the run's own number is the last."""
    sql, bound = f"{seq} < ?", [last[-1]]
    for number in reversed(range(len(keys))):
        (value, own), kept = keys[number].sql, last[number]
        if kept is None:
            sql, bound = f"({value} is null and {sql})", [*own, *bound]
            continue
        sign = "<" if keys[number].descending else ">"
        further = f"{value} {sign} ? or ({value} = ? and {sql})"
        bound = [*own, kept, *own, kept, *bound]
        if keys[number].nullable:
            further, bound = f"{value} is null or {further}", [*own, *bound]
        sql = f"({further})"
        if number == 0 and not keys[0].nullable:  # said alone, it is where an index begins
            sql, bound = f"({value} {sign}= ? and {sql})", [*own, kept, *bound]
    return sql, bound


def _token(order_by: str, missing: bool, row: Any) -> str:
    # Floats travel in hexadecimal: infinities and the last bit survive.
    last = [[value.hex()] if isinstance(value, float) else value for value in (*row[1:], row[0])]
    return base64.urlsafe_b64encode(msgspec.json.encode([order_by, missing, last])).decode().rstrip("=")


def _read_token(token: str, order_by: str) -> tuple[bool, _Kept]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        order, missing, last = msgspec.json.decode(raw, type=tuple[str, bool, list[str | int | list[str] | None]])
        if order != order_by:
            raise ValueError("it continues a search in another order")
        if not last or not isinstance(last[-1], int):
            raise ValueError("it does not say where to go on")
        return missing, [float.fromhex(value[0]) if isinstance(value, list) else value for value in last]
    except (ValueError, IndexError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"after={token[:40]!r} is not a page of this search: {error}", hint="begin without it"
        ) from None
