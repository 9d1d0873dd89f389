"""Traces of applications: begun by their first span or by their description, whichever comes first."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.artifact_roots import root_of
from homeostat.tracking.otlp import attributes

# Tags and metadata that clients look for.
SPANS_LOCATION, LOCATION, NAME = "mlflow.trace.spansLocation", "mlflow.artifactLocation", "mlflow.traceName"
SOURCE_RUN = "mlflow.sourceRun"
_HERE = "TRACKING_STORE"
_ID = "mlflow.traceRequestId"
_PREVIEW = 1000
_AT_ONCE = 500


class Trace(Record):
    """One trace without its spans. `assessments` are objects as the protocol has them."""

    id: str
    experiment_id: str
    request_ms: int
    duration_ms: int | None = None
    state: str = "IN_PROGRESS"
    client_request_id: str = ""
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    request_preview: str | None = None
    response_preview: str | None = None
    assessments: list[dict[str, Any]] = []


def put_trace(ws: Workspace, trace: Trace) -> Trace:
    """Keep the description of a trace; what its spans told already is completed. Raises: NotFound, InvalidInput."""

    def put(c: sa.Connection) -> Trace:
        found = _find(c, [trace.id]).get(trace.id)
        before = found.tags if found else {}
        meta = {**(found.metadata if found else {}), **trace.metadata}
        tags = {LOCATION: _location(c, trace), **before, **trace.tags}
        if before.get(SPANS_LOCATION) == _HERE:
            tags[SPANS_LOCATION] = _HERE
        _write(c, _changed(trace, tags=tags, metadata=meta))
        for one in trace.assessments:
            _put_assessment(c, trace.id, one)
        return _found(c, trace.id)

    return ws.db.write(put)


def put_spans(ws: Workspace, experiment_id: str, spans: Sequence[dict[str, Any]], run_id: str = "") -> None:
    """Keep spans, as `otlp.read_export` gives them; a trace that is not known yet begins. Raises: InvalidInput."""
    by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in spans:
        if not one.get("trace_id") or not one.get("span_id"):
            raise InvalidInput("Cannot convert OpenTelemetry span to MLflow span: it has no id")
        by_trace[trace_id_of(one)].append(one)

    def put(c: sa.Connection) -> None:
        known = _find(c, list(by_trace))
        for trace_id, found in by_trace.items():
            trace = known.get(trace_id) or Trace(id=trace_id, experiment_id=experiment_id, request_ms=now_ms())
            trace = _with_spans(trace, found, trace_id in known, run_id)
            _write(c, _changed(trace, tags={LOCATION: _location(c, trace), **trace.tags, SPANS_LOCATION: _HERE}))
            rows = [
                {"trace_id": trace_id, "span_id": one["span_id"],
                 "start_ns": min(one.get("start_time_unix_nano", 0), 2**63 - 1), "body": to_json(one)}
                for one in found
            ]  # fmt: skip
            store.upsert(c, store.span, list({row["span_id"]: row for row in rows}.values()), ["trace_id", "span_id"])

    ws.db.write(put)


def get_traces(ws: Workspace, ids: Sequence[str]) -> list[Trace]:
    """Those of the traces that exist, in the order asked for."""
    found = ws.db.read(lambda c: _find(c, list(dict.fromkeys(ids))))
    return [found[one] for one in ids if one in found]


def get_trace(ws: Workspace, trace_id: str) -> Trace:
    """A trace by id. Raises NotFound."""
    return ws.db.read(lambda c: _found(c, trace_id))


def spans_of(ws: Workspace, trace_id: str) -> list[dict[str, Any]]:
    """The spans of a trace, by start."""
    table = store.span
    query = sa.select(table.c.body).where(table.c.trace_id == trace_id).order_by(table.c.start_ns, table.c.span_id)
    return [from_json(body, dict[str, Any]) for body in ws.db.read(lambda c: c.execute(query).scalars().all())]


def change_tags(ws: Workspace, trace_id: str, change: Callable[[dict[str, str]], None]) -> None:
    """Let `change` alter the tags of a trace. Raises NotFound."""

    def put(c: sa.Connection) -> None:
        tags = dict(_found(c, trace_id).tags)
        change(tags)
        c.execute(sa.update(store.trace).where(store.trace.c.id == trace_id).values(tags=to_json(tags)))

    ws.db.write(put)


def link_to_run(ws: Workspace, ids: Sequence[str], run_id: str) -> None:
    """Say that traces belong to a run, those too that have not arrived yet. Raises NotFound."""
    rows = [{"trace_id": one, "run_id": run_id} for one in dict.fromkeys(ids)]

    def put(c: sa.Connection) -> None:
        store.seq_of(c, run_id)
        store.upsert(c, store.trace_run, rows, ["trace_id", "run_id"])

    ws.db.write(put)


def delete_traces(
    ws: Workspace, experiment_id: int, ids: Sequence[str] = (), before_ms: int | None = None, most: int | None = None
) -> int:
    """Delete traces of an experiment for good: those named, or the oldest until `before_ms`. How many they were."""
    table = store.trace
    query = sa.select(table.c.id).where(table.c.experiment_id == experiment_id).order_by(table.c.request_ms)
    if ids:
        query = query.where(table.c.id.in_(ids))
    if before_ms is not None:
        query = query.where(table.c.request_ms <= before_ms)
    if most is not None:
        query = query.limit(most)

    def delete(c: sa.Connection) -> int:
        gone = list(c.execute(query).scalars())
        for at in range(0, len(gone), _AT_ONCE):
            part = gone[at : at + _AT_ONCE]
            c.execute(sa.delete(store.span).where(store.span.c.trace_id.in_(part)))
            c.execute(sa.delete(store.assessment).where(store.assessment.c.trace_id.in_(part)))
            c.execute(sa.delete(store.trace_run).where(store.trace_run.c.trace_id.in_(part)))
            c.execute(sa.delete(table).where(table.c.id.in_(part)))
            roots = [f"{experiment_id}/traces/{id}/artifacts" for id in part]
            c.execute(sa.delete(store.file).where(store.file.c.root.in_(roots)))
        return len(gone)

    return ws.db.write(delete)


def create_assessment(ws: Workspace, trace_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what somebody said of a trace; the one it overrides counts no more. Raises NotFound."""

    def put(c: sa.Connection) -> dict[str, Any]:
        _found(c, trace_id)
        if replaced := body.get("overrides"):
            old = _assessment(c, trace_id, str(replaced))
            _put_assessment(c, trace_id, {**old, "valid": False})
        return _put_assessment(c, trace_id, {"valid": True, **body})

    return ws.db.write(put)


