"""What must stand in the tables for a trace to meet a filter, as SQL: it leaves few traces to be looked at one by one.

What traces, spans and assessments are found by stands in narrow rows (`trace_words`). Of most filters these say all, so
that no trace is looked at; of others something that holds for every trace that meets them. What only texts of JSON
tell (what spans say, their attributes) is looked for as a piece of that text: the same value is always written the
same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.foreign_search import Comparison, Group
from homeostat.core.records import to_json
from homeostat.tracking import store, trace_store
from homeostat.tracking.trace_facts import compared
from homeostat.tracking.trace_filter import RUN
from homeostat.tracking.trace_words import CLIENT_ID, UNKEPT, cut, whole, without_nul

_TRACE, _SPAN, _SAID, _LINK = store.trace, store.span, store.assessment, store.trace_run
_WORD, _FACT = trace_store.word, trace_store.fact
_END = _TRACE.c.request_ms + sa.func.coalesce(_TRACE.c.duration_ms, 0)
COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    "timestamp_ms": _TRACE.c.request_ms, "execution_time_ms": _TRACE.c.duration_ms, "end_time_ms": _END,
    "request_id": _TRACE.c.id, "status": _TRACE.c.state, "experiment_id": _TRACE.c.experiment_id,
}  # fmt: skip
_BY_COLUMN = ("=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN")
_LONGEST_TEXT = 2_000
# So many traces are named, more are asked for one by one in the order of the search; so many values of a word are told.
_FEW, _FEW_VALUES, _MOST_VALUES = 500, 4, 500
_EXACT = 2**53
# Words that JSON does not write in another way, wherever they stand; "null" is left out where a value is not there.
_WORDS = re.compile(r"[A-Za-z ]{2,}")


class Hint(NamedTuple):
    """What holds of every trace that meets a filter; `exact`: of no other."""

    holds: sa.ColumnElement[bool]
    exact: bool


class Hints:
    """Makes hints for searches among some experiments.

    `of_sessions`: something was said of whole sessions, so that a trace may have it without an assessment of its own.
    """

    def __init__(self, c: sa.Connection, experiment_ids: Sequence[int], of_sessions: bool = False) -> None:
        self._c, self._experiments, self._of_sessions = c, experiment_ids, of_sessions

    def of(self, node: Any) -> Hint | None:
        """The hint for a filter's tree; None when nothing can be said."""
        if isinstance(node, Group):
            return self._group(node)
        assert isinstance(node, Comparison)
        match node.entity:
            case "tag" | "metadata":
                return self._word(node.entity, node.key, node.operator, node.value)
            case "prompt":
                return self._word("prompt", "", "=", node.value)
            case "issue":
                return self._rows(_SAID, [_SAID.c.name == cut(node.value)], exact=False)
            case "feedback" | "expectation" | "assessment":
                return None if self._of_sessions else self._said(node)
            case "span":
                return self._spans([node])
            case _ if node.key == CLIENT_ID:
                return self._word("attribute", CLIENT_ID, node.operator, node.value)
            case _:
                return _column(node)

    def _group(self, node: Group) -> Hint | None:
        if node.kind == "not":
            inner = self.of(node.members[0])
            exact = inner is not None and inner.exact
            return Hint(sa.not_(sa.func.coalesce(inner.holds, sa.false())), True) if inner and exact else None
        if node.kind == "or":
            known = [self.of(one) for one in node.members]
            told = [one for one in known if one is not None]
            both = Hint(sa.or_(*(one.holds for one in told)), all(one.exact for one in told))
            return both if len(told) == len(known) else None
        # Comparisons with spans that are joined by AND are of one span.
        spans = [one for one in node.members if isinstance(one, Comparison) and one.entity == "span"]
        hints = [self.of(one) for one in node.members if one not in spans]
        hints += [self._spans(spans)] if spans else []
        told = [one for one in hints if one is not None]
        exact = len(told) == len(hints) and all(one.exact for one in told)
        return Hint(sa.and_(*(one.holds for one in told)), exact) if told else None

    def _word(self, kind: str, key: str, operator: str, value: Any) -> Hint | None:
        if key in UNKEPT:
            return _in_text(_TRACE.c.tags if kind == "tag" else _TRACE.c.metadata, key, operator, value)
        where = [*_among(_WORD, self._experiments), _WORD.c.kind == kind, _WORD.c.key == cut(key)]
        there = _TRACE.c.id.in_(sa.select(_WORD.c.trace_id).where(*where))
        if operator == "IS NULL":
            return Hint(sa.not_(there), True) if whole(key) else None
        if operator == "IS NOT NULL":
            return Hint(there, whole(key))
        if operator == "=":
            found = self._rows(_WORD, [*where, _WORD.c.value == cut(value)], whole(key) and whole(value))
            if kind == "metadata" and key == RUN:
                linked = _TRACE.c.id.in_(sa.select(_LINK.c.trace_id).where(_LINK.c.run_id == value))
                return Hint(sa.or_(found.holds, linked), found.exact)
            return found
        # What is compared otherwise is compared here, with each value there is.
        told = self._c.execute(sa.select(_WORD.c.value).where(*where).distinct()).scalars()
        values = [one for one in told if not whole(one) or compared(one, operator, value)]
        exact = whole(key) and all(map(whole, values))
        if len(values) > _MOST_VALUES:
            return Hint(there, False)
        where = [*where, _WORD.c.value.in_(values)]
        if len(values) <= _FEW_VALUES:
            return self._rows(_WORD, where, exact)
        return Hint(_TRACE.c.id.in_(sa.select(_WORD.c.trace_id).where(*where)), exact)

    def _said(self, node: Comparison) -> Hint | None:
        kinds = ("feedback", "expectation") if node.entity == "assessment" else (node.entity,)
        where = [_SAID.c.name == cut(node.key), _SAID.c.kind.in_(kinds), _SAID.c.valid]
        if node.operator == "IS NULL":
            there = _TRACE.c.id.in_(sa.select(_SAID.c.trace_id).where(*where))
            return Hint(sa.not_(there), True) if whole(node.key) else None
        if node.operator == "=":
            where.append(_SAID.c.value.in_(_written(node.value)))
        elif node.operator in ("<", "<=", ">", ">="):
            number = _SAID.c.number
            beyond = sa.or_(number.is_(None), sa.func.abs(number) > _EXACT)
            where.append(sa.or_(beyond, number.op(node.operator, is_comparison=True)(float(node.value))))
        return self._rows(_SAID, where, exact=False)

    def _spans(self, asked: list[Comparison]) -> Hint | None:
        """What one span must be for all that is asked of it."""
        facts, texts, exact = list[Any](), list[Any](), True
        for node in asked:
            if node.key in ("name", "type", "status"):
                there, holds = _of_fact(_FACT.c[node.key], node.operator, node.value)
                facts += [] if there is None else [there]
                exact = exact and holds
            else:
                exact, there = False, _in_span(node)
                texts += [] if there is None else [there]
        hints = [self._rows(_FACT, [*_among(_FACT, self._experiments), *facts], exact)] if facts else []
        hints += [self._rows(_SPAN, texts, exact=False)] if texts else []
        return Hint(sa.and_(*(one.holds for one in hints)), exact) if hints else None

    def _rows(self, table: sa.Table, where: Sequence[sa.ColumnElement[bool]], exact: bool) -> Hint:
        """That a trace has such a row: the traces are named if they are few, else each is asked in its turn."""
        found = self._c.execute(sa.select(table.c.trace_id).where(*where).limit(_FEW + 1)).scalars().all()
        if len(found) <= _FEW:
            return Hint(_TRACE.c.id.in_(sorted(set(found))) if found else sa.false(), exact)
        own = [table.c.trace_id == _TRACE.c.id]
        if "request_ms" in table.c:
            own += [table.c.experiment_id == _TRACE.c.experiment_id, table.c.request_ms == _TRACE.c.request_ms]
        return Hint(sa.exists().where(*where, *own).correlate(_TRACE), exact)


