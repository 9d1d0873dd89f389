"""Search among traces, newest first or in another order.

What the database has a column for is compared and ordered by it. Tags, metadata, spans and assessments are looked at
trace by trace, in the order asked for, until a page is full, among those whose text holds what it must (`trace_hints`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from homeostat.core.foreign_search import Comparison, Group
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.trace_facts import Facts, meets, sessions, value_of
from homeostat.tracking.trace_filter import read_filter, read_orders
from homeostat.tracking.trace_hints import hint
from homeostat.tracking.traces import Trace, find_traces

_TABLE = store.trace
_END = _TABLE.c.request_ms + sa.func.coalesce(_TABLE.c.duration_ms, 0)
_COLUMNS: dict[str, Any] = {
    "timestamp_ms": _TABLE.c.request_ms, "execution_time_ms": _TABLE.c.duration_ms, "end_time_ms": _END,
    "request_id": _TABLE.c.id, "status": _TABLE.c.state, "experiment_id": _TABLE.c.experiment_id,
}  # fmt: skip
_BY_COLUMN = ("=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN")
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
    query = sa.select(_TABLE.c.id).where(*within(experiment_ids, since_ms, until_ms))
    rest: list[Any] = []
    for node in tree.members if isinstance(tree, Group) and tree.kind == "and" else [tree] if tree else []:
        compared = _by_column(node)
        if compared is None:
            rest.append(node)
        else:
            query = query.where(compared)
    if not rest:
        left, whole = None, {}
    else:
        left = Group("and", tuple(rest))
        whole = sessions(c, experiment_ids, left)
        hinted = hint(left, of_sessions=any(whole.values()))
        query = query if hinted is None else query.where(hinted)
    if all(entity == "attribute" and key in _COLUMNS for entity, key, _ in orders):
        query = query.order_by(*_order(orders))
        if left is None:
            return _read(c, query.limit(most).offset(skip) if skip or most else query, None, whole)
        return islice(_read(c, query, left, whole), skip, None)
    found = list(_read(c, query.order_by(*_order(())), left, whole))
    for entity, key, ascending in reversed(orders):
        here = [(value_of(one, entity, key), one) for one in found]
        there = sorted((pair for pair in here if pair[0] is not None), key=lambda pair: pair[0], reverse=not ascending)
        found = [one for _, one in there] + [one for value, one in here if value is None]
    return iter(found[skip:])


def within(
    experiment_ids: Sequence[int], since_ms: int | None = None, until_ms: int | None = None
) -> list[sa.ColumnElement[bool]]:
    """The conditions on experiments and time."""
    # Of a single experiment the index gives the order too.
    of = _TABLE.c.experiment_id
    where = [of == experiment_ids[0] if len(experiment_ids) == 1 else of.in_(experiment_ids)]
    if since_ms is not None:
        where.append(_TABLE.c.request_ms >= min(since_ms, _LAST))
    if until_ms is not None:
        where.append(_TABLE.c.request_ms <= min(until_ms, _LAST))
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


def _by_column(node: Any) -> sa.ColumnElement[bool] | None:
    if not isinstance(node, Comparison) or node.entity != "attribute" or node.operator not in _BY_COLUMN:
        return None
    column = _COLUMNS.get(node.key)
    if column is None:
        return None
    if node.operator in ("IN", "NOT IN"):
        return column.in_(node.value) if node.operator == "IN" else column.not_in(node.value)
    if isinstance(node.value, float) and node.value.is_integer():
        return column.op(node.operator, is_comparison=True)(int(node.value))
    return column.op(node.operator, is_comparison=True)(node.value)


def _order(orders: Sequence[tuple[str, str, bool]]) -> list[Any]:
    clauses: list[Any] = []
    for _, key, ascending in orders:
        column = _COLUMNS[key]
        if key == "execution_time_ms":
            clauses.append(sa.case((column.is_(None), 1), else_=0))
        clauses.append(column.asc() if ascending else column.desc())
    return [*clauses, _TABLE.c.request_ms.desc(), _TABLE.c.id]
