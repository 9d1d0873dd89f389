"""The language of filters and orders of traces: what may be named, and what each may be compared with.

    name = 'chat' AND status = 'ERROR' AND tags.team = 'red' AND metadata.`mlflow.trace.session` IS NOT NULL
    span.type = 'TOOL' AND span.attributes.model LIKE 'gpt%'      both of one span
    feedback.good = 'true' AND expectation.length > 100 AND prompt = 'greeting/2' AND trace.text ILIKE '%refund%'

The wording of the errors is the one that MLflow's clients look for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from homeostat.core.foreign import ForeignError, invalid
from homeostat.core.foreign_search import NUMERIC, Comparison, Language, Parser, parse_order, resolve, unquoted
from homeostat.core.regular import Pattern

_NUMBER = re.compile(r"[-+]?(?:\d{1,19}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?")
NAME, RUN = "mlflow.traceName", "mlflow.sourceRun"

_TEXTUAL = ("!=", "=", "LIKE", "ILIKE", "RLIKE")
_LISTED = (*_TEXTUAL, "IN", "NOT IN")
_NULLABLE = (*_TEXTUAL, "IS NULL", "IS NOT NULL")
_SAID = (*_NULLABLE, "<", "<=", ">", ">=")
_TIMES = {
    "timestamp": "timestamp_ms", "request_time": "timestamp_ms", "execution_time": "execution_time_ms",
    "execution_duration": "execution_time_ms", "end_time": "end_time_ms", "trace_id": "request_id", "id": "request_id",
    "state": "status", "trace_name": "name",
}  # fmt: skip
_NUMBERS = ("timestamp_ms", "execution_time_ms", "end_time_ms")
_TEXTS = ("request_id", "status", "client_request_id")
_ENTITIES = {
    "attribute": "attribute", "attributes": "attribute", "trace": "attribute", "tag": "tag", "tags": "tag",
    "request_metadata": "metadata", "metadata": "metadata",
}  # fmt: skip
_FILTERS = Language(
    entities={
        **_ENTITIES, "span": "span", "feedback": "feedback", "expectation": "expectation", "issue": "issue",
        "assessment": "assessment",
    },
    attributes={
        **dict.fromkeys(_NUMBERS, True), **dict.fromkeys((*_TEXTS, "name", "run_id", "prompt", "text"), False)
    },
    aliases=_TIMES,
)  # fmt: skip
_ORDERS = Language(
    entities=_ENTITIES,
    attributes=dict.fromkeys((*_NUMBERS, *_TEXTS, "experiment_id", "name", "run_id"), True),
    aliases=_TIMES,
)  # fmt: skip


@lru_cache(256)
def read_filter(text: str) -> Any | None:
    """The tree of a filter; None when it is empty. Raises ForeignError.

    Entities are "attribute" (numbers and texts), "tag", "metadata", "span" (a name, a type, a status, "content" or
    "attributes.…"), "feedback", "expectation", "assessment" (either), "issue" and "prompt".

    >>> read_filter("name LIKE 'a%' and execution_time > 5").members[0]
    Comparison(entity='tag', key='mlflow.traceName', operator='LIKE', value='a%')
    """
    return _TraceParser(text, _FILTERS).whole()


def read_orders(clauses: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    """(entity, key, ascending) of each clause. Raises ForeignError."""
    found: list[tuple[str, str, bool]] = []
    for clause in clauses:
        entity, key, ascending = parse_order(clause, _ORDERS)
        entity, key = {"name": ("tag", NAME), "run_id": ("metadata", RUN)}.get(key, (entity, key))
        if any((entity, key) == before[:2] for before in found):
            raise invalid(f"`order_by` contains duplicate fields: {list(clauses)}")
        found.append((entity, key, ascending))
    return found


class _TraceParser(Parser):
    def _comparison(self) -> Comparison:
        token = self._next()
        known = token.kind == "name" or (token.kind == "text" and token.text[0] == '"')
        if not known or not self._follows("sign", "word") or self._follows_word("AND", "OR"):
            raise invalid(f"Invalid clause(s) in filter string: '{token.text[:100]}'")
        entity, key = resolve(token.text, self._language)
        if entity == "attribute":
            entity, key = {
                "name": ("tag", NAME), "run_id": ("metadata", RUN), "prompt": ("prompt", ""),
                "text": ("span", "content"),
            }.get(key, (entity, key))  # fmt: skip
        if self._take("word", "IS"):
            negated = self._take("word", "NOT")
            self._need("word", "NULL")
            operator = "IS NOT NULL" if negated else "IS NULL"
        elif self._take("word", "NOT"):
            self._need("word", "IN")
            operator = "NOT IN"
        else:
            operator = self._next().text
            operator = "!=" if operator == "<>" else operator
        _check(entity, key, operator)
        return Comparison(entity, key, operator, self._read(entity, key, operator))

    def _follows(self, *kinds: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].kind in kinds

    def _follows_word(self, *words: str) -> bool:
        return self._follows("word") and self._tokens[self._at].text in words

    def _read(self, entity: str, key: str, operator: str) -> Any:
        if operator.startswith("IS"):
            return None
        if operator in ("IN", "NOT IN"):
            return self._texts()
        token = self._next()
        said = entity in ("feedback", "expectation", "assessment")
        if (said and operator in ("<", "<=", ">", ">=")) or key in _NUMBERS:
            number = _number(unquoted(token.text) if token.kind == "text" and not said else token.text)
            if number is None:
                raise invalid(
                    f"Expected a numeric value for {entity} when using comparator '{operator}'."
                    f" Got value {token.text[:100]}"
                )
            return number
        if token.kind != "text":
            raise invalid(
                f"Expected a quoted string value for {entity} (e.g. 'my-value'). Got value {token.text[:100]}"
            )
        value = unquoted(token.text)
        if operator == "RLIKE":
            Pattern(value)
        if entity == "prompt" and value.count("/") != 1:
            raise invalid(
                f"Invalid prompts filter value '{value[:200]}'. Expected format: prompt = \"name/version\""
            )  # fmt: skip
        return value


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text) if text.lstrip("+-").isdigit() else float(text)
    return number if -(2**63) <= number < 2**63 else None


def _check(entity: str, key: str, operator: str) -> None:
    """Refuse an operator that the thing named does not know."""
    match entity:
        case "prompt":
            if operator != "=":
                raise invalid(
                    f"Invalid comparator '{operator}' for prompts filter. Only '=' is supported with format:"
                    ' prompt = "name/version"'
                )
            return
        case "span":
            _check_span(key, operator)
            return
        case "issue":
            if key != "id":
                raise invalid(f"Invalid issue attribute '{key[:100]}'. Supported attributes: id")
            allowed = ("=",)
        case "feedback" | "expectation" | "assessment":
            if operator not in _SAID:
                raise _not_one_of(f"assessment.{key[:100]} comparator '{operator}'", _SAID)
            return
        case "tag" | "metadata":
            allowed = _NULLABLE
        case _:
            allowed = NUMERIC if key in _NUMBERS else _LISTED
    if operator not in allowed:
        raise _not_one_of(f"Invalid comparator '{operator}'", allowed)


def _check_span(key: str, operator: str) -> None:
    if key == "content":
        allowed = ("LIKE", "ILIKE")
    elif key == "attributes.":
        raise invalid("Span attribute name cannot be empty after 'attributes.'")
    elif key in ("name", "type", "status") or key.startswith("attributes."):
        allowed = _LISTED
    else:
        raise invalid(
            f"Invalid span attribute '{key[:100]}'. Supported attributes: name, status, type,"
            " attributes.<attribute_name>."
        )
    if operator not in allowed:
        raise _not_one_of(f"span.{key[:100]} comparator '{operator}'", allowed)


def _not_one_of(what: str, allowed: tuple[str, ...]) -> ForeignError:
    return invalid(f"{what} not one of '{list(allowed)}'")
