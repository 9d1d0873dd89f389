"""Search among traces: comparisons joined by AND over what is known of a trace, newest first or in another order.

Attributes are compared by the database where it has a column for them; tags, metadata, spans and assessments are looked
at trace by trace, in the order asked for, until a page is full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.conditions import malformed, parse, texts, unquoted
from homeostat.tracking.otlp import attributes
from homeostat.tracking.traces import NAME, SOURCE_RUN, Trace, assessments_of, from_row

_TABLE = store.trace

_NUMBERS = {
    "timestamp_ms": _TABLE.c.request_ms, "timestamp": _TABLE.c.request_ms, "request_time": _TABLE.c.request_ms,
    "execution_time_ms": _TABLE.c.duration_ms, "execution_time": _TABLE.c.duration_ms,
    "execution_duration": _TABLE.c.duration_ms, "end_time_ms": _TABLE.c.request_ms + _TABLE.c.duration_ms,
    "end_time": _TABLE.c.request_ms + _TABLE.c.duration_ms,
}  # fmt: skip
_TEXTS: dict[str, Callable[[Trace], str | None]] = {
    "status": lambda trace: trace.state, "state": lambda trace: trace.state,
    "name": lambda trace: trace.tags.get(NAME), "trace_name": lambda trace: trace.tags.get(NAME),
    "request_id": lambda trace: trace.id, "trace_id": lambda trace: trace.id, "id": lambda trace: trace.id,
    "client_request_id": lambda trace: trace.client_request_id or None,
    "experiment_id": lambda trace: trace.experiment_id,
}  # fmt: skip
_PART = 500


def search_traces(
    ws: Workspace,
    experiment_ids: Sequence[int],
    filter: str = "",
    order: Sequence[str] = (),
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[Trace], bool]:
    """Traces of some experiments, and whether there are more. Raises: InvalidInput for a malformed filter or order."""
    query = sa.select(_TABLE).where(_TABLE.c.experiment_id.in_(experiment_ids))
    tests: list[Callable[[sa.Connection, Trace], bool]] = []
    for entity, name, op, value in parse(filter):
        if entity in ("", "attributes", "attribute", "attr", "trace", "request") and name in _NUMBERS:
            query = query.where(_compared_number(_NUMBERS[name], op, value))
        else:
            tests.append(_test(filter, entity, name, op, value))
    for one in order:
        query = query.order_by(_ordered(one))
    query = query.order_by(_TABLE.c.request_ms.desc(), _TABLE.c.id)

    def read(c: sa.Connection) -> tuple[list[Trace], bool]:
        found: list[Trace] = []
        at = skipped = 0
        while True:
            rows = c.execute(query.limit(_PART).offset(at)).all()
            said = assessments_of(c, [row.id for row in rows])
            for row in rows:
                trace = from_row(row, said.get(row.id))
                if all(test(c, trace) for test in tests):
                    if skipped < offset:
                        skipped += 1
                    else:
                        found.append(trace)
                        if len(found) > limit:
                            return found[:limit], True
            if len(rows) < _PART:
                return found, False
            at += _PART

    return ws.db.read(read)


def _test(text: str, entity: str, name: str, op: str, value: str) -> Callable[[sa.Connection, Trace], bool]:
    meets = _matcher(op, value)
    if entity in ("tag", "tags"):
        return lambda _, trace: meets([trace.tags[name]] if name in trace.tags else [])
    if entity in ("metadata", "request_metadata"):
        return lambda _, trace: meets([trace.metadata[name]] if name in trace.metadata else [])
    if entity in ("feedback", "expectation", "assessment"):
        return lambda _, trace: meets(_said(trace, entity, name))
    if entity == "span":
        return lambda c, trace: meets(_of_spans(c, trace.id, name))
    if entity in ("", "attributes", "attribute", "attr", "trace", "request") and name in _TEXTS:
        get = _TEXTS[name]
        return lambda _, trace: meets([] if (found := get(trace)) is None else [found])
    if entity == "trace" and name == "text":
        return lambda c, trace: meets(_contents(c, trace.id))
    if entity in ("", "attributes", "attribute", "attr", "trace", "request") and name == "run_id":
        return lambda c, trace: meets(_runs(c, trace))
    raise malformed(text, f"a key of a trace, and not {f'{entity}.{name}'.strip('.')[:80]!r}")


def _matcher(op: str, value: str) -> Callable[[list[str]], bool]:
    """Whether one of the values meets the comparison; what is not there meets only IS NULL."""
    if op in ("IS", "IS NOT"):
        if value.upper() != "NULL":
            raise InvalidInput(f"Invalid value {value[:80]}: IS is followed by NULL")
        return lambda found: bool(found) == (op == "IS NOT")
    if op in ("IN", "NOT IN"):
        wanted = set(texts(value))
        return lambda found: any((one in wanted) == (op == "IN") for one in found)
    text = unquoted(value)
    if op in ("LIKE", "ILIKE", "RLIKE"):
        regex = text if op == "RLIKE" else "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in text)
        if op == "RLIKE":
            raise InvalidInput("Invalid comparison operator 'RLIKE'. Use LIKE with % and _.")
        pattern = re.compile(regex, re.DOTALL | (re.IGNORECASE if op == "ILIKE" else 0))
        return lambda found: any(pattern.fullmatch(one) for one in found)
    if op in ("=", "!="):
        return lambda found: any((one == text) == (op == "=") for one in found)
    raise InvalidInput(f"Invalid comparison operator {op!r} for a text. Expected =, !=, LIKE, ILIKE, IN or NOT IN.")


def _compared_number(column: Any, op: str, value: str) -> sa.ColumnElement[bool]:
    if op not in ("=", "!=", "<", "<=", ">", ">="):
        raise InvalidInput(f"Invalid comparison operator {op!r} for a number.")
    try:
        number = int(float(unquoted(value)))
    except (ValueError, OverflowError):
        raise InvalidInput(f"Invalid value {value[:80]}: a number is compared with a number") from None
    return column.op(op, is_comparison=True)(number)


def _said(trace: Trace, entity: str, name: str) -> list[str]:
    found: list[str] = []
    for one in trace.assessments:
        told = one.get("feedback") if entity == "feedback" else one.get("expectation")
        if entity == "assessment":
            told = one.get("feedback") or one.get("expectation")
        if told is None or one.get("valid") is False or one.get("assessment_name") != name:
            continue
        value = told.get("value", (told.get("serialized_value") or {}).get("value"))
        found.append(str(value).lower() if isinstance(value, bool) else str(value))
    return found


def _of_spans(c: sa.Connection, trace_id: str, name: str) -> list[str]:
    if name == "content":
        return _contents(c, trace_id)
    spans = _spans(c, trace_id)
    if name == "name":
        return [str(one.get("name", "")) for one in spans]
    wanted = {"type": "mlflow.spanType"}.get(name, name.removeprefix("attributes."))
    found: list[str] = []
    for one in spans:
        for pair in one.get("attributes", []):
            if pair.get("key") == wanted:
                found += [str(value).strip('"') for value in (pair.get("value") or {}).values()]
    return found


def _spans(c: sa.Connection, trace_id: str) -> list[dict[str, Any]]:
    bodies = c.execute(sa.select(store.span.c.body).where(store.span.c.trace_id == trace_id)).scalars()
    return [from_json(body, dict[str, Any]) for body in bodies]


def _contents(c: sa.Connection, trace_id: str) -> list[str]:
    """What spans say, without the words of the form they are kept in: names, keys and values."""
    found: list[str] = []
    for one in _spans(c, trace_id):
        told = [(one.get("name"), attributes(one)), *((e.get("name"), attributes(e)) for e in one.get("events", []))]
        found.append(to_json([told, (one.get("status") or {}).get("message")]))
    return found


def _runs(c: sa.Connection, trace: Trace) -> list[str]:
    table = store.trace_run
    linked = list(c.execute(sa.select(table.c.run_id).where(table.c.trace_id == trace.id)).scalars())
    return [trace.metadata[SOURCE_RUN], *linked] if SOURCE_RUN in trace.metadata else linked


def _ordered(text: str) -> Any:
    key, _, direction = text.strip().partition(" ")
    if direction.strip().upper() not in ("", "ASC", "DESC"):
        raise InvalidInput(f"Invalid order_by clause {text[:80]!r}: it ends with ASC or DESC")
    name = key.strip('`"').rpartition(".")[2]
    columns: dict[str, Any] = {**_NUMBERS, "status": _TABLE.c.state, "trace_id": _TABLE.c.id, "request_id": _TABLE.c.id}
    if name not in columns:
        raise InvalidInput(f"Invalid order_by clause {text[:80]!r}: one of {', '.join(columns)}")
    return columns[name].desc() if direction.strip().upper() == "DESC" else columns[name].asc()