def _among(table: sa.Table, experiment_ids: Sequence[int]) -> list[sa.ColumnElement[bool]]:
    of = table.c.experiment_id
    return [of == experiment_ids[0] if len(experiment_ids) == 1 else of.in_(experiment_ids)]


def _column(node: Comparison) -> Hint | None:
    column = COLUMNS.get(node.key)
    if column is None:
        return None
    if node.operator in ("IN", "NOT IN"):
        return Hint(column.in_(node.value) if node.operator == "IN" else column.not_in(node.value), True)
    if node.operator in _BY_COLUMN:
        whole_number = isinstance(node.value, float) and node.value.is_integer()
        value = int(node.value) if whole_number else node.value
        return Hint(column.op(node.operator, is_comparison=True)(value), True)
    there = _like(column, node.operator, node.value)
    return None if there is None else Hint(there, False)


def _of_fact(column: sa.ColumnElement[str], operator: str, value: Any) -> tuple[sa.ColumnElement[bool] | None, bool]:
    """What a span's column must meet, and whether that is all."""
    if operator in ("IN", "NOT IN"):
        values = [without_nul(one) for one in value]
        return (column.in_(values) if operator == "IN" else column.not_in(values)), True
    if operator in ("=", "!="):
        return column.op(operator, is_comparison=True)(without_nul(value)), True
    return _like(column, operator, value), False


def _in_span(node: Comparison) -> sa.ColumnElement[bool] | None:
    if node.key != "content":
        name = node.key.removeprefix("attributes.").strip("`\"'")
        return _holds(_SPAN.c.body, f'"key":{to_json(name)}')
    pieces = [piece for piece in re.split("[%_]", node.value) if _WORDS.fullmatch(piece) and piece not in "null"]
    return _holds(_SPAN.c.body, max(pieces, key=len, default=""), any_case=node.operator == "ILIKE")


def _in_text(column: sa.ColumnElement[str], key: str, operator: str, value: Any) -> Hint | None:
    """Of a word that has no row of its own: the text that its JSON holds."""
    if operator == "IS NULL":
        return None
    there = _holds(column, f"{to_json(key)}:{to_json(value) if operator == '=' else ''}")
    return None if there is None else Hint(there, False)


def _like(column: sa.ColumnElement[str], operator: str, pattern: str) -> sa.ColumnElement[bool] | None:
    if operator not in ("LIKE", "ILIKE"):
        return None
    pieces = [piece for piece in re.split("[%_]", pattern) if operator == "LIKE" or _WORDS.fullmatch(piece)]
    return _holds(column, max(pieces, key=len, default=""), any_case=operator == "ILIKE")


def _written(value: str) -> list[str]:
    """The JSON of what is equal to a filter's text: a number may be written with a point or without."""
    try:
        number = float(value)
        whole_number = [str(int(number))] if number.is_integer() and abs(number) < _EXACT else []
    except ValueError:
        whole_number = []
    return [value, json.dumps(value), *whole_number]


def _holds(column: sa.ColumnElement[str], text: str, any_case: bool = False) -> sa.ColumnElement[bool] | None:
    if not text or len(text) > _LONGEST_TEXT:
        return None
    return column.icontains(text, autoescape=True) if any_case else column.contains(text, autoescape=True)
