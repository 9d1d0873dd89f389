"""MLflow's calls on assessments: what people and judges said of a trace."""

from __future__ import annotations

import json
import re
from typing import Any

from homeostat.core.clock import now_ms
from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.tracking import traces
from homeostat.tracking.mlflow.traces import time_out

_OF = "3.0/mlflow/traces/{trace_id}/assessments"
_ONE = _OF + "/{assessment_id}"
_CHANGEABLE = ("assessment_name", "expectation", "feedback", "rationale", "metadata", "source", "valid")
_KNOWN = (*_CHANGEABLE, "span_id", "overrides", "issue", "create_time", "last_update_time")


@rpc("POST", _OF, permission="tracking:write")
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Keep what somebody said."""
    given = args.object("assessment", required=True)
    assert given is not None
    given.text("assessment_name", required=True, longest=250)
    now = time_out(now_ms())
    body = {"create_time": now, "last_update_time": now, **_checked(given)}
    return {"assessment": traces.create_assessment(ws, args.text("trace_id"), body)}


@rpc("GET", _ONE, permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """What was said."""
    return {"assessment": traces.get_assessment(ws, args.text("trace_id"), args.text("assessment_id"))}


@rpc("PATCH", _ONE, permission="tracking:write")
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Change the fields that the mask names."""
    given = args.object("assessment", required=True)
    assert given is not None
    mask = args.values.get("update_mask")
    if not isinstance(mask, str):
        raise args.missing("update_mask")
    # Protobuf's JSON writes the names of a mask in camel case.
    names = [re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name) for name in mask.split(",") if name]
    if unknown := [name for name in names if name not in _CHANGEABLE]:
        raise invalid(f"Invalid value {unknown[0][:80]!r} for parameter 'update_mask' supplied.")
    new = _checked(given)

    def change(body: dict[str, Any]) -> dict[str, Any]:
        for kind, other, article in (
            ("expectation", "feedback", "a Feedback"),
            ("feedback", "expectation", "an Expectation"),
        ):
            if kind in names and new.get(kind) is not None and body.get(other) is not None:
                raise invalid(f"Cannot update {kind} value on {article} assessment.")
        changed = {name: new.get(name) for name in names if name != "metadata"}
        if "metadata" in names:
            changed["metadata"] = {**(body.get("metadata") or {}), **(new.get("metadata") or {})}
        return present({**body, **changed, "last_update_time": time_out(now_ms())})

    trace_id, assessment_id = args.text("trace_id"), args.text("assessment_id")
    return {"assessment": traces.update_assessment(ws, trace_id, assessment_id, change)}


@rpc("DELETE", _ONE, permission="tracking:write")
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take it back."""
    traces.delete_assessment(ws, args.text("trace_id"), args.text("assessment_id"))
    return {}


def _checked(given: Args) -> dict[str, Any]:
    for name in ("source", "feedback", "expectation", "issue", "metadata"):
        given.object(name)
    for name in ("assessment_name", "span_id", "overrides", "rationale", "create_time", "last_update_time"):
        given.text(name, longest=65_536)
    found = present({name: given.values.get(name) for name in _KNOWN})
    value = (found.get("expectation") or {}).get("value")
    if isinstance(value, list | dict):
        # Protobuf's own values lose whole numbers: what is more than one value travels as JSON text.
        found["expectation"] = {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": json.dumps(value)}}
    return found
