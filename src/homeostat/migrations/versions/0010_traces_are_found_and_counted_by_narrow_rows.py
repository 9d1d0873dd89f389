"""traces are found and counted by narrow rows, and reviewed in queues

Made from 0009. What searches and statistics ask of traces is taken out of their JSON, some rows at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_AT_ONCE, _LONGEST = 500, 200
_TOKENS = "input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"
_COSTS = "input_cost", "output_cost", "total_cost"
_UNKEPT = (
    "mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.infoFinalized", "mlflow.trace.sizeStats",
    "mlflow.trace.tokenUsage", "mlflow.trace.cost", "mlflow.trace_schema.version", "mlflow.traceInputs",
    "mlflow.traceOutputs", "mlflow.linkedPrompts",
)  # fmt: skip


def _columns(*texts: str) -> list[sa.ColumnClause[Any]]:
    return [sa.column(text) for text in texts]


_TRACE = sa.table("tracking_trace", *_columns(
    "id", "experiment_id", "request_ms", "client_request_id", "tags", "metadata", "name", "session", *_TOKENS,
))  # fmt: skip
_SPAN = sa.table("tracking_span", *_columns("trace_id", "span_id", "body"))
_SAID = sa.table("tracking_assessment", *_columns(
    "trace_id", "id", "body", "name", "kind", "valid", "value", "number", "of_session"
))  # fmt: skip
_WORD = sa.table("tracking_trace_word", *_columns("experiment_id", "kind", "key", "value", "request_ms", "trace_id"))
_FACT = sa.table("tracking_span_fact", *_columns(
    "experiment_id", "request_ms", "trace_id", "span_id", "start_ms", "name", "type", "status", "duration_ms",
    "model", "provider", *_COSTS,
))  # fmt: skip


def upgrade() -> None:
    _make_tables()
    _add_columns()
    c = op.get_bind()
    _fill_traces(c)
    _fill_spans(c)
    _fill_said(c)
    _index()


def _make_tables() -> None:
    op.create_table(
        "tracking_review_item",
        sa.Column("queue_id", sa.String(length=64), nullable=False),
        sa.Column("item_id", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("queue_id", "item_id"),
    )
    op.create_index("tracking_review_item_of", "tracking_review_item", ["item_id", "queue_id"])
    op.create_index("tracking_review_item_order", "tracking_review_item", ["queue_id", "created_ms", "item_id"])
    op.create_table(
        "tracking_review_queue",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("experiment_id", "key", name="tracking_review_queue_is"),
    )
    op.create_table(
        "tracking_span_fact",
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("request_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", sa.String(length=128), nullable=False),
        sa.Column("span_id", sa.String(length=32), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Float(), nullable=True) for name in _COSTS),
        sa.PrimaryKeyConstraint("experiment_id", "request_ms", "trace_id", "span_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracking_trace_word",
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=_LONGEST), nullable=False),
        sa.Column("value", sa.String(length=_LONGEST), nullable=False),
        sa.Column("request_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "kind", "key", "value", "request_ms", "trace_id"),
        sqlite_with_rowid=False,
    )


def _add_columns() -> None:
    with op.batch_alter_table("tracking_assessment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("name", sa.String(length=_LONGEST), nullable=True))
        batch_op.add_column(sa.Column("kind", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("valid", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("value", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("number", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("of_session", sa.Boolean(), nullable=True))
    with op.batch_alter_table("tracking_trace", schema=None) as batch_op:
        batch_op.drop_index("tracking_trace_experiment")
        for name in ("name", "session"):
            batch_op.add_column(sa.Column(name, sa.String(length=_LONGEST), nullable=True))
        for name in _TOKENS:
            batch_op.add_column(sa.Column(name, sa.Float(), nullable=True))


def _index() -> None:
    op.create_index("tracking_assessment_named", "tracking_assessment", ["name", "trace_id"])
    op.create_index(
        "tracking_trace_experiment",
        "tracking_trace",
        ["experiment_id", "request_ms", "id", "state", "duration_ms", "name", "session", *_TOKENS],
    )


def _fill_traces(c: sa.Connection) -> None:
    keys = _columns("id")
    for rows in _parts(c, sa.select(*list(_TRACE.c)[:6]), [_TRACE.c.id]):
        words, told = [], []
        for id, experiment, at, client_id, tags, metadata in rows:
            held = {"tag": _texts(tags), "metadata": _texts(metadata)}
            found = {(kind, _cut(key), _cut(value)) for kind, texts in held.items()
                     for key, value in texts.items() if key not in _UNKEPT}  # fmt: skip
            for one in _list(held["tag"].get("mlflow.linkedPrompts")):
                found.add(("prompt", "", _cut(f"{one.get('name')}/{one.get('version')}")))
            if client_id:
                found.add(("attribute", "client_request_id", _cut(client_id)))
            words += [(experiment, kind, key, value, at, id) for kind, key, value in sorted(found)]
            name, session = held["tag"].get("mlflow.traceName"), held["metadata"].get("mlflow.trace.session")
            tokens = _object(_plain(held["metadata"].get("mlflow.trace.tokenUsage")))
            told.append({
                "of_id": id, "name": None if name is None else _cut(name),
                "session": None if session is None else _cut(session),
                **{kind: _finite(tokens.get(kind)) for kind in _TOKENS},
            })  # fmt: skip
        _insert(c, _WORD, words)
        _update(c, _TRACE, keys, told)


def _fill_spans(c: sa.Connection) -> None:
    query = sa.select(_SPAN.c.trace_id, _SPAN.c.span_id, _SPAN.c.body, _TRACE.c.experiment_id, _TRACE.c.request_ms)
    query = query.select_from(_SPAN.join(_TRACE, _TRACE.c.id == _SPAN.c.trace_id))
    for rows in _parts(c, query, [_SPAN.c.trace_id, _SPAN.c.span_id]):
        _insert(c, _FACT, [(experiment, at, trace, span, *_fact(_object(_plain(body))))
                           for trace, span, body, experiment, at in rows])  # fmt: skip


def _fill_said(c: sa.Connection) -> None:
    for rows in _parts(c, sa.select(*list(_SAID.c)[:3]), [_SAID.c.trace_id, _SAID.c.id]):
        told: list[dict[str, Any]] = []
        for trace, id, text in rows:
            body = _object(_plain(text))
            kind = next((one for one in ("feedback", "expectation", "issue") if body.get(one) is not None), None)
            value, name = _value(body), body.get("assessment_name")
            said = isinstance(value, str)
            told.append({
                "of_trace_id": trace, "of_id": id, "name": None if name is None else _cut(str(name)), "kind": kind,
                "valid": body.get("valid") is not False, "value": json.dumps(value),
                "number": {"yes": 1.0, "no": 0.0}.get(value.strip().lower()) if said else _finite(value, truths=True),
                "of_session": "mlflow.trace.session" in (body.get("metadata") or {}),
            })  # fmt: skip
        _update(c, _SAID, _columns("trace_id", "id"), told)


def _parts(c: sa.Connection, query: sa.Select[Any], keys: list[Any]) -> Iterator[list[Any]]:
    """The rows, some at a time, in the order of their keys: not all of them are in memory at once."""
    after: tuple[Any, ...] | None = None
    while True:
        part = query.order_by(*keys).limit(_AT_ONCE)
        if after is not None:
            part = part.where(sa.tuple_(*keys) > sa.tuple_(*map(sa.literal, after)))
        rows = [tuple(row) for row in c.execute(part)]
        if not rows:
            return
        yield rows
        after = tuple(rows[-1][: len(keys)])


def _insert(c: sa.Connection, table: sa.TableClause, rows: list[tuple[Any, ...]]) -> None:
    names = [column.name for column in table.c]
    if rows:
        c.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def _update(
    c: sa.Connection, table: sa.TableClause, keys: list[sa.ColumnClause[Any]], rows: list[dict[str, Any]]
) -> None:
    names = [name for name in rows[0] if not name.startswith("of_") or name == "of_session"]
    where = [table.c[key.name] == sa.bindparam(f"of_{key.name}") for key in keys]
    c.execute(sa.update(table).where(*where).values({name: sa.bindparam(name) for name in names}), rows)


def _fact(span: dict[str, Any]) -> tuple[Any, ...]:
    told = {one.get("key", ""): _any(one["value"]) for one in span.get("attributes", []) if one.get("value")}
    start, end = span.get("start_time_unix_nano") or 0, span.get("end_time_unix_nano")
    kind, cost = _plain(told.get("mlflow.spanType")), _object(_plain(told.get("mlflow.llm.cost")))
    named = (_plain(told.get("mlflow.llm.model")), _plain(told.get("mlflow.llm.provider")))
    return (
        start // 1_000_000, _text(span.get("name", "")), "UNKNOWN" if kind is None else _text(kind),
        _text((span.get("status") or {}).get("code", "STATUS_CODE_UNSET"))[12:],
        (end - start) // 1_000_000 if start and end else None,
        *(_text(one[:500]) if isinstance(one, str) else None for one in named),
        *(_finite(cost.get(name)) for name in _COSTS),
    )  # fmt: skip


def _any(value: dict[str, Any]) -> Any:
    readers: dict[str, Callable[[Any], Any]] = {
        "array_value": lambda held: [_any(one) for one in held.get("values", [])],
        "kvlist_value": lambda held: {one.get("key", ""): _any(one.get("value") or {})
                                      for one in held.get("values", [])},
    }  # fmt: skip
    for kind, held in value.items():
        return readers.get(kind, lambda held: held)(held)
    return None


def _value(body: dict[str, Any]) -> Any:
    told = body.get("feedback") or body.get("expectation")
    if told is None:
        return None
    if (value := told.get("value")) is None and (held := told.get("serialized_value")):
        value = _plain(held.get("value"))
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _plain(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(text: Any) -> list[dict[str, Any]]:
    value = _plain(text)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(text: str) -> dict[str, str]:
    return {key: value for key, value in _object(_plain(text)).items() if isinstance(value, str)}


def _text(value: Any) -> str:
    return str(value).replace("\0", "\ufffd")


def _cut(text: str) -> str:
    return _text(text[:_LONGEST])


def _finite(value: Any, truths: bool = False) -> float | None:
    number = isinstance(value, int | float) and (truths or not isinstance(value, bool))
    return float(value) if number and abs(value) < 1e300 else None
