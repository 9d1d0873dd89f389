"""Search among traces, newest first or in another order.

What the database has a column for is compared and ordered by it. Tags, metadata, spans and assessments are looked at
trace by trace, in the order asked for, until a page is full, among those whose text holds what it must (`trace_hints`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from homeostat.core.foreign_search import Comparison
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, trace_store
from homeostat.tracking.trace_facts import Facts, meets, sessions, value_of
from homeostat.tracking.trace_filter import read_filter, read_orders
from homeostat.tracking.trace_hints import COLUMNS, Hints
from homeostat.tracking.trace_words import CLIENT_ID, UNKEPT
from homeostat.tracking.trace_words import whole as whole_word
from homeostat.tracking.traces import Trace, find_traces

_TABLE, _WORD = store.trace, trace_store.word
_PART = 500
_LAST = 2**63 - 1


def search_traces(
    ws: Workspace,
    experiment_ids: Sequence[int],
    filter: str = "",
    order: Sequence[str] = (),
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[Trace], bool]:
    """Traces of some experiments, and whether there are more. Raises: ForeignError for a malformed filter or order."""
    tree, orders = read_filter(filter), read_orders(tuple(order))

    def read(c: sa.Connection) -> tuple[list[Trace], bool]:
        found = list(islice(matching(c, experiment_ids, tree, orders, skip=offset, most=limit + 1), limit + 1))
        return found[:limit], len(found) > limit

    return ws.db.read(read)


def matching(
    c: sa.Connection,
    experiment_ids: Sequence[int],
    tree: Any | None,
    orders: Sequence[tuple[str, str, bool]] = (),
    since_ms: int | None = None,
    until_ms: int | None = None,
    skip: int = 0,
    most: int | None = None,
) -> Iterator[Trace]:
    """The traces that meet a filter's tree, in the order asked for, but for the first `skip`.

    `most` is how many are asked for, where it is known.
    """
    where = within(experiment_ids, since_ms, until_ms)
    left, whole = tree, sessions(c, experiment_ids, tree)
    hinted = None if tree is None else Hints(c, experiment_ids, any(whole.values())).of(tree)
    if hinted is not None:
        where.append(hinted.holds)
        left = None if hinted.exact else tree
    if all(entity == "attribute" and key in COLUMNS for entity, key, _ in orders):
        query = sa.select(_TABLE.c.id).where(*where).order_by(*_order(orders))
        if left is None:
            return _read(c, query.limit(most).offset(skip) if skip or most else query, None, whole)
        return islice(_read(c, query, left, whole), skip, None)
    word = _word_of(orders[0])
    if left is None and word is not None and all(one[0] == "attribute" and one[1] in COLUMNS for one in orders[1:]):
        return _by_word(c, experiment_ids, where, word, orders, skip, most)
    found = list(_read(c, sa.select(_TABLE.c.id).where(*where).order_by(*_order(())), left, whole))
    for entity, key, ascending in reversed(orders):
        here = [(value_of(one, entity, key), one) for one in found]
        there = sorted((pair for pair in here if pair[0] is not None), key=lambda pair: pair[0], reverse=not ascending)
        found = [one for _, one in there] + [one for value, one in here if value is None]
    return iter(found[skip:])


def _word_of(order: tuple[str, str, bool]) -> tuple[str, str] | None:
    """The kind and key of the words that an order is by."""
    entity, key, _ = order
    if entity == "attribute":
        return ("attribute", key) if key == CLIENT_ID else None
    return (entity, key) if key not in UNKEPT and whole_word(key) else None


def _by_word(
    c: sa.Connection,
    experiment_ids: Sequence[int],
    where: list[sa.ColumnElement[bool]],
    word: tuple[str, str],
    orders: Sequence[tuple[str, str, bool]],
    skip: int,
    most: int | None,
) -> Iterator[Trace]:
    """First the traces that have the word, in its order, then those that have not."""
    _, *others = orders
    of_key = [*within(experiment_ids, of=_WORD.c.experiment_id), _WORD.c.kind == word[0], _WORD.c.key == word[1]]
    value: Any = sa.collate(_WORD.c.value, "C") if c.dialect.name == "postgresql" else _WORD.c.value
    by = value.asc() if orders[0][2] else value.desc()
    if others or len(where) > 1:
        with_word = sa.select(_TABLE.c.id).select_from(_WORD.join(_TABLE, _TABLE.c.id == _WORD.c.trace_id))
        with_word = with_word.where(*of_key, *where).order_by(by, *_order(others))
    else:
        with_word = sa.select(_WORD.c.trace_id).where(*of_key).order_by(by, _WORD.c.request_ms.desc(), _WORD.c.trace_id)
    with_word = with_word.offset(skip or None).limit(most)
    found = list(c.execute(with_word).scalars())
    if most is None or len(found) < most:
        there = sa.select(_WORD.c.trace_id).where(*of_key)
        if not found and skip:
            skip -= int(c.execute(sa.select(sa.func.count()).select_from(
                _WORD.join(_TABLE, _TABLE.c.id == _WORD.c.trace_id)).where(*of_key, *where)).scalar_one())  # fmt: skip
        without = sa.select(_TABLE.c.id).where(*where, _TABLE.c.id.not_in(there)).order_by(*_order(others))
        left = None if most is None else most - len(found)
        found += c.execute(without.offset(0 if found else skip).limit(left)).scalars()
    for at in range(0, len(found), _PART):
        known = find_traces(c, found[at : at + _PART])
        yield from (known[id] for id in found[at : at + _PART] if id in known)


def count(c: sa.Connection, experiment_ids: Sequence[int], tree: Any | None) -> int:
    """How many traces meet a filter's tree."""
    whole = sessions(c, experiment_ids, tree)
    hinted = None if tree is None else Hints(c, experiment_ids, any(whole.values())).of(tree)
    if (hinted is None and tree is not None) or (hinted is not None and not hinted.exact):
        return sum(1 for _ in matching(c, experiment_ids, tree))
    where = within(experiment_ids) + ([] if hinted is None else [hinted.holds])
    return int(c.execute(sa.select(sa.func.count()).select_from(_TABLE).where(*where)).scalar_one())


