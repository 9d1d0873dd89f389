"""All runs that fit a query, as a set of their numbers.

What an index tells by itself (a metric, a parameter as a number) is asked by itself: the database gives the numbers of
those runs as one text, and sets of numbers are joined here, which takes a fraction of what databases need to look each
run up in each other's. What is dearer to tell is then asked of what is left alone, where that is little.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from functools import reduce
from operator import and_, or_
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.statements import among, rows
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.figures import Figures
from homeostat.tracking.query.parsing import conditions_of
from homeostat.tracking.query.remembered import Columns, remembers_of
from homeostat.tracking.query.sql import TABLES, Place, Sql, Writer, numeric, places_of
from homeostat.tracking.query.tree import Among, Compare, Condition, Every, Not, Some, Text, Word
from homeostat.tracking.query.words import holding_sql

# As many runs are looked at one by one.
_LOOKED_AT = 30_000


def fitting(c: sa.Connection, base: Base, tree: Condition, joined: Figures, columns: Columns | None = None) -> Set[int]:
    """The internal numbers of the runs that fit; `joined` is what `figures` gives for the search.

    With `columns` they are a `Mask`.
    """
    return _Fitting(c, base, joined, columns).of(conditions_of(tree))


def numbers(c: sa.Connection, seq: str, source: Sql) -> list[int]:
    """The numbers `seq` of all rows of `source` ("from …"), in no order."""
    ((text,),) = rows(c, f"select {listed(seq, c.dialect.name == 'postgresql')} {source[0]}", source[1])
    return read_numbers(text)


def listed(seq: str, postgres: bool) -> str:
    """All numbers `seq` of a group, as `read_numbers` reads them."""
    return f"string_agg(cast({seq} as text), ',')" if postgres else f"group_concat({seq})"


def read_numbers(text: str | None) -> list[int]:
    """Numbers with commas between; None is none.

    >>> read_numbers("3,1"), read_numbers(None)
    ([3, 1], [])
    """
    return [] if text is None else msgspec.json.decode(f"[{text}]", type=list[int])


class _Fitting:
    def __init__(self, c: sa.Connection, base: Base, joined: Figures, columns: Columns | None) -> None:
        self._c, self._base, self._joined, self._columns = c, base, joined, columns
        self._postgres = c.dialect.name == "postgresql"

    def of(self, members: list[Any]) -> Set[int]:
        quick, rest = list[Any](), list[Any]()
        for member in members:
            (quick if self._quick(member) else rest).append(member)
        if not quick:
            return self._runs(self._all(rest))
        plain = self._base == Base()
        found = None if plain else self._runs(self._all([]))
        for group in _by_place(quick):
            some = self._set(group)
            found = some if found is None else found & some
        assert found is not None
        for member in rest:
            if len(found) <= _LOOKED_AT:
                break
            if isinstance(member, Not) and self._quick(member.member):
                found = found - self._set([member.member])
            elif _table(member) is not None:
                found = found & self._set([member])
            else:
                found = found & self._runs(self._all([member]))
            rest = rest[1:]
        if rest:
            return self._runs(self._all(rest, found)) if found else found
        if plain:  # few are deleted, and soon found
            gone = "from tracking_run b where b.lifecycle < ? or b.lifecycle > ?"
            found = found - self._runs(numbers(self._c, "b.seq", (gone, [self._base.lifecycle] * 2)))
        return found

    def _runs(self, found: Iterable[int]) -> Set[int]:
        return set(found) if self._columns is None else self._columns.mask(found)

    def _set(self, nodes: list[Any]) -> Set[int]:
        """The runs of which all `nodes` hold, of any lifecycle; all are of one place, or there is one."""
        first, columns = nodes[0], self._columns
        match first:
            case Every(members):
                return reduce(and_, (self._set([member]) for member in members))
            case Some(members):
                return reduce(or_, (self._set([member]) for member in members))
            case Word() if columns is not None:
                return columns.holding(first) if columns.knows_words() else self._holding(first)
            case _ if columns is not None and remembers_of(first):
                return columns.holds(first)
            case _ if columns is not None and all(map(self._known, nodes)):
                return reduce(and_, map(columns.holds, nodes))
            case _:
                return self._runs(numbers(self._c, "x.run_seq", Writer(self._postgres).rows_of(nodes)))

    def _holding(self, word: Word) -> Set[int]:
        found, bound = holding_sql(self._postgres, word.text)
        return self._runs(numbers(self._c, "x.run_seq", (f"from ({' union all '.join(found)}) x", bound)))

    def _quick(self, node: Any) -> bool:
        """Whether indexes tell all of it, or what is remembered."""
        if isinstance(node, Every | Some):
            return bool(node.members) and all(map(self._quick, node.members))
        if isinstance(node, Word):
            return self._columns is not None and (self._columns.knows_words() or not self._postgres)
        if self._columns is not None and (remembers_of(node) or self._known(node)):
            return True
        return _table(node) is not None and numeric(node)

    def _known(self, node: Any) -> bool:
        """Whether what is remembered tells it: to ask for the numbers of many runs takes longer, on PostgreSQL most."""
        if self._columns is None or not isinstance(node, Compare):
            return False
        return self._columns.knows(node) if self._postgres else self._columns.knows_one_more(node)

    def _all(self, members: list[Any], within: Set[int] | None = None) -> list[int]:
        """The runs of the search, of these `within`, of which all `members` hold."""
        few = within is not None
        writer = Writer(self._postgres, self._joined.names, few=few, rare=not few)
        held, bound = writer.condition(Every(tuple(members)))
        of_all, first = self._base.on_runs(self._postgres, counted=few or not members)
        of_these, these = among(self._c, sorted(within)) if few else ("is not null", [])
        beside, keys = writer.beside()
        joined, tables = self._joined, self._joined.tables
        sql = (
            f"from tracking_run r{joined.joined(writer.seq)}{beside} where r.seq {of_these} and {held} and {of_all}",
            [*keys, *these, *bound, *first],
        )
        if not tables[0]:
            return numbers(self._c, "r.seq", sql)
        found = rows(self._c, f"{tables[0]}select r.seq {sql[0]}", [*tables[1], *sql[1]])
        return [seq for (seq,) in found]


def _table(node: Any) -> Place | None:
    """The place that all of `node` is asked of, where its table has a row of it alone."""
    found = places_of(node) if isinstance(node, Compare | Among | Text) else set[Place]()
    place = next(iter(found)) if len(found) == 1 else None
    return place if place is not None and place.table in TABLES else None


def _by_place(nodes: list[Any]) -> list[list[Any]]:
    """What is asked of one place together, everything else by itself."""
    found: dict[Any, list[Any]] = {}
    for number, node in enumerate(nodes):
        found.setdefault(_table(node) or number, []).append(node)
    return list(found.values())
