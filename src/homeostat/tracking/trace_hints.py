"""What must stand in a trace's rows for a comparison to hold, as SQL: it leaves few traces to be looked at one by one.

Tags, metadata, assessments and spans are kept as JSON, and the same value is always written the same way. So that a
tag has a value, `"key":"value"` must be in the text of the tags. What is found so is still compared as it should be:
the text may be there for another reason, never missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.foreign_search import Comparison, Group
from homeostat.core.records import to_json
from homeostat.tracking import store
from homeostat.tracking.trace_filter import RUN

_TRACE, _SPAN, _SAID, _LINK = store.trace, store.span, store.assessment, store.trace_run
_LONGEST = 2_000
# Words that JSON does not write in another way, wherever they stand; "null" is left out where a value is not there.
_WORDS = re.compile(r"[A-Za-z ]{2,}")


def hint(node: Any, of_sessions: bool) -> sa.ColumnElement[bool] | None:
    """What holds of every trace that meets a filter's node; None when nothing can be said.

    `of_sessions`: something was said of whole sessions, so that a trace may have it without an assessment of its own.
    """
    if isinstance(node, Group):
        hints = [hint(one, of_sessions) for one in node.members]
        known = [one for one in hints if one is not None]
        if node.kind == "and":
            return sa.and_(*known) if known else None
        return sa.or_(*known) if node.kind == "or" and len(known) == len(hints) else None
    assert isinstance(node, Comparison)
    match node.entity:
        case "tag":
            return _pair(_TRACE.c.tags, node)
        case "metadata":
            found = _pair(_TRACE.c.metadata, node)
            if node.key == RUN and node.operator == "=" and found is not None:
                return sa.or_(found, _TRACE.c.id.in_(sa.select(_LINK.c.trace_id).where(_LINK.c.run_id == node.value)))
            return found
        case "prompt":
            return _holds(_TRACE.c.tags, '"mlflow.linkedPrompts":')
        case "issue":
            return _said(node.value)
        case "feedback" | "expectation" | "assessment":
            return None if node.operator == "IS NULL" or of_sessions else _said(node.key)
        case "span":
            return _span(node)
        case _:
            return None


def _pair(column: sa.ColumnElement[str], node: Comparison) -> sa.ColumnElement[bool] | None:
    key = f"{to_json(node.key)}:"
    match node.operator:
        case "IS NULL":
            return None
        case "=":
            return _holds(column, key + to_json(node.value))
        case "LIKE":
            begin, *others = re.split("[%_]", node.value)
            longest = max(others, key=len, default="")
            return _all([_holds(column, f'{key}"{_inside(begin)}'), _holds(column, _inside(longest))])
        case _:
            return _holds(column, key)


def _said(name: str) -> sa.ColumnElement[bool] | None:
    there = _holds(_SAID.c.body, f'"assessment_name":{to_json(name)}')
    return None if there is None else _TRACE.c.id.in_(sa.select(_SAID.c.trace_id).where(there))


def _span(node: Comparison) -> sa.ColumnElement[bool] | None:
    there = None
    if node.key == "name" and node.operator == "=":
        there = _holds(_SPAN.c.body, f'"name":{to_json(node.value)}')
    elif node.key == "content":
        pieces = [piece for piece in re.split("[%_]", node.value) if _WORDS.fullmatch(piece) and piece not in "null"]
        there = _holds(_SPAN.c.body, max(pieces, key=len, default=""), any_case=node.operator == "ILIKE")
    return None if there is None else _TRACE.c.id.in_(sa.select(_SPAN.c.trace_id).where(there))


def _inside(text: str) -> str:
    return to_json(text)[1:-1]


def _holds(column: sa.ColumnElement[str], text: str, any_case: bool = False) -> sa.ColumnElement[bool] | None:
    if not text or len(text) > _LONGEST:
        return None
    return column.icontains(text, autoescape=True) if any_case else column.contains(text, autoescape=True)


def _all(known: Sequence[sa.ColumnElement[bool] | None]) -> sa.ColumnElement[bool] | None:
    there = [one for one in known if one is not None]
    return sa.and_(*there) if there else None