def within(
    experiment_ids: Sequence[int],
    since_ms: int | None = None,
    until_ms: int | None = None,
    of: sa.ColumnElement[int] = _TABLE.c.experiment_id,
    time: sa.ColumnElement[int] = _TABLE.c.request_ms,
) -> list[sa.ColumnElement[bool]]:
    """The conditions on experiments and time."""
    # Of a single experiment the index gives the order too.
    where = [of == experiment_ids[0] if len(experiment_ids) == 1 else of.in_(experiment_ids)]
    if since_ms is not None:
        where.append(time >= min(since_ms, _LAST))
    if until_ms is not None:
        where.append(time <= min(until_ms, _LAST))
    return where


def _read(c: sa.Connection, query: Any, left: Any | None, whole: dict[Comparison, set[str]]) -> Iterator[Trace]:
    """The traces whose ids a query gives. Rows are wide: only those that are looked at are read, some at a time."""
    # One row after the other as they are found, not all before the first.
    with c.execute(query, execution_options={"yield_per": _PART}) as found:
        for part in found.scalars().partitions():
            known = find_traces(c, list(part))
            traces = [known[id] for id in part if id in known]
            facts = Facts(c, traces)
            for trace in traces:
                if left is None or meets(left, trace, facts, whole):
                    yield trace


def _order(orders: Sequence[tuple[str, str, bool]]) -> list[Any]:
    clauses: list[Any] = []
    for _, key, ascending in orders:
        column = COLUMNS[key]
        if key == "execution_time_ms":
            clauses.append(sa.case((column.is_(None), 1), else_=0))
        clauses.append(column.asc() if ascending else column.desc())
    return [*clauses, _TABLE.c.request_ms.desc(), _TABLE.c.id]