def get_assessment(ws: Workspace, trace_id: str, assessment_id: str) -> dict[str, Any]:
    """What was said. Raises NotFound."""
    return ws.db.read(lambda c: _assessment(c, trace_id, assessment_id))


def update_assessment(
    ws: Workspace, trace_id: str, assessment_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Let `change` alter what was said. Raises NotFound."""
    return ws.db.write(lambda c: _put_assessment(c, trace_id, change(_assessment(c, trace_id, assessment_id))))


def delete_assessment(ws: Workspace, trace_id: str, assessment_id: str) -> None:
    """Take back what was said; what it had overridden counts again. Raises NotFound."""
    table = store.assessment

    def delete(c: sa.Connection) -> None:
        body = _assessment(c, trace_id, assessment_id)
        c.execute(sa.delete(table).where(table.c.trace_id == trace_id, table.c.id == assessment_id))
        if replaced := body.get("overrides"):
            row = c.execute(
                sa.select(table.c.body).where(table.c.trace_id == trace_id, table.c.id == str(replaced))
            ).scalar_one_or_none()
            if row is not None:
                _put_assessment(c, trace_id, {**from_json(row, dict[str, Any]), "valid": True})

    ws.db.write(delete)


def trace_id_of(span: Mapping[str, Any]) -> str:
    """The id of the trace that a span belongs to: as its client named it, else from OpenTelemetry's.

    >>> trace_id_of({"trace_id": "AAAAAAAAAAAAAAAAAAAAAQ=="})
    'tr-00000000000000000000000000000001'
    """
    named = str(attributes(dict(span)).get(_ID, "")).strip('"')
    return (named or f"tr-{base64.b64decode(span['trace_id']).hex()}")[:128]


def from_row(row: Any, assessments: list[dict[str, Any]] | None = None) -> Trace:
    """A row of the table as a trace."""
    return Trace(
        id=row.id, experiment_id=str(row.experiment_id), request_ms=row.request_ms, duration_ms=row.duration_ms,
        state=row.state, client_request_id=row.client_request_id, metadata=from_json(row.metadata, dict[str, str]),
        tags=from_json(row.tags, dict[str, str]), request_preview=row.request_preview,
        response_preview=row.response_preview, assessments=assessments or [],
    )  # fmt: skip


def assessments_of(c: sa.Connection, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """What was said of traces, by trace, oldest first."""
    table = store.assessment
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for at in range(0, len(ids), _AT_ONCE):
        query = sa.select(table).where(table.c.trace_id.in_(ids[at : at + _AT_ONCE]))
        for row in c.execute(query.order_by(table.c.created_ms, table.c.id)):
            found[row.trace_id].append(from_json(row.body, dict[str, Any]))
    return found


def _with_spans(trace: Trace, spans: list[dict[str, Any]], known: bool, run_id: str) -> Trace:
    starts = [one.get("start_time_unix_nano", 0) // 1_000_000 for one in spans]
    root = next((one for one in spans if not one.get("parent_span_id")), None)
    meta = {**trace.metadata, **({SOURCE_RUN: run_id} if run_id else {})}
    changed: dict[str, Any] = {"metadata": meta}
    if not known or trace.state == "IN_PROGRESS":
        changed["request_ms"] = min([trace.request_ms, *starts])
    if root is not None and trace.state == "IN_PROGRESS":
        told = attributes(root)
        failed = (root.get("status") or {}).get("code") == "STATUS_CODE_ERROR"
        changed |= {
            "state": "ERROR" if failed else "OK",
            "duration_ms": max(
                0, (root.get("end_time_unix_nano", 0) - root.get("start_time_unix_nano", 0)) // 1_000_000
            ),
            "tags": {NAME: str(root.get("name", "")), **trace.tags},
            "request_preview": trace.request_preview or _preview(told.get("mlflow.spanInputs")),
            "response_preview": trace.response_preview or _preview(told.get("mlflow.spanOutputs")),
        }
    return _changed(trace, **changed)


def _changed(trace: Trace, **values: Any) -> Trace:
    from msgspec.structs import replace

    return replace(trace, **values)


def _preview(value: Any) -> str | None:
    return None if value is None else str(value)[:_PREVIEW]


def _location(c: sa.Connection, trace: Trace) -> str:
    return f"{root_of(c, int(trace.experiment_id))}/traces/{trace.id}/artifacts"


def _write(c: sa.Connection, trace: Trace) -> None:
    row = {
        "id": trace.id, "experiment_id": int(trace.experiment_id), "request_ms": trace.request_ms,
        "duration_ms": trace.duration_ms, "state": trace.state, "client_request_id": trace.client_request_id,
        "metadata": to_json(trace.metadata), "tags": to_json(trace.tags), "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
    }  # fmt: skip
    store.upsert(c, store.trace, [row], ["id"])


def _find(c: sa.Connection, ids: list[str]) -> dict[str, Trace]:
    said = assessments_of(c, ids)
    found: dict[str, Trace] = {}
    for at in range(0, len(ids), _AT_ONCE):
        for row in c.execute(sa.select(store.trace).where(store.trace.c.id.in_(ids[at : at + _AT_ONCE]))):
            found[row.id] = from_row(row, said.get(row.id))
    return found


def _found(c: sa.Connection, trace_id: str) -> Trace:
    found = _find(c, [trace_id]).get(trace_id)
    if found is None:
        raise NotFound(f"Trace with ID '{trace_id[:128]}' not found.")
    return found


def _assessment(c: sa.Connection, trace_id: str, assessment_id: str) -> dict[str, Any]:
    table = store.assessment
    row = c.execute(
        sa.select(table.c.body).where(table.c.trace_id == trace_id, table.c.id == assessment_id)
    ).scalar_one_or_none()
    if row is None:
        raise NotFound(f"Assessment with ID '{assessment_id[:64]}' not found for trace '{trace_id[:128]}'")
    return from_json(row, dict[str, Any])


def _put_assessment(c: sa.Connection, trace_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    kept = {**body, "trace_id": trace_id, "assessment_id": body.get("assessment_id") or f"a-{new_hex_id()}"}
    table = store.assessment
    is_it = (table.c.trace_id == trace_id) & (table.c.id == kept["assessment_id"])
    if c.execute(sa.update(table).where(is_it).values(body=to_json(kept))).rowcount == 0:
        row = {"trace_id": trace_id, "id": kept["assessment_id"], "created_ms": now_ms(), "body": to_json(kept)}
        c.execute(sa.insert(table).values(row))
    return kept
