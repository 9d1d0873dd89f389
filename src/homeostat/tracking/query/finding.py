"""Pages of runs in any order, each page at the cost of the first (keyset, not offset).

Runs that have the first thing ordered by come before those that lack it, so they are searches of their own. The first
begins with the rows that hold that thing. Where an index gives these in their order, the first of them are looked at
one by one: mostly they hold the page. Where they do not, few runs fit: these are found first (`fitting.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Set
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.statements import among, rows
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.figures import Figures, figures
from homeostat.tracking.query.fitting import fitting
from homeostat.tracking.query.masks import Mask
from homeostat.tracking.query.parsing import conditions_of
from homeostat.tracking.query.ranking import first_of
from homeostat.tracking.query.remembered import Columns, remembers
from homeostat.tracking.query.sql import (
    EXPERIMENT,
    JOINED,
    RUN,
    TABLES,
    Place,
    Sql,
    Writer,
    column_of,
    nullable,
    parts_of,
    places,
    places_of,
)
from homeostat.tracking.query.tree import (
    Among,
    Compare,
    Condition,
    Every,
    Kind,
    Metric,
    OrderKey,
    Param,
    Property,
    Tag,
    Text,
    Value,
    Word,
)

_Kept = list[float | int | str | None]
# As many rows are looked at one by one, at first and at most: what that costs is little beside a look at all.
_FIRST, _MOST = 1000, 10_000
# So few runs are looked up in another table rather than found there.
_FEW = 5000


class Asked(NamedTuple):
    """A search: what holds of all its runs (`base`), the query, the order as written and as read, and a page."""

    base: Base
    tree: Condition
    order_by: str
    order: tuple[OrderKey, ...]
    limit: int
    after: str | None


class _Key(NamedTuple):
    sql: Sql
    descending: bool
    nullable: bool


class _Part(NamedTuple):
    """Runs that come one behind another: they have `having`, lack `lacking`, and come in this order.

    They are found from the rows of the place `at`, or from the runs themselves.
    """

    order: tuple[OrderKey, ...]
    having: Value | None = None
    lacking: Value | None = None
    at: Place | None = None


def find(c: sa.Connection, asked: Asked, columns: Columns | None = None) -> tuple[list[int], str | None]:
    """The internal numbers of the runs of one page, and the token of the next."""
    parts = _parts(_decided(asked.order))
    joined = figures(c, asked.base, asked.tree, [key.value for key in parts[0].order])
    begin, last = (0, None) if asked.after is None else _read_token(asked.after, asked.order_by)
    search = _Search(c, asked, joined, columns)
    found: list[tuple[int, Any]] = []
    for number, part in enumerate(parts):
        if number < begin or len(found) > asked.limit:
            continue
        behind, limit = last if number == begin else None, asked.limit + 1 - len(found)
        found += [(number, row) for row in search.rows(part, behind, limit)]
    more, found = len(found) > asked.limit, found[: asked.limit]
    seqs = [row[0] for _, row in found]
    return seqs, _token(asked.order_by, *found[-1]) if more else None


class _Search:
    """What one search finds, part by part. All runs that fit are told once, and only where that is needed."""

    def __init__(self, c: sa.Connection, asked: Asked, joined: Figures, columns: Columns | None) -> None:
        self._c, self._asked, self._joined, self._columns = c, asked, joined, columns
        self._fit: Set[int] | None = None
        self._told = columns is not None and _told(c, columns, asked.tree)

    def rows(self, part: _Part, behind: _Kept | None, limit: int) -> list[Any]:
        """Number and sort values of the first `limit` runs of a part."""
        c, asked, columns = self._c, self._asked, self._columns
        if self._fit is None and not self._told and _near(asked, part):
            some = _first_of(c, asked, part, self._joined, behind, limit)
            if some is not None:
                return some
            self._runs()
        # To hand many runs to PostgreSQL takes longer than to order them here.
        many = self._fit is not None and len(self._fit) > _FEW and c.dialect.name == "postgresql"
        if columns is not None and _ranked(part, self._told or many):
            runs = self._runs() if part.lacking is None else self._runs() - columns.having(part.lacking)
            return first_of(columns, part.order[0], _masked(runs), behind, limit)
        within = self._runs() if self._told else self._fit
        if columns is not None and (self._told or many) and part.having is not None and remembers(part.having):
            within = self._runs() & columns.having(part.having)
            if not within:
                return []
        return _Statement(c, asked, part, self._joined, behind, within=within).rows(limit)

    def _runs(self) -> Set[int]:
        if self._fit is None:
            self._fit = fitting(self._c, self._asked.base, self._asked.tree, self._joined, self._columns)
        return self._fit


def _masked(runs: Set[int]) -> Mask:
    assert isinstance(runs, Mask)  # as they are where something is remembered
    return runs


def _decided(order: tuple[OrderKey, ...]) -> tuple[OrderKey, ...]:
    """A parameter is ordered as a number where it is one; the others come behind, as texts."""
    kinds: dict[bool, tuple[Kind | None, ...]] = {True: ("number", "text"), False: (None,)}
    return tuple(
        OrderKey(Param(key.value.key, kind) if isinstance(key.value, Param) and kind else key.value, key.descending)
        for key in order
        for kind in kinds[isinstance(key.value, Param)]
    )


def _parts(order: tuple[OrderKey, ...]) -> list[_Part]:
    """Runs that have the first value come before those that lack it; of a parameter, numbers before texts."""
    first = order[0].value
    if not nullable(first):
        return [_Part(order)]
    found = places(first)
    only = next(iter(found)) if len(found) == 1 else None
    at = only if only is not None and only.table in TABLES else None
    having = _Part(order, having=first, at=at)
    if isinstance(first, Param) and first.kind == "number":
        text = order[1].value
        return [having, _Part(order[1:], text, first, at), _Part(order[2:], lacking=text)]
    return [having, _Part(order[1:], lacking=first)]


def soonest(c: sa.Connection, asked: Asked, joined: Figures) -> list[int] | None:
    """The internal numbers of the first page, newest first; None where it is not among the first runs.

    `joined` is what `figures` gives for the search.
    """
    (part,) = _parts(asked.order)
    if _near(asked, part):
        found = _first_of(c, asked, part, joined, None, asked.limit)
    else:
        found = _Statement(c, asked, part, joined, None).rows(asked.limit)
    return None if found is None else [row[0] for row in found]


def _first_of(
    c: sa.Connection, asked: Asked, part: _Part, joined: Figures, last: _Kept | None, limit: int
) -> list[Any] | None:
    """Number and sort values of the runs of this part behind `last`, when they are among the first rows."""
    found = _Statement(c, asked, part, joined, last, _FIRST).rows(limit)
    # As many as hold the page, if the next ones are like these.
    expected = _FIRST * limit // len(found) if found else _MOST + 1
    if len(found) < limit and expected <= _MOST:
        found = _Statement(c, asked, part, joined, last, min(_MOST, expected * 3 // 2)).rows(limit)
    return found if len(found) == limit else None


def _told(c: sa.Connection, columns: Columns, tree: Condition) -> bool:
    """Whether what is remembered tells all of `tree`, which asks of several values or for words: then PostgreSQL takes
    longer to look for the first that fit."""
    members = conditions_of(tree)
    if c.dialect.name != "postgresql" or (len(members) < 2 and not any(isinstance(one, Word) for one in members)):
        return False
    # Each is noted as asked.
    known = [columns.knows_words() if isinstance(one, Word) else _known(columns, one) for one in members]
    return all(known)


def _known(columns: Columns, node: Any) -> bool:
    return isinstance(node, Compare) and columns.knows(node)


def _ranked(part: _Part, here: bool) -> bool:
    """Whether what is remembered tells the order of this part, and no index does; `here`: or even so."""
    if len(part.order) != 1 or (part.having is None and not (here and part.order[0].value.kind in ("number", "time"))):
        return False
    value = part.order[0].value if part.having is None else part.having
    return (here or not _indexed(value)) and remembers(value) and (part.lacking is None or remembers(part.lacking))


def _near(asked: Asked, part: _Part) -> bool:
    """Whether the page may well be among the first rows, which an index gives in their order."""
    plain = {RUN, EXPERIMENT} if part.at is None else {part.at}
    members = conditions_of(asked.tree)
    if all(isinstance(one, Compare | Among | Text) and places_of(one) <= plain for one in members):
        return False  # then the index gives the page and no more
    if part.at is None:
        first = part.order[0].value if part.order else None
        lacks = set[Place]() if part.lacking is None else places(part.lacking)
        return len(part.order) <= 1 and first in (None, Property("start", "time")) and JOINED not in lacks
    return all(places(key.value) == {part.at} for key in part.order) and _indexed(part.order[0].value)


def _indexed(value: Value) -> bool:
    """Whether an index gives its rows in their order."""
    return (isinstance(value, Metric) and value.part == "last") or (isinstance(value, Param) and value.kind == "number")


class _Statement:
    """One look at the runs of a part: at the `first` of them in their order only, where that is said."""

    def __init__(
        self,
        c: sa.Connection,
        asked: Asked,
        part: _Part,
        joined: Figures,
        last: _Kept | None,
        first: int = 0,
        within: Set[int] | None = None,
    ) -> None:
        self._c, self._part, self._joined, self._first = c, part, joined, first
        self._tree: Condition = asked.tree if within is None else Every(())
        few = first > 0 if within is None else len(within) <= _FEW
        self._writer = writer = Writer(c.dialect.name == "postgresql", joined.names, part.at, few=few)
        self._keys = [self._key(key) for key in part.order]
        own, rest = list[Sql](), list[Any]()
        for member in conditions_of(self._tree):
            sql = writer.own(member)
            own, rest = (own, [*rest, member]) if sql is None else ([*own, sql], rest)
        if part.at is not None:
            own.insert(0, ("o.key = ?", [part.at.key]))
        if part.having is not None:
            sql, bound = self._keys[0].sql
            own.append((f"{sql} is not null", bound))
        if last is not None:
            if len(last) != len(self._keys) + 1 or not all(map(_may_be, part.order, last)):
                raise InvalidInput("after= is not a page of this search", hint="begin without it")
            own.append(_beyond(self._keys, last, writer.seq))
        self._own, self._rest = own, [writer.condition(Every(tuple(rest)))] if rest else []
        if part.lacking is not None:
            # Looked up last, where it is not in the row at hand: of what else is asked there is mostly less.
            (self._rest if part.at is None else own).append(writer.missing(part.lacking))
        if within is not None:
            of_these, bound = among(c, sorted(within))
            own.append((f"{writer.seq if few else writer.alone(writer.seq)} {of_these}", bound))
        elif part.at is None:
            own.append(asked.base.on_runs(writer.postgres))
        else:
            self._rest.append(asked.base.on(writer))

    def _key(self, key: OrderKey) -> _Key:
        sql, bound = self._writer.value(key.value)
        text = key.value.kind == "text"
        # A row that holds a text holds no null.
        having = self._part.having
        # A parameter and a tag of one key are the same tuple.
        sure = (type(key.value) is type(having) and key.value == having) or (
            text and places(key.value) == {self._part.at}
        )
        by = self._writer.plain if text else ""
        return _Key((f"{sql}{by}", bound), key.descending, nullable(key.value) and not sure)

    def rows(self, limit: int) -> list[Any]:
        """Number and sort values of at most `limit` runs."""
        seq = self._writer.seq
        order = [*(part for key in self._keys for part in _ordered(key)), (f"{seq} desc", [])]
        chosen: list[Sql] = [(seq, []), *(key.sql for key in self._keys)]
        source, where = self._source(order)
        tables, found = self._joined.tables, _listed(where, " and ") or "1 = 1"
        sql = f"select {_listed(chosen, ', ')} from {source[0]} where {found} order by {_listed(order, ', ')}"  # noqa: S608 - names of this package; values are bound
        bound = [tables, *chosen, source, *where, *order]
        return rows(self._c, f"{tables[0]}{sql} limit {limit}", [value for _, values in bound for value in values])

    def _source(self, order: list[Sql]) -> tuple[Sql, list[Sql]]:
        """What the runs are found in, and what must hold of them there."""
        at, postgres = self._part.at, self._writer.postgres
        table, alias = ("tracking_run", "r") if at is None else (TABLES[at.table], "o")
        source: Sql = (f"{table} {alias}", [])
        # The run itself is needed last: what else is asked is often told from indexes.
        where = [*self._rest, *self._own] if at is None else [*self._own, *self._rest]
        if self._first:
            columns = "r.*" if at is None else ", ".join(self._columns(at))
            first = (
                f"(select {columns} from {source[0]} where {_listed(self._own, ' and ')}"  # noqa: S608 - names of this package; values are bound
                f" order by {_listed(order, ', ')} limit {self._first}) {alias}"
            )
            source, where = (first, [v for _, values in (*self._own, *order) for v in values]), self._rest
        if at is not None and any(_of_run(part) for part in parts_of((self._tree, self._part.order))):
            # SQLite keeps to this order of a cross join: the rows of the key first, each with its run.
            join = "join" if postgres else "cross join"
            source = f"{source[0]} {join} tracking_run r on r.seq = o.run_seq", source[1]
        beside, keys = self._writer.beside()
        return (f"{source[0]}{self._joined.joined(self._writer.seq)}{beside}", [*source[1], *keys]), where

    def _columns(self, at: Place) -> list[str]:
        """What is asked of `o`: with no more than that, an index has it all."""
        asked = parts_of((self._tree, self._part.order))
        kept = [part for part in asked if isinstance(part, Param | Tag | Metric) and places(part) == {at}]
        return ["o.run_seq", *sorted({f"o.{column_of(value)}" for value in kept})]


def _of_run(node: Any) -> bool:
    return isinstance(node, Property) and node.name != "notes"


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


def _may_be(key: OrderKey, kept: float | int | str | None) -> bool:
    """Whether a run may have this sort value: a token comes from whoever asks."""
    return kept is None or isinstance(kept, str) == (key.value.kind == "text")


def _token(order_by: str, part: int, row: Any) -> str:
    # Floats travel in hexadecimal: infinities and the last bit survive.
    last = [[value.hex()] if isinstance(value, float) else value for value in (*row[1:], row[0])]
    return base64.urlsafe_b64encode(msgspec.json.encode([order_by, part, last])).decode().rstrip("=")


def _read_token(token: str, order_by: str) -> tuple[int, _Kept]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        order, part, last = msgspec.json.decode(raw, type=tuple[str, int, list[str | int | list[str] | None]])
        if order != order_by:
            raise ValueError("it continues a search in another order")
        if not last or not isinstance(last[-1], int):
            raise ValueError("it does not say where to go on")
        return part, [float.fromhex(value[0]) if isinstance(value, list) else value for value in last]
    except (ValueError, IndexError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"after={token[:40]!r} is not a page of this search: {error}", hint="begin without it"
        ) from None
