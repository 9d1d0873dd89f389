"""Whether a trace meets a filter: its own words, those of its spans, what was said of it, the runs it belongs to."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.foreign_search import Comparison, Group
from homeostat.core.records import from_json, to_json
from homeostat.core.regular import Pattern
from homeostat.tracking import store
from homeostat.tracking.otel_words import plain
from homeostat.tracking.otlp import attributes
from homeostat.tracking.trace_filter import RUN
from homeostat.tracking.trace_words import SESSION, cut, prompts_of, said_value, status_of, type_of
from homeostat.tracking.traces import Trace

_AT_ONCE = 500
_SAID = ("feedback", "expectation", "assessment")


class Span(NamedTuple):
    """What a filter may ask of a span."""

    name: str
    type: str
    status: str
    attributes: dict[str, Any]
    body: dict[str, Any]


class Facts:
    """Some traces and, read when they are asked for, the spans and runs of them all."""

    def __init__(self, c: sa.Connection, traces: Sequence[Trace]) -> None:
        self._c = c
        self._ids = [one.id for one in traces]
        self._spans: dict[str, list[Span]] | None = None
        self._runs: dict[str, set[str]] | None = None

    def spans(self, trace_id: str) -> list[Span]:
        """The spans of one of the traces."""
        if self._spans is None:
            self._spans = spans_of(self._c, self._ids)
        return self._spans.get(trace_id, [])

    def runs(self, trace_id: str) -> set[str]:
        """The runs that a trace was said to belong to."""
        if self._runs is None:
            self._runs = defaultdict(set)
            table = store.trace_run
            for part in _parts(self._ids):
                for row in self._c.execute(sa.select(table).where(table.c.trace_id.in_(part))):
                    self._runs[row.trace_id].add(row.run_id)
        return self._runs.get(trace_id, set())


def spans_of(c: sa.Connection, ids: Sequence[str]) -> dict[str, list[Span]]:
    """The spans of some traces, by trace."""
    table, found = store.span, defaultdict[str, list[Span]](list)
    for part in _parts(ids):
        query = sa.select(table.c.trace_id, table.c.body).where(table.c.trace_id.in_(part))
        for trace_id, body in c.execute(query.order_by(table.c.start_ns, table.c.span_id)):
            found[trace_id].append(span_of(from_json(body, dict[str, Any])))
    return found


def span_of(body: dict[str, Any]) -> Span:
    """A span as it is kept, with what filters and statistics ask of it."""
    told = attributes(body)
    return Span(str(body.get("name", "")), type_of(told), status_of(body), told, body)


def sessions(c: sa.Connection, experiment_ids: Sequence[int], tree: Any) -> dict[Comparison, set[str]]:
    """For each comparison with what was said: the sessions of which it was said as a whole."""
    asked = [one for one in _leaves(tree) if one.entity in _SAID]
    if not asked:
        return {}
    trace, said = store.trace, store.assessment
    query = sa.select(trace.c.metadata, said.c.body).join(said, said.c.trace_id == trace.c.id)
    query = query.where(
        trace.c.experiment_id.in_(experiment_ids), said.c.of_session, said.c.name.in_([cut(one.key) for one in asked])
    )
    found: dict[Comparison, set[str]] = {one: set() for one in asked}
    for metadata, body in c.execute(query):
        session = from_json(metadata, dict[str, str]).get(SESSION)
        told = from_json(body, dict[str, Any])
        if session is None or SESSION not in (told.get("metadata") or {}):
            continue
        for one in asked:
            if _said([told], one):
                found[one].add(session)
    return found


def meets(node: Any, trace: Trace, facts: Facts, whole: dict[Comparison, set[str]]) -> bool:
    """Whether a trace meets a filter's tree. Comparisons with spans that are joined by AND are of one span."""
    if isinstance(node, Group):
        if node.kind == "not":
            return not meets(node.members[0], trace, facts, whole)
        if node.kind == "or":
            return any(meets(one, trace, facts, whole) for one in node.members)
        ours = [one for one in node.members if isinstance(one, Comparison) and one.entity == "span"]
        others = [one for one in node.members if not (isinstance(one, Comparison) and one.entity == "span")]
        return all(meets(one, trace, facts, whole) for one in others) and (not ours or _one_span(ours, trace, facts))
    entity, key, operator, value = node
    if entity == "span":
        return _one_span([node], trace, facts)
    if entity in _SAID:
        session = trace.metadata.get(SESSION)
        there = _said(trace.assessments, node) or (session is not None and session in whole.get(node, ()))
        return there != (operator == "IS NULL")
    if entity == "issue":
        return any("issue" in one and one.get("assessment_name") == value for one in trace.assessments)
    if entity == "prompt":
        return value in prompts_of(trace.tags)
    if entity == "metadata" and key == RUN and operator == "=":
        return trace.metadata.get(RUN) == value or value in facts.runs(trace.id)
    return compared(value_of(trace, entity, key), operator, value)


