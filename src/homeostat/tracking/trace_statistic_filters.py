"""Filters of statistics over traces: each one comparison, with = only.

trace.status = 'OK'    trace.tag.team = 'red'    trace.metadata.`mlflow.trace.session` = 's'
span.name = 'chat'     span.type = 'TOOL'        assessment.name = 'good'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from homeostat.core.foreign import invalid
from homeostat.core.foreign_search import Comparison
from homeostat.tracking import store, trace_store
from homeostat.tracking.trace_hints import Hints
from homeostat.tracking.trace_words import cut, without_nul

_TRACE, _SAID, _FACT = store.trace, store.assessment, trace_store.fact
_KEYED = {"trace": {"status": False, "tag": True, "metadata": True},
          "span": {"name": False, "status": False, "type": False},
          "assessment": {"name": False, "type": False}}  # fmt: skip
_FILTER = re.compile(r"""\s*(\w+)\.(\w+)(?:\.(`[^`]*`|"[^"]*"|[^\s=!<>'"`]+))?\s*([=!<>]+|\w+)\s*(.*?)\s*""", re.DOTALL)


class Filter(NamedTuple):
    """One comparison: of "trace", "span" or "assessment"; `key` of a tag or of metadata."""

    of: str
    entity: str
    key: str
    value: str


class Met(NamedTuple):
    """What must hold of traces, and of the rows of a view."""

    by_trace: list[sa.ColumnElement[bool]]
    by_row: list[sa.ColumnElement[bool]]


def read_statistic_filter(text: str, view: str) -> Filter:
    """The comparison of a filter for a view. Raises ForeignError, in the words that MLflow's clients look for.

    >>> read_statistic_filter("trace.tag.team = 'red'", "TRACES")
    Filter(of='trace', entity='tag', key='team', value='red')
    """
    found = _FILTER.fullmatch(text[:10_000])
    if found is None:
        if (bare := re.match(r"\s*(\w+)\s*[=!<>]", text)) is not None:
            raise invalid(
                f"Invalid identifier '{bare[1][:100]}'. Columns should be specified as 'trace.<key>', 'span.<key>',"
                " 'assessment.<key>'."
            )
        raise invalid(f"Invalid clause(s) in filter string: {text[:200]}")
    of, entity, key, sign, value = found.groups()
    if of not in _KEYED:
        raise invalid(f"Invalid view type '{of[:100]}'. Valid values are {list(_KEYED)}")
    if entity not in _KEYED[of]:
        raise invalid(
            f"Invalid entity '{entity[:100]}' specified for view type '{of}'. Valid entities are {list(_KEYED[of])}"
        )
    if _KEYED[of][entity] and key is None:
        raise invalid(f"Filtering by {entity} requires a key, e.g. '{of}.{entity}.<key> = <value>'")
    if not _KEYED[of][entity] and key is not None:
        raise invalid(f"Filtering by {entity} does not require a key, use '{of}.{entity}' instead")
    if sign != "=":
        raise invalid(f"Invalid comparator: '{sign[:20]}', only '=' operator is supported")
    if len(value) < 2 or value[0] not in "'\"" or value[-1] != value[0]:
        raise invalid(f"Expected a quoted string value for {entity} value (e.g. 'my-value'). Got value {value[:100]}")
    if value[0] in value[1:-1]:
        raise invalid(f"Invalid filter: '{text[:200]}'. Expected one filter clause.")
    if (of == "span" and view != "SPANS") or (of == "assessment" and view != "ASSESSMENTS"):
        raise invalid(f"Filtering by {of} is only supported for {of.upper()}S view type, got {view}")
    name, value = (key or "").strip("`\"'"), value[1:-1]
    return Filter(of, entity, name, value)


def conditions(c: sa.Connection, experiment_ids: Sequence[int], filters: Sequence[Filter]) -> Met:
    """All filters as conditions on the tables."""
    hints, met = Hints(c, experiment_ids), Met([], [])
    for of, entity, key, value in filters:
        if of == "span":
            met.by_row.append(_FACT.c[entity] == without_nul(value))
        elif of == "assessment":
            met.by_row.append((_SAID.c.name if entity == "name" else _SAID.c.kind) == cut(value))
        elif entity == "status":
            met.by_trace.append(_TRACE.c.state == value)
        else:
            hint = hints.of(Comparison(entity, key, "=", value))
            met.by_trace.extend([] if hint is None else [hint.holds])
            if hint is None or not hint.exact:
                met.by_trace.append(_in_json(c, _TRACE.c.tags if entity == "tag" else _TRACE.c.metadata, key, value))
    return met


def _in_json(c: sa.Connection, column: sa.ColumnElement[str], key: str, value: str) -> sa.ColumnElement[bool]:
    """What has no row of its own, or a longer value than that holds."""
    if c.dialect.name == "sqlite":
        held = sa.func.json_each(column).table_valued("key", "value")
        return sa.exists().where(held.c.key == key, held.c.value == value).correlate(_TRACE)
    # It reads no JSON in which a NUL is written.
    readable = sa.case((column.contains(r"\u0000", autoescape=True), "{}"), else_=column)
    return sa.cast(readable, sa.JSON).op("->>")(key) == value
