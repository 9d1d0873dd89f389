"""What traces are found and counted by, beside their rows: words, facts of their spans, values of what was said.

Tags, metadata and spans are kept as JSON in wide rows. What searches and statistics ask of them stands in narrow rows
too (`trace_store`), written in the same transaction: a search reads those, and opens the wide rows of its page only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.tracking import trace_store
from homeostat.tracking.otel_words import plain
from homeostat.tracking.otlp import attributes
from homeostat.tracking.trace_store import LONGEST

NAME, SESSION, TOKENS = "mlflow.traceName", "mlflow.trace.session", "mlflow.trace.tokenUsage"
PROMPTS, CLIENT_ID = "mlflow.linkedPrompts", "client_request_id"
TOKEN_KINDS = (
    "input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
)  # fmt: skip
# What every trace has, and nobody looks for by value: it costs more than it helps.
UNKEPT = frozenset((
    "mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.infoFinalized", "mlflow.trace.sizeStats",
    TOKENS, "mlflow.trace.cost", "mlflow.trace_schema.version", "mlflow.traceInputs", "mlflow.traceOutputs",
    PROMPTS,
))  # fmt: skip
_WORD, _FACT = trace_store.word.name, trace_store.fact.name
_FACTS = [column.name for column in trace_store.fact.columns]
_PUT_WORDS = f"insert into {_WORD} values ({statements.marks(6)}) on conflict do nothing"  # noqa: S608 - names of this slice; values are bound
_TAKE_WORDS = (
    f"delete from {_WORD} where experiment_id = ? and kind = ? and key = ? and value = ?"  # noqa: S608 - names of this slice; values are bound
    " and request_ms = ? and trace_id = ?"
)
_PUT_FACTS = (
    f"insert into {_FACT} ({', '.join(_FACTS)}) values ({statements.marks(len(_FACTS))})"  # noqa: S608 - names of this slice; values are bound
    " on conflict (experiment_id, request_ms, trace_id, span_id) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in _FACTS[4:])
)
_MOVE_FACTS = f"update {_FACT} set request_ms = ? where experiment_id = ? and request_ms = ? and trace_id = ?"  # noqa: S608 - names of this slice; values are bound
_TAKE_FACTS = f"delete from {_FACT} where experiment_id = ? and request_ms = ? and trace_id = ?"  # noqa: S608 - names of this slice; values are bound

Word = tuple[int, str, str, str, int, str]


class Described(Protocol):
    """What words are made from: a trace."""

    @property
    def id(self) -> str: ...
    @property
    def experiment_id(self) -> str: ...
    @property
    def request_ms(self) -> int: ...
    @property
    def client_request_id(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...


class Said(NamedTuple):
    """Columns of an assessment that its body says."""

    name: str | None
    kind: str | None
    valid: bool
    value: str
    number: float | None
    of_session: bool


def cut(text: str) -> str:
    """A text as it is found by.

    >>> len(cut("x" * 9999))
    200
    """
    return without_nul(text[:LONGEST])


def without_nul(text: str) -> str:
    """A text that PostgreSQL keeps too."""
    return text.replace("\0", "\ufffd")


def whole(text: str) -> bool:
    """Whether nothing of a text was cut off."""
    return len(text) < LONGEST and "\0" not in text and "\ufffd" not in text


def keep_words(c: sa.Connection, trace: Described, before: Described | None) -> None:
    """Have a trace found by its words, and no more by those it had; its spans move with it in time."""
    new, old = set(_words(trace)), set(_words(before)) if before is not None else set[Word]()
    if gone := sorted(old - new):
        statements.change_many(c, _TAKE_WORDS, gone)
    if more := sorted(new - old):
        statements.change_many(c, _PUT_WORDS, more)
    if before is not None and before.request_ms != trace.request_ms:
        place = (int(before.experiment_id), before.request_ms, before.id)
        statements.put(c, _MOVE_FACTS, (trace.request_ms, *place))


def keep_facts(c: sa.Connection, trace: Described, spans: Iterable[Mapping[str, Any]]) -> None:
    """Have a trace found by its spans."""
    place = (int(trace.experiment_id), trace.request_ms, trace.id)
    statements.change_many(c, _PUT_FACTS, [(*place, *_fact(span)) for span in spans])


def forget(c: sa.Connection, traces: Sequence[Described]) -> None:
    """Take away what traces are found by."""
    statements.change_many(c, _TAKE_WORDS, sorted(word for trace in traces for word in _words(trace)))
    places = [(int(trace.experiment_id), trace.request_ms, trace.id) for trace in traces]
    statements.change_many(c, _TAKE_FACTS, places)


def columns_of(tags: Mapping[str, str], metadata: Mapping[str, str]) -> dict[str, Any]:
    """Columns of a trace that its tags and metadata say."""
    name, session, told = tags.get(NAME), metadata.get(SESSION), plain(metadata.get(TOKENS))
    tokens = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    return {
        "name": None if name is None else cut(name), "session": None if session is None else cut(session),
        **{kind: finite(tokens.get(kind)) for kind in TOKEN_KINDS},
    }  # fmt: skip


def said_columns(body: Mapping[str, Any]) -> Said:
    """Columns of an assessment.

    >>> said_columns({"assessment_name": "good", "feedback": {"value": "yes"}})[:5]
    ('good', 'feedback', True, '"yes"', 1.0)
    """
    told = body.get("feedback") or body.get("expectation")
    value = said_value(told) if told is not None else None
    name = body.get("assessment_name")
    kind = next((one for one in ("feedback", "expectation", "issue") if body.get(one) is not None), None)
    number = {"yes": 1.0, "no": 0.0}.get(value.strip().lower()) if isinstance(value, str) else finite(value, bool)
    return Said(
        None if name is None else cut(str(name)), kind, body.get("valid") is not False, json.dumps(value), number,
        SESSION in (body.get("metadata") or {}),
    )  # fmt: skip


def said_value(told: Mapping[str, Any]) -> Any:
    """The value of feedback or of an expectation; whole numbers as such."""
    if (value := told.get("value")) is None and (held := told.get("serialized_value")):
        value = plain(held.get("value"))
    # Protobuf's own values have no whole numbers.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def finite(value: Any, *also: type) -> float | None:
    """A number that can be summed up; None for anything else. Truth values are none, unless `also` says so."""
    number = isinstance(value, int | float) and (not isinstance(value, bool) or bool in also)
    return float(value) if number and abs(value) < 1e300 else None


def prompts_of(tags: Mapping[str, str]) -> set[str]:
    """The versions of prompts that a trace with these tags used.

    >>> prompts_of({"mlflow.linkedPrompts": '[{"name": "greeting", "version": "2"}]'})
    {'greeting/2'}
    """
    told = plain(tags.get(PROMPTS))
    held = cast("list[Any]", told) if isinstance(told, list) else []
    return {f"{one.get('name')}/{one.get('version')}" for one in held if isinstance(one, dict)}


def type_of(told: Mapping[str, Any]) -> str:
    """The kind of a span with these attributes."""
    kind = plain(told.get("mlflow.spanType"))
    return "UNKNOWN" if kind is None else str(kind)


def status_of(span: Mapping[str, Any]) -> str:
    """How a span went: UNSET, OK or ERROR."""
    return str((span.get("status") or {}).get("code", "STATUS_CODE_UNSET"))[12:]


def _words(trace: Described) -> Iterable[Word]:
    experiment, at, id = int(trace.experiment_id), trace.request_ms, trace.id
    for kind, held in (("tag", trace.tags), ("metadata", trace.metadata)):
        for key, value in held.items():
            if key not in UNKEPT:
                yield experiment, kind, cut(key), cut(value), at, id
    for named in prompts_of(trace.tags):
        yield experiment, "prompt", "", cut(named), at, id
    if trace.client_request_id:
        yield experiment, "attribute", CLIENT_ID, cut(trace.client_request_id), at, id


def _fact(span: Mapping[str, Any]) -> tuple[Any, ...]:
    told = attributes(dict(span))
    start, end = span.get("start_time_unix_nano") or 0, span.get("end_time_unix_nano")
    cost = plain(told.get("mlflow.llm.cost"))
    costs = cast("dict[str, Any]", cost) if isinstance(cost, dict) else {}
    named = (plain(told.get("mlflow.llm.model")), plain(told.get("mlflow.llm.provider")))
    return (
        str(span["span_id"]), start // 1_000_000, without_nul(str(span.get("name", ""))),
        without_nul(type_of(told)), without_nul(status_of(span)), (end - start) // 1_000_000 if start and end else None,
        *(without_nul(one[:500]) if isinstance(one, str) else None for one in named),
        *(finite(costs.get(one)) for one in ("input_cost", "output_cost", "total_cost")),
    )  # fmt: skip
