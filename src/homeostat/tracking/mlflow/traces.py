"""MLflow's calls on traces: OpenTelemetry's export, descriptions, search, tags."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.errors import InvalidInput, NotFound, TooLarge
from homeostat.core.foreign import Args, ForeignError, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.tracking import trace_spans, traces
from homeostat.tracking.mlflow.wording import TAG_CHARS, check_key, experiment_id_of, not_found
from homeostat.tracking.otlp import attributes, read_export
from homeostat.tracking.otlp_json import read_json_export
from homeostat.tracking.trace_search import search_traces

_ROOT = "3.0/mlflow/traces"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST, _MOST_LINKED = 500, 100
_WAITS_S = (0.1, 0.4, 0.5, 1.0, 1.0)
# Where spans and files lie is for the server to say.
OWN_TAGS = (traces.LOCATION, traces.SPANS_LOCATION, "mlflow.trace.archiveLocation")
_FORMS = {"application/x-protobuf": read_export, "application/json": read_json_export}
_DURATION = re.compile(r"(-?\d{1,12})(?:\.(\d{1,9}))?s\Z")


@rpc("POST", "/v1/traces", permission="tracking:write", raw=True)
async def export(ws: Workspace, request: Request) -> Response:
    """Spans as OpenTelemetry exports them (protobuf or JSON), for the experiment that a header names."""
    experiment = request.headers.get("x-mlflow-experiment-id", "")
    if not experiment:
        raise _unprocessable("Missing value for required header 'x-mlflow-experiment-id'.")
    form = request.headers.get("content-type", "").partition(";")[0].strip()
    if form not in _FORMS:
        raise invalid(f"Invalid Content-Type: {form[:100]}. Expected: {' or '.join(_FORMS)}")
    body = await _body(request, ws.settings.max_body_mb << 20)
    run_id = request.headers.get("x-mlflow-run-id", "")

    def keep() -> None:
        told = _FORMS[form](body)
        spans = [{**span, "resource": attributes(resource.get("resource") or {})}
                 for resource in told.get("resource_spans", [])
                 for scope in resource.get("scope_spans", []) for span in scope.get("spans", [])]  # fmt: skip
        if any(not span.get("trace_id") or not span.get("span_id") for span in spans):
            raise _unprocessable("Cannot convert OpenTelemetry span to MLflow span: it has no id")
        if not told.get("resource_spans"):
            raise InvalidInput("Invalid OpenTelemetry format - no spans found")
        trace_spans.put_spans(ws, str(experiment_id_of(experiment)), spans, run_id)

    await run_in_threadpool(keep)
    return Response(b"{}" if form == "application/json" else b"", media_type=form)


@rpc("POST", _ROOT, permission="tracking:write")
def start(ws: Workspace, args: Args) -> dict[str, Any]:
    """A trace that ended, described."""
    outer = args.object("trace", required=True)
    info = outer.object("trace_info", required=True) if outer else None
    assert info is not None
    return {"trace": {"trace_info": shape(traces.put_trace(ws, _trace(info)))}}


@rpc("GET", _ROOT + "/{trace_id}", permission="tracking:read")
def get_info(ws: Workspace, args: Args) -> dict[str, Any]:
    """A trace without its spans."""
    return {"trace": {"trace_info": shape(traces.get_trace(ws, args.text("trace_id")))}}


@rpc("GET", _ROOT + "/get", permission="tracking:read")
async def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A trace with its spans; those that are still on their way are waited for, a little."""
    trace_id, partial = args.text("trace_id", required=True), args.flag("allow_partial")
    for wait_s in (*_WAITS_S, 0):
        try:
            trace = await run_in_threadpool(traces.get_trace, ws, trace_id)
        except NotFound:
            raise NotFound(f"Trace with ID {trace_id[:128]} is not found.") from None
        found = await run_in_threadpool(_whole, ws, trace)
        if partial or len(found["spans"]) >= _spans_said(trace):
            return {"trace": found}
        await asyncio.sleep(wait_s)
    message = f"Trace with ID {trace_id[:128]} is not fully exported yet, please try again later."
    raise ForeignError("RESOURCE_DOES_NOT_EXIST", message, 404)


@rpc("GET", _ROOT + "/batchGet", permission="tracking:read")
@rpc("POST", _ROOT + "/batchGet", permission="tracking:read")
def batch_get(ws: Workspace, args: Args) -> dict[str, Any]:
    """Those of the traces that exist, with their spans."""
    found = [(trace, _whole(ws, trace)) for trace in traces.get_traces(ws, _ids(args))]
    # One whose spans are still on their way is not there yet.
    return present({"traces": [whole for trace, whole in found if len(whole["spans"]) >= _spans_said(trace)]})


@rpc("GET", _ROOT + "/batchGetInfos", permission="tracking:read")
@rpc("POST", _ROOT + "/batchGetInfos", permission="tracking:read")
def batch_get_infos(ws: Workspace, args: Args) -> dict[str, Any]:
    """Those of the traces that exist."""
    return present({"trace_infos": [shape(trace) for trace in traces.get_traces(ws, _ids(args))]})


