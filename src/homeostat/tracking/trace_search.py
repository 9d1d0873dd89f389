"""Search among traces, newest first or in another order.

What the database has a column for is compared and ordered by it; tags, metadata, spans and assessments are looked at
trace by trace, in the order asked for, until a page is full.
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
from homeostat.tracking.traces import Trace, assessments_of, from_row

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
    most: int = _PART,
) -> Iterator[Trace]:
    """The traces that meet a filter's tree, in the order asked for, but for the first `skip`.

    `most` is how many are asked for, as far as it is known: so many are read at once.
    """
    query = sa.select(_TABLE).where(_TABLE.c.experiment_id.in_(experiment_ids))
    if since_ms is not None:
        query = query.where(_TABLE.c.request_ms >= min(since_ms, _LAST))
    if until_ms is not None:
        query = query.where(_TABLE.c.request_ms <= min(until_ms, _LAST))
    rest: list[Any] = []
    for node in tree.members if isinstance(tree, Group) and tree.kind == "and" else [tree] if tree else []:
        compared = _by_column(node)
        if compared is None:
            rest.append(node)
        else:
            query = query.where(compared)
    left = Group("and", tuple(rest)) if rest else None
    by_column = all(entity == "attribute" and key in _COLUMNS for entity, key, _ in orders)
    if by_column:
        query = query.order_by(*_order(orders))
        if left is None:
            return _read(c, query, None, experiment_ids, skip, min(most, _PART))
        return islice(_read(c, query, left, experiment_ids), skip, None)
    found = list(_read(c, query.order_by(*_order(())), left, experiment_ids))
    for entity, key, ascending in reversed(orders):
        here = [(value_of(one, entity, key), one) for one in found]
        there = sorted((pair for pair in here if pair[0] is not None), key=lambda pair: pair[0], reverse=not ascending)
        found = [one for _, one in there] + [one for value, one in here if value is None]
    return iter(found[skip:])


def _read(
    c: sa.Connection, query: Any, left: Any | None, experiment_ids: Sequence[int], at: int = 0, part: int = _PART
) -> Iterator[Trace]:
    whole = sessions(c, experiment_ids, left)
    while True:
        rows = c.execute(query.limit(part).offset(at)).all()
        said = assessments_of(c, [row.id for row in rows])
        traces = [from_row(row, said.get(row.id)) for row in rows]
        facts = Facts(c, traces)
        for trace in traces:
            if left is None or meets(left, trace, facts, whole):
                yield trace
        if len(rows) < part:
            return
        at += part


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
