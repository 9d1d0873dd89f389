"""What a person types to find runs, as conditions on the tables.

`auc>0.75 status:finished -team:ops "early stop"`: terms with blanks between, all of which must hold; a minus in front
turns one round. A term is a comparison, `key:part`, or a word. A bare key is looked for among metrics, parameters and
tags; `metrics.`, `params.`, `tags.`, `min.` and `max.` say which is meant.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.tracking import store

_MOST, _LONGEST = 20, 1000
_ATTRIBUTES: dict[str, sa.ColumnElement[Any]] = {
    **{name: store.run.c[name] for name in ("status", "kind", "name", "id", "source")},
    "experiment": store.experiment_name,
}
_SECONDS = (store.run.c.end_ms - store.run.c.start_ms) / 1000.0
_VALUES = {"metrics": "last_value", "min": "min_value", "max": "max_value"}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_TERM = re.compile(r'(-?)(?:"([^"]*)"|((?:[^\s":<>=!]+)(?:>=|<=|!=|[><=:]))"([^"]*)"|(\S+))')
_COMPARISON = re.compile(r"([\w./@ -]+?)(>=|<=|!=|>|<|=)(.+)", re.DOTALL)
_NAMED = re.compile(r"([\w./@-]+):(.+)", re.DOTALL)


class Term(Record):
    """One condition: `sign` is a comparison, ":" for a part of a value, "" for a word anywhere."""

    key: str
    sign: str
    value: str
    negated: bool = False


def parse(where: str) -> list[Term]:
    """The terms of `where`. Blanks around a comparison do not matter; quotes keep blanks together.

    >>> [(t.key, t.sign, t.value, t.negated) for t in parse("auc > 0.75 -status:failed amber")]
    [('auc', '>', '0.75', False), ('status', ':', 'failed', True), ('', '', 'amber', False)]
    """
    if len(where) > _LONGEST:
        raise InvalidInput(f"a filter of {len(where)} characters", hint=f"at most {_LONGEST}")
    # Only outside quotes: every second piece lies between two of them.
    pieces = where.split('"')
    pieces[::2] = [re.sub(r"\s*(>=|<=|!=|>|<|=)\s*", r"\1", piece) for piece in pieces[::2]]
    found = [_term(match) for match in _TERM.finditer('"'.join(pieces))]
    if len(found) > _MOST:
        raise InvalidInput(f"a filter of {len(found)} terms", hint=f"at most {_MOST}")
    return [term for term in found if term.value]


def conditions(where: str | None) -> list[sa.ColumnElement[bool]]:
    """Conditions on `store.run` that hold for the runs that fit every term."""
    return [sa.not_(c) if term.negated else c for term in parse(where or "") for c in [_condition(term)]]


def _term(match: re.Match[str]) -> Term:
    minus, phrase, named, quoted, plain = match.groups()
    text = phrase if phrase is not None else f"{named}{quoted}" if named is not None else plain
    if phrase is None:
        for pattern in (_COMPARISON, _NAMED):
            if found := pattern.fullmatch(text):
                key, *sign, value = found.groups()
                return Term(key=key.strip(), sign=sign[0] if sign else ":", value=value, negated=bool(minus))
    return Term(key="", sign="", value=text, negated=bool(minus))


def _condition(term: Term) -> sa.ColumnElement[bool]:
    if not term.sign:
        return _anywhere(term.value)
    if term.key in _ATTRIBUTES:
        column = _ATTRIBUTES[term.key]
        return _contains(column, term.value) if term.sign == ":" else _COMPARE[term.sign](column, term.value)
    number = _number(term.value)
    if term.key == "duration" and number is not None and term.sign != ":":
        return sa.func.coalesce(_COMPARE[term.sign](_SECONDS, number), sa.false())
    group, _, rest = term.key.partition(".")
    if group in ("params", "tags", *_VALUES) and rest:
        return sa.or_(sa.false(), *_kept(group, rest, term, number))
    return sa.or_(*(c for group in ("params", "tags", "metrics") for c in _kept(group, term.key, term, number)))


def _kept(group: str, key: str, term: Term, number: float | None) -> list[sa.ColumnElement[bool]]:
    """What must hold of the rows that keep `key`; nothing where such a row cannot fit."""
    if group in _VALUES:
        if number is None or term.sign == ":":
            return []
        return [_has(store.series, key, _COMPARE[term.sign](store.series.c[_VALUES[group]], number))]
    table = store.param if group == "params" else store.tag
    if term.sign == ":":
        return [_has(table, key, _contains(table.c.value, term.value))]
    test = _COMPARE[term.sign]
    if number is None:
        return [_has(table, key, test(table.c.value, term.value))] if term.sign in ("=", "!=") else []
    if group == "params":
        return [_has(table, key, test(table.c.number, number))]
    return [_has(table, key, test(table.c.value, term.value))] if term.sign in ("=", "!=") else []


def _has(table: sa.Table, key: str, holds: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return store.run.c.seq.in_(sa.select(table.c.run_seq).where(table.c.key == key, holds))


def _contains(column: sa.ColumnElement[Any], part: str) -> sa.ColumnElement[bool]:
    return sa.func.lower(column).contains(part.lower(), autoescape=True)


def _anywhere(word: str) -> sa.ColumnElement[bool]:
    tables = (store.param, store.tag)
    return sa.or_(
        *(_contains(column, word) for column in _ATTRIBUTES.values()),
        *(store.run.c.seq.in_(sa.select(t.c.run_seq).where(_contains(t.c.value, word))) for t in tables),
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None
