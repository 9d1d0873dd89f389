"""Traces of applications, and what was said of them. A trace begins with its first span or with its description."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, trace_store
from homeostat.tracking.artifact_roots import below, root_of
from homeostat.tracking.trace_words import columns_of, forget, keep_words, said_columns

# Tags and metadata that clients look for.
SPANS_LOCATION, LOCATION, NAME = "mlflow.trace.spansLocation", "mlflow.artifactLocation", "mlflow.traceName"
SOURCE_RUN = "mlflow.sourceRun"
# Set once a client has described a trace: its spans say no more then when it was and how it went.
DESCRIBED = "mlflow.trace.infoFinalized"
HERE = "TRACKING_STORE"
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


def put_trace(ws: Workspace, trace: Trace, whole: bool = True) -> Trace:
    """Keep the description of a trace; what its spans told already is completed. `whole`: nothing comes after it.

    Raises: NotFound, InvalidInput.
    """
    said = {**trace.metadata, DESCRIBED: "true"} if whole else trace.metadata

    def put(c: sa.Connection) -> Trace:
        known = find_traces(c, [trace.id]).get(trace.id)
        before = known or Trace(id="", experiment_id=trace.experiment_id, request_ms=0)
        if before.experiment_id != trace.experiment_id:
            raise InvalidInput(f"Trace with ID '{trace.id}' already exists in another experiment.")
        tags = {LOCATION: location_of(c, trace), **before.tags, **trace.tags}
        if before.tags.get(SPANS_LOCATION) == HERE:
            tags[SPANS_LOCATION] = HERE
        kept = replace(
            trace, tags=tags, metadata={**before.metadata, **said}, assessments=before.assessments,
            request_preview=trace.request_preview or before.request_preview,
            response_preview=trace.response_preview or before.response_preview,
        )  # fmt: skip
        write_trace(c, kept, known)
        for one in trace.assessments:
            _put_assessment(c, trace.id, one)
        return _found(c, trace.id) if trace.assessments else kept

    return ws.db.write(put)


def end_trace(
    ws: Workspace, trace_id: str, until_ms: int, state: str, metadata: Mapping[str, str], tags: Mapping[str, str]
) -> Trace:
    """Say how a trace that was begun by its description ended. Raises NotFound."""

    def put(c: sa.Connection) -> Trace:
        found = _found(c, trace_id)
        ended = replace(
            found, duration_ms=until_ms - found.request_ms, state=state, metadata={**found.metadata, **metadata},
            tags={**found.tags, **tags},
        )  # fmt: skip
        write_trace(c, ended, found)
        return ended

    return ws.db.write(put)


def get_traces(ws: Workspace, ids: Sequence[str]) -> list[Trace]:
    """Those of the traces that exist, in the order asked for."""
    found = ws.db.read(lambda c: find_traces(c, list(dict.fromkeys(ids))))
    return [found[one] for one in ids if one in found]


def get_trace(ws: Workspace, trace_id: str) -> Trace:
    """A trace by id. Raises NotFound."""
    return ws.db.read(lambda c: _found(c, trace_id))


def spans_of(ws: Workspace, trace_id: str) -> list[dict[str, Any]]:
    """The spans of a trace, by start."""
    return ws.db.read(lambda c: spans_in(c, trace_id))


def spans_in(c: sa.Connection, trace_id: str) -> list[dict[str, Any]]:
    """The spans of a trace, the first of all before the others, these by start."""
    table = store.span
    query = sa.select(table.c.body).where(table.c.trace_id == trace_id).order_by(table.c.start_ns, table.c.span_id)
    found = [from_json(body, dict[str, Any]) for body in c.execute(query).scalars()]
    return sorted(found, key=lambda one: bool(one.get("parent_span_id")))


def change_tags(ws: Workspace, trace_id: str, change: Callable[[dict[str, str]], None]) -> None:
    """Let `change` alter the tags of a trace. Raises NotFound."""

    def put(c: sa.Connection) -> None:
        found = _found(c, trace_id)
        tags = dict(found.tags)
        change(tags)
        write_trace(c, replace(found, tags=tags), found)

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
            forget(c, [from_row(row) for row in c.execute(sa.select(table).where(table.c.id.in_(part)))])
            c.execute(sa.delete(store.span).where(store.span.c.trace_id.in_(part)))
            c.execute(sa.delete(store.assessment).where(store.assessment.c.trace_id.in_(part)))
            c.execute(sa.delete(store.trace_run).where(store.trace_run.c.trace_id.in_(part)))
            c.execute(sa.delete(trace_store.review_item).where(trace_store.review_item.c.item_id.in_(part)))
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

    def read(c: sa.Connection) -> dict[str, Any]:
        _found(c, trace_id)
        return _assessment(c, trace_id, assessment_id)

    return ws.db.read(read)


def update_assessment(
    ws: Workspace, trace_id: str, assessment_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Let `change` alter what was said. Raises NotFound."""

    def put(c: sa.Connection) -> dict[str, Any]:
        _found(c, trace_id)
        return _put_assessment(c, trace_id, change(_assessment(c, trace_id, assessment_id)))

    return ws.db.write(put)