@rpc("POST", _ROOT + "/search", permission="tracking:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of the traces that meet a filter."""
    ids: list[int] = []
    for location in map(Args, args.items("locations", required=True)):
        inside = location.object("mlflow_experiment")
        if inside is not None:
            ids.append(experiment_id_of(inside.text("experiment_id", required=True)))
    found, token = page(ws, args, ids)
    return present({"traces": list(map(shape, found)), "next_page_token": token})


def page(ws: Workspace, args: Args, ids: list[int]) -> tuple[list[traces.Trace], str | None]:
    """The page of some experiments' traces that is asked for, and the token of the next."""
    limit = args.integer("max_results", default=100)
    if not 0 < limit <= _MOST:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most {_MOST}.")
    order = args.texts("order_by")
    asked = hashlib.sha256(msgspec.json.encode([ids, args.text("filter"), order])).hexdigest()[:16]
    offset = page_offset(args.text("page_token"), asked)
    found, more = search_traces(ws, ids, args.text("filter"), order, limit, offset)
    return found, page_token(asked, offset + limit) if more else None


@rpc("POST", "2.0/mlflow/traces/delete-traces", permission="tracking:write", audit=True)
@rpc("POST", _ROOT + "/delete-traces", permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete traces for good: those named, or the oldest."""
    ids = args.texts("request_ids")
    before = args.integer("max_timestamp_millis") if args.has("max_timestamp_millis") else None
    most = args.integer("max_traces", least=1) if args.has("max_traces") else None
    if bool(ids) == (before is not None) or (ids and most is not None):
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified, and not both.")
    experiment = experiment_id_of(args.text("experiment_id", required=True))
    return {"traces_deleted": traces.delete_traces(ws, experiment, ids, before, most)}


@rpc("PATCH", "2.0/mlflow/traces/{trace_id}/tags", permission="tracking:write")
@rpc("PATCH", _ROOT + "/{trace_id}/tags", permission="tracking:write")
def set_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set a tag; what a value has beyond its longest is cut off.

    The server's own tags may be set to what they are: clients of MLflow such as 3.12 give every tag of an evaluated
    trace back, and would warn of each that is refused.
    """
    trace_id, key, value = args.text("trace_id"), args.text("key", required=True), args.text("value")[:TAG_CHARS]
    if key in OWN_TAGS and traces.get_trace(ws, trace_id).tags.get(key) == value:
        return {}
    _check_tag(key, "set")
    check_key(key, "key", "key")
    traces.change_tags(ws, trace_id, lambda tags: tags.update({key: value}))
    return {}


@rpc("DELETE", "2.0/mlflow/traces/{trace_id}/tags", permission="tracking:write")
@rpc("DELETE", _ROOT + "/{trace_id}/tags", permission="tracking:write")
def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take a tag off."""
    trace_id, key = args.text("trace_id"), args.text("key", required=True)
    _check_tag(key, "deleted")

    def take(tags: dict[str, str]) -> None:
        if tags.pop(key, None) is None:
            raise NotFound(f"No trace tag with key '{key[:250]}' for trace with ID '{trace_id[:128]}'")

    traces.change_tags(ws, trace_id, take)
    return {}


@rpc("POST", "2.0/mlflow/traces/link-to-run", permission="tracking:write")
@rpc("POST", _ROOT + "/link-to-run", permission="tracking:write")
def link_to_run(ws: Workspace, args: Args) -> dict[str, Any]:
    """Say that traces belong to a run."""
    ids = args.texts("trace_ids")
    if len(ids) > _MOST_LINKED:
        raise invalid(f"Cannot link more than {_MOST_LINKED} traces to a run in a single request, provided {len(ids)}.")
    run_id = args.text("run_id", required=True)
    try:
        traces.link_to_run(ws, ids, run_id)
    except NotFound:
        raise not_found(run_id) from None
    return {}


@rpc("POST", "2.0/mlflow/traces/link-prompts", permission="tracking:write")
@rpc("POST", _ROOT + "/link-prompts", permission="tracking:write")
def link_prompts(ws: Workspace, args: Args) -> dict[str, Any]:
    """Say which versions of prompts a trace used."""
    key = "mlflow.linkedPrompts"
    new = [{"name": one.text("name", required=True), "version": one.text("version", required=True)}
           for one in map(Args, args.items("prompt_versions"))]  # fmt: skip

    def add(tags: dict[str, str]) -> None:
        there = json.loads(tags.get(key, "[]"))
        tags[key] = json.dumps([*there, *(one for one in new if one not in there)])

    traces.change_tags(ws, args.text("trace_id", required=True), add)
    return {}


def shape(trace: traces.Trace) -> dict[str, Any]:
    """A trace as the protocol has it."""
    return present({
        "trace_id": trace.id, "client_request_id": trace.client_request_id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": trace.experiment_id},
        },
        "request_preview": trace.request_preview, "response_preview": trace.response_preview,
        "request_time": time_out(trace.request_ms),
        "execution_duration": None if trace.duration_ms is None else f"{trace.duration_ms / 1000:.3f}s",
        "state": trace.state, "trace_metadata": trace.metadata, "tags": trace.tags, "assessments": trace.assessments,
    })  # fmt: skip


def time_out(ms: int) -> str:
    """Milliseconds as protobuf's JSON writes a time.

    >>> time_out(1500)
    '1970-01-01T00:00:01.500Z'
    """
    return f"{(_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec='milliseconds')[:23]}Z"


def time_in(text: str) -> int:
    """A time of protobuf's JSON in milliseconds. Raises ForeignError.

    >>> time_in("1970-01-01T00:00:01.5Z")
    1500
    """
    try:
        # Python reads at most six digits of a second.
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise invalid(f"Invalid value {text[:80]!r}: a time such as 2026-01-31T12:00:00Z is expected") from None
    return (found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) // timedelta(milliseconds=1)


def page_token(asked: str, offset: int) -> str:
    """Where to go on, for the search that `asked` stands for."""
    return base64.urlsafe_b64encode(f"{asked}:{offset}".encode()).decode()


def page_offset(token: str, asked: str) -> int:
    """Where a token goes on; 0 without one. Raises ForeignError when it is of another search."""
    if not token:
        return 0
    try:
        about, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        found = int(offset)
    except ValueError:
        about, found = "", -1
    if about != asked or not 0 <= found < 1 << 31:
        raise invalid("Invalid page token: it does not belong to this search.")
    return found


def _trace(info: Args) -> traces.Trace:
    location = info.object("trace_location", required=True)
    inside = location.object("mlflow_experiment") if location else None
    if inside is None:
        raise ForeignError("NOT_IMPLEMENTED", "traces are kept in experiments only", 501)
    duration = info.text("execution_duration")
    parts = _DURATION.match(duration) if duration else None
    if duration and parts is None:
        raise invalid(f"Invalid value {duration[:80]!r} for parameter 'execution_duration' supplied.")
    ms = None if parts is None else int(parts[1]) * 1000 + int((parts[2] or "").ljust(3, "0")[:3])
    return traces.Trace(
        id=info.text("trace_id", required=True, longest=128),
        experiment_id=str(experiment_id_of(inside.text("experiment_id", required=True))),
        request_ms=time_in(info.text("request_time", required=True)), duration_ms=ms,
        state=info.text("state", default="STATE_UNSPECIFIED", longest=32),
        client_request_id=info.text("client_request_id", longest=1000), metadata=_texts(info, "trace_metadata"),
        tags={key: value for key, value in _texts(info, "tags").items() if key not in OWN_TAGS},
        request_preview=info.text("request_preview") or None,
        response_preview=info.text("response_preview") or None, assessments=info.items("assessments"),
    )  # fmt: skip


def _texts(args: Args, name: str) -> dict[str, str]:
    found = args.object(name)
    return {} if found is None else {key: found.text(key, longest=8000) for key in found.values}


def _whole(ws: Workspace, trace: traces.Trace) -> dict[str, Any]:
    return {"trace_info": shape(trace), "spans": traces.spans_of(ws, trace.id)}


def _spans_said(trace: traces.Trace) -> int:
    """How many spans its client said the trace has, where they are kept here."""
    try:
        told = json.loads(trace.metadata.get("mlflow.trace.sizeStats", "{}"))
    except ValueError:
        return 0
    said = cast("dict[str, Any]", told).get("num_spans") if isinstance(told, dict) else None
    return said if isinstance(said, int) and trace.tags.get(traces.SPANS_LOCATION) == traces.HERE else 0


def _ids(args: Args) -> list[str]:
    ids = args.texts("trace_ids", required=True)
    if len(ids) > _MOST:
        raise invalid(f"At most {_MOST} traces are given at once.")
    return ids


def _check_tag(key: str, verb: str) -> None:
    if key in OWN_TAGS:
        raise invalid(f"Tag '{key}' is immutable and cannot be {verb} on a trace.")


def _unprocessable(message: str) -> ForeignError:
    return ForeignError("INVALID_PARAMETER_VALUE", message, 422)


async def _body(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is larger than {limit >> 20} MiB", hint="raise HOMEOSTAT_MAX_BODY_MB")
        parts.append(part)
    raw, coding = b"".join(parts), request.headers.get("content-encoding", "identity").lower()
    if coding == "identity":
        return raw
    if coding not in ("gzip", "deflate"):
        raise invalid(f"Invalid Content-Encoding: {coding[:40]}. Expected: gzip or deflate")
    return await run_in_threadpool(_inflated, raw, coding, limit)


def _inflated(raw: bytes, coding: str, limit: int) -> bytes:
    inflate = zlib.decompressobj(zlib.MAX_WBITS | (16 if coding == "gzip" else 0))
    try:
        found = inflate.decompress(raw, limit + 1)
    except (zlib.error, gzip.BadGzipFile):
        raise invalid("Invalid OpenTelemetry format: the body is not compressed as it says") from None
    if len(found) > limit:
        raise TooLarge(f"the body is larger than {limit >> 20} MiB", hint="raise HOMEOSTAT_MAX_BODY_MB")
    return found