def value_of(trace: Trace, entity: str, key: str) -> Any:
    """What a filter's or an order's word means of a trace; None when it has none."""
    match entity, key:
        case "tag", _:
            return trace.tags.get(key)
        case "metadata", _:
            return trace.metadata.get(key)
        case _, "timestamp_ms":
            return trace.request_ms
        case _, "execution_time_ms":
            return trace.duration_ms
        case _, "end_time_ms":
            return trace.request_ms + (trace.duration_ms or 0)
        case _, "status":
            return trace.state
        case _, "client_request_id":
            return trace.client_request_id or None
        case _, "experiment_id":
            return int(trace.experiment_id)
        case _:
            return trace.id


def compared(there: Any, operator: str, value: Any) -> bool:
    """Whether what is there (None: nothing) meets a comparison."""
    if operator == "IS NULL":
        return there is None
    return there is not None and (operator == "IS NOT NULL" or _matcher(operator, value)(there))


@lru_cache(512)
def _matcher(operator: str, value: Any) -> Callable[[Any], bool]:
    match operator:
        case "=":
            return lambda there: there == value
        case "!=":
            return lambda there: there != value
        case "<":
            return lambda there: there < value
        case "<=":
            return lambda there: there <= value
        case ">":
            return lambda there: there > value
        case ">=":
            return lambda there: there >= value
        case "IN":
            return lambda there: there in value
        case "NOT IN":
            return lambda there: there not in value
        case "RLIKE":
            return Pattern(value).found
        case _:
            return _like(value, operator == "ILIKE")


def _like(pattern: str, any_case: bool) -> Callable[[str], bool]:
    # Piece by piece, each at the first place it fits: no pattern takes longer than pattern times text.
    flags = re.DOTALL | (re.IGNORECASE if any_case else 0)
    first, *rest = (
        re.compile("".join("." if char == "_" else re.escape(char) for char in piece), flags)
        for piece in pattern.split("%")
    )
    lengths = [len(piece) for piece in pattern.split("%")]

    def found(text: str) -> bool:
        if not rest:
            return first.fullmatch(text) is not None
        if first.match(text) is None:
            return False
        at = lengths[0]
        for piece, length in zip(rest[:-1], lengths[1:-1], strict=True):
            there = piece.search(text, at)
            if there is None:
                return False
            at = there.start() + length
        end = len(text) - lengths[-1]
        return end >= at and rest[-1].match(text, end) is not None

    return found


def _said(assessments: Sequence[dict[str, Any]], asked: Comparison) -> bool:
    """Whether something that was said, and counts, meets the comparison; IS NULL is met by what is there."""
    for one in assessments:
        kinds = ("feedback", "expectation") if asked.entity == "assessment" else (asked.entity,)
        told = next((one[kind] for kind in kinds if one.get(kind) is not None), None)
        if told is None or one.get("valid") is False or one.get("assessment_name") != asked.key:
            continue
        if asked.value is None or _value_meets(said_value(told), asked.operator, asked.value):
            return True
    return False


def _value_meets(value: Any, operator: str, asked: Any) -> bool:
    if operator in ("<", "<=", ">", ">="):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and _matcher(operator, asked)(value)
    written = {json.dumps(value), json.dumps(float(value))} if type(value) is int else {json.dumps(value)}
    if operator in ("=", "!="):
        return (asked in written or json.dumps(asked) in written) == (operator == "=")
    return any(map(_matcher(operator, asked), written))


def _one_span(asked: list[Comparison], trace: Trace, facts: Facts) -> bool:
    return any(all(_span_meets(span, one) for one in asked) for span in facts.spans(trace.id))


def _span_meets(span: Span, asked: Comparison) -> bool:
    match asked.key:
        case "name":
            there: Any = span.name
        case "type":
            there = span.type
        case "status":
            there = span.status
        case "content":
            there = _content(span)
        case _:
            name = asked.key.removeprefix("attributes.").strip("`\"'")
            if name not in span.attributes:
                return False
            told = plain(span.attributes[name])
            there = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    return compared(there, asked.operator, asked.value)


def _content(span: Span) -> str:
    """What a span says, without the words of the form it is kept in: names, keys and values."""
    events = [(one.get("name"), attributes(one)) for one in span.body.get("events", [])]
    return to_json([span.name, span.attributes, events, (span.body.get("status") or {}).get("message")])


def _leaves(tree: Any) -> list[Comparison]:
    if isinstance(tree, Group):
        return [leaf for member in tree.members for leaf in _leaves(member)]
    return [] if tree is None else [tree]


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE)]
