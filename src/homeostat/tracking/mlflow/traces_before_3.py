"""MLflow's calls on traces as clients before version 3 make them; their spans are files among a trace's artifacts."""

from __future__ import annotations

from typing import Any

from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.ids import new_hex_id
from homeostat.core.workspace import Workspace
from homeostat.tracking import traces
from homeostat.tracking.mlflow.traces import OWN_TAGS, page
from homeostat.tracking.mlflow.wording import experiment_id_of
from homeostat.tracking.traces import Trace

_ROOT = "2.0/mlflow/traces"
_STATES = {"OK": "OK", "ERROR": "ERROR", "IN_PROGRESS": "IN_PROGRESS", "TRACE_STATUS_UNSPECIFIED": "STATE_UNSPECIFIED"}
_STATUSES = {state: status for status, state in _STATES.items()}


@rpc("POST", _ROOT, permission="tracking:write")
def start(ws: Workspace, args: Args) -> dict[str, Any]:
    """A trace begins."""
    trace = Trace(
        id=new_hex_id(), experiment_id=str(experiment_id_of(args.text("experiment_id", required=True))),
        request_ms=args.integer("timestamp_ms", required=True), metadata=_pairs(args, "request_metadata"),
        tags=_pairs(args, "tags"),
    )  # fmt: skip
    return {"trace_info": _shape(traces.put_trace(ws, trace, whole=False))}


@rpc("PATCH", _ROOT + "/{request_id}", permission="tracking:write")
def end(ws: Workspace, args: Args) -> dict[str, Any]:
    """It ended."""
    status = args.text("status", default="TRACE_STATUS_UNSPECIFIED")
    if status not in _STATES:
        raise invalid(f"Invalid value {status[:80]!r} for parameter 'status' supplied.")
    until_ms = args.integer("timestamp_ms", required=True)
    metadata, tags = _pairs(args, "request_metadata"), _pairs(args, "tags")
    found = traces.end_trace(ws, args.text("request_id"), until_ms, _STATES[status], metadata, tags)
    return {"trace_info": _shape(found)}


@rpc("GET", _ROOT + "/{request_id}/info", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """What is known of a trace."""
    return {"trace_info": _shape(traces.get_trace(ws, args.text("request_id")))}


@rpc("GET", _ROOT, permission="tracking:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of the traces that meet a filter."""
    ids = list(map(experiment_id_of, args.texts("experiment_ids", required=True)))
    found, token = page(ws, args, ids)
    return present({"traces": list(map(_shape, found)), "next_page_token": token})


def _shape(trace: Trace) -> dict[str, Any]:
    return present({
        "request_id": trace.id, "experiment_id": trace.experiment_id, "timestamp_ms": trace.request_ms,
        "execution_time_ms": trace.duration_ms, "status": _STATUSES.get(trace.state, "TRACE_STATUS_UNSPECIFIED"),
        "request_metadata": [{"key": key, "value": value} for key, value in trace.metadata.items()],
        "tags": [{"key": key, "value": value} for key, value in trace.tags.items()],
    })  # fmt: skip


def _pairs(args: Args, name: str) -> dict[str, str]:
    # These clients send back what the server said, its own tags too.
    return {one.text("key", required=True, longest=250): one.text("value", longest=8000)
            for one in map(Args, args.items(name)) if one.text("key") not in OWN_TAGS}  # fmt: skip