def delete_assessment(ws: Workspace, trace_id: str, assessment_id: str) -> None:
    """Take back what was said, if it was; what it had overridden counts again. Raises NotFound without the trace."""
    table = store.assessment

    def delete(c: sa.Connection) -> None:
        _found(c, trace_id)
        try:
            body = _assessment(c, trace_id, assessment_id)
        except NotFound:
            return
        c.execute(sa.delete(table).where(table.c.trace_id == trace_id, table.c.id == assessment_id))
        if replaced := body.get("overrides"):
            row = c.execute(
                sa.select(table.c.body).where(table.c.trace_id == trace_id, table.c.id == str(replaced))
            ).scalar_one_or_none()
            if row is not None:
                _put_assessment(c, trace_id, {**from_json(row, dict[str, Any]), "valid": True})

    ws.db.write(delete)


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


def location_of(c: sa.Connection, trace: Trace) -> str:
    """Where the files of a trace lie."""
    return below(root_of(c, int(trace.experiment_id)), f"traces/{trace.id}/artifacts")


def write_trace(c: sa.Connection, trace: Trace, before: Trace | None) -> None:
    """Keep what is known of a trace. `before`: what was known of it."""
    row = {
        "id": trace.id, "experiment_id": int(trace.experiment_id), "request_ms": trace.request_ms,
        "duration_ms": trace.duration_ms, "state": trace.state, "client_request_id": trace.client_request_id,
        "metadata": to_json(trace.metadata), "tags": to_json(trace.tags), "request_preview": trace.request_preview,
        "response_preview": trace.response_preview, **columns_of(trace.tags, trace.metadata),
    }  # fmt: skip
    store.upsert(c, store.trace, [row], ["id"])
    keep_words(c, trace, before)


def find_traces(c: sa.Connection, ids: list[str]) -> dict[str, Trace]:
    """Those of the traces that exist, by id."""
    said = assessments_of(c, ids)
    found: dict[str, Trace] = {}
    for at in range(0, len(ids), _AT_ONCE):
        for row in c.execute(sa.select(store.trace).where(store.trace.c.id.in_(ids[at : at + _AT_ONCE]))):
            found[row.id] = from_row(row, said.get(row.id))
    return found


def _found(c: sa.Connection, trace_id: str) -> Trace:
    found = find_traces(c, [trace_id]).get(trace_id)
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
    told = {"body": to_json(kept), **said_columns(kept)._asdict()}
    if c.execute(sa.update(table).where(is_it).values(**told)).rowcount == 0:
        row = {"trace_id": trace_id, "id": kept["assessment_id"], "created_ms": now_ms()}
        c.execute(sa.insert(table).values(**row, **told))
    return kept
