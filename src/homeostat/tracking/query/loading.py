"""What is remembered of all runs, read from the database.

It gives all of it as one row of a few long values, but for floats of SQLite: what a driver does for each of a hundred
thousand rows takes as long as the database takes to find them, on PostgreSQL several times as long.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from homeostat.core.statements import among, each, rows, rows_of
from homeostat.tracking.query.sql import RUN, TABLES, Writer, places
from homeostat.tracking.query.words import body_sql

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.tracking.query.tree import Value

_NUMBERS = "string_agg(int4send(cast({} as integer)), '')"
_FLOATS = "string_agg(float8send({}), '')"
_TEXTS = "cast(json_agg({}) as text)"
# Of a run that has gone its text may be left.
_KEPT = "from tracking_text x where exists (select 1 from tracking_run r where r.seq = x.run_seq) and x.run_seq <= ?"
_STALE = "from tracking_run x where x.seq in (select s.run_seq from tracking_stale s) and x.seq <= ?"


def values_of(c: sa.Connection, value: Value, highest: int, only: set[int] | None = None) -> Iterable[tuple[int, Any]]:
    """Number and value of all runs up to the `highest` that have the value, or of `only` some of them.

    A number or a time comes as a float.
    """
    postgres = c.dialect.name == "postgresql"
    (at,) = places(value)
    sql, bound = Writer(postgres).value(value, at)
    text = value.kind == "text"
    if not text:
        sql = f"cast({sql} as double precision)"
    seq, source = ("r.seq", "tracking_run r") if at == RUN else ("x.run_seq", f"{TABLES[at.table]} x")
    key, keys = ("", []) if at == RUN else (" and x.key = ?", [at.key])
    these, chosen = _only(c, seq, only)
    found = f"from {source} where {sql} is not null and {seq} <= ?{key}{these}"
    asked = [*bound, highest, *keys, *chosen]
    if not postgres and not text:  # a float written as a text is not always the same
        return each(c, f"select {seq}, {sql} {found}", [*bound, *asked])
    if not postgres:
        packed = f"json_group_array({seq}), json_group_array({sql})"
        ((seqs, values),) = rows(c, f"select {packed} {found}", [*bound, *asked])
        return zip(msgspec.json.decode(seqs, type=list[int]), msgspec.json.decode(values, type=list[str]), strict=True)
    packed = (_TEXTS if text else _FLOATS).format(sql)
    ((seqs, values),) = rows(c, f"select {_NUMBERS.format(seq)}, {packed} {found}", [*bound, *asked])
    if seqs is None:
        return ()
    read = msgspec.json.decode(values, type=list[str]) if text else _array("d", values)
    return zip(_array("i", seqs), read, strict=True)


def bodies_of(c: sa.Connection, highest: int, only: set[int] | None = None) -> Iterator[tuple[int, str]]:
    """Number of all runs up to the `highest`, or of `only` some of them, and the text that words are looked for in.

    Of PostgreSQL only.
    """
    asked: list[tuple[str, list[Any]]] = []
    # What is kept of those that are stale is put right by what comes behind.
    for seq, body, source in (("x.run_seq", "x.body", _KEPT), ("x.seq", body_sql(True, "x"), _STALE)):
        these, chosen = _only(c, seq, only)
        inner = f"select cast({seq} as integer) as seq, {body} as body {source}{these}"
        packed = "string_agg(int4send(z.seq), ''), string_agg(int4send(length(z.body)), ''), string_agg(z.body, '')"
        asked.append((f"select {packed} from ({inner} offset 0) z", [highest, *chosen]))  # noqa: S608 - names of this package; values are bound
    for ((seqs, lengths, text),) in rows_of(c, asked):
        if seqs is not None:
            ends = accumulate(_array("i", lengths), initial=0)
            for seq, (begin, end) in zip(_array("i", seqs), pairwise(ends), strict=True):
                yield seq, text[begin:end]


def _only(c: sa.Connection, seq: str, only: set[int] | None) -> tuple[str, list[Any]]:
    if only is None:
        return "", []
    these, chosen = among(c, sorted(only))
    return f" and {seq} {these}", chosen


def _array(kind: str, packed: bytes) -> array[Any]:
    """Numbers that PostgreSQL sends, the byte that weighs most first."""
    found: array[Any] = array(kind, packed)
    if sys.byteorder == "little":
        found.byteswap()
    return found
