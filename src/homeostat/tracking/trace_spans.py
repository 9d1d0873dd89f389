"""Spans as they come, and what they say of their trace: when it was, how it went, what it cost, whose it was.

A description of the trace by its client comes before what its spans tell; spans come in any order, in several parts.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.records import to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.otel_words import plain, with_words
from homeostat.tracking.otlp import attributes
from homeostat.tracking.trace_words import SESSION, keep_facts
from homeostat.tracking.traces import (
    DESCRIBED,
    HERE,
    LOCATION,
    NAME,
    SOURCE_RUN,
    SPANS_LOCATION,
    Trace,
    find_traces,
    location_of,
    spans_in,
    write_trace,
)

TOKENS, COST = "mlflow.trace.tokenUsage", "mlflow.trace.cost"
USER = "mlflow.trace.user"
_USAGE_KEYS = ("input_tokens", "output_tokens", "total_tokens")
_CACHE_KEYS = ("cache_read_input_tokens", "cache_creation_input_tokens")
_COST_KEYS = ("input_cost", "output_cost", "total_cost")
_TAG, _ID = "mlflow.traceTag.", "mlflow.traceRequestId"
_PREVIEW = 1000
_OPEN = ("IN_PROGRESS", "STATE_UNSPECIFIED")

Spans = Sequence[dict[str, Any]]


def put_spans(ws: Workspace, experiment_id: str, spans: Spans, run_id: str = "") -> None:
    """Keep spans, as `otlp.read_export` gives them, each with the attributes of its "resource"; a trace that is not
    known yet begins.

    Raises: InvalidInput.
    """
    by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in spans:
        if not one.get("trace_id") or not one.get("span_id"):
            raise InvalidInput("Cannot convert OpenTelemetry span to MLflow span: it has no id")
        by_trace[trace_id_of(one)].append(with_words(one))

    def put(c: sa.Connection) -> None:
        known = find_traces(c, list(by_trace))
        for trace_id, new in by_trace.items():
            before = known.get(trace_id)
            trace = before or Trace(id=trace_id, experiment_id=experiment_id, request_ms=_begun(new))
            if trace.experiment_id != experiment_id:
                raise InvalidInput(f"Trace with ID '{trace_id}' already exists in another experiment.")
            ids = {one["span_id"] for one in new}
            trace = folded(trace, new, lambda ids=ids, id_=trace_id: [
                one for one in spans_in(c, id_) if one["span_id"] not in ids
            ], run_id)  # fmt: skip
            tags = {LOCATION: location_of(c, trace), **trace.tags, SPANS_LOCATION: HERE}
            write_trace(c, replace(trace, tags=tags), before)
            rows = [
                {"trace_id": trace_id, "span_id": one["span_id"],
                 "start_ns": min(one.get("start_time_unix_nano", 0), 2**63 - 1),
                 "body": to_json({key: value for key, value in one.items() if key != "resource"})}
                for one in new
            ]  # fmt: skip
            store.upsert(c, store.span, list({row["span_id"]: row for row in rows}.values()), ["trace_id", "span_id"])
            keep_facts(c, trace, new)

    ws.db.write(put)


def trace_id_of(span: Mapping[str, Any]) -> str:
    """The id of the trace that a span belongs to: as its client named it, else from OpenTelemetry's.

    >>> trace_id_of({"trace_id": "AAAAAAAAAAAAAAAAAAAAAQ=="})
    'tr-00000000000000000000000000000001'
    """
    named = str(attributes(dict(span)).get(_ID, "")).strip('"')
    return (named or f"tr-{base64.b64decode(span['trace_id']).hex()}")[:128]


def folded(trace: Trace, spans: Spans, earlier: Callable[[], Spans], run_id: str = "") -> Trace:
    """`trace` with what new spans tell. `earlier` gives the spans kept before."""
    described = DESCRIBED in trace.metadata
    told = [attributes(one) for one in spans]
    meta = dict(trace.metadata)
    if run_id:
        meta[SOURCE_RUN] = run_id
    for key, names in ((SESSION, ("session.id", "gen_ai.conversation.id")), (USER, ("user.id",))):
        found = next((str(plain(one[name])) for one in told for name in names if one.get(name)), None)
        if found is not None:
            meta.setdefault(key, found[:8000])
    for key, name, keys, more in (
        (TOKENS, "mlflow.chat.tokenUsage", _USAGE_KEYS, _CACHE_KEYS),
        (COST, "mlflow.llm.cost", _COST_KEYS, ()),
    ):
        # What its client counted is not counted again.
        if any(name in one for one in told) and not (described and key in trace.metadata):
            summed = _summed([*earlier(), *spans], name, keys, more)
            if summed is not None:
                meta[key] = json.dumps(summed)
    values: dict[str, Any] = {"metadata": meta, "tags": {**_resource_tags(spans), **trace.tags}}
    if not described:
        values |= _times(trace, spans)
    root = next((one for one in spans if not one.get("parent_span_id")), None)
    if root is not None:
        values |= _of_root(trace, root, values["tags"])
    return replace(trace, **values)


def _begun(spans: Spans) -> int:
    return min((one["start_time_unix_nano"] for one in spans if one.get("start_time_unix_nano")),
               default=now_ms() * 1_000_000) // 1_000_000  # fmt: skip


def _times(trace: Trace, spans: Spans) -> dict[str, Any]:
    starts = [one["start_time_unix_nano"] // 1_000_000 for one in spans if one.get("start_time_unix_nano")]
    ends = [one["end_time_unix_nano"] // 1_000_000 for one in spans if one.get("end_time_unix_nano")]
    begun = min([trace.request_ms, *starts])
    if trace.duration_ms is not None:
        ends.append(trace.request_ms + trace.duration_ms)
    return {"request_ms": begun, "duration_ms": max(0, max(ends) - begun) if ends else None}


def _of_root(trace: Trace, root: dict[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    told = attributes(root)
    failed = (root.get("status") or {}).get("code") == "STATUS_CODE_ERROR"
    given = {key[len(_TAG) : len(_TAG) + 250]: str(plain(value))[:8000] for key, value in told.items()
             if key.startswith(_TAG) and key != _TAG + SPANS_LOCATION}  # fmt: skip
    return {
        "state": ("ERROR" if failed else "OK") if trace.state in _OPEN else trace.state,
        "tags": {NAME: str(root.get("name", "")), **tags, **given},
        "request_preview": trace.request_preview or preview(told.get("mlflow.spanInputs"), "user"),
        "response_preview": trace.response_preview or preview(told.get("mlflow.spanOutputs"), "assistant"),
    }


def _resource_tags(spans: Spans) -> dict[str, str]:
    found: dict[str, str] = {}
    for span in spans:
        for key, value in span.get("resource", {}).items():
            if not key.startswith(("telemetry.sdk.", "mlflow.")):
                found[key[:250]] = (value if isinstance(value, str) else json.dumps(value))[:8000]
    return found


def _summed(spans: Spans, name: str, keys: Sequence[str], more: Sequence[str]) -> dict[str, float] | None:
    """The sum over a tree of spans; one that has a sum of its own stands for those below it."""
    by_id = {one["span_id"]: one for one in spans}
    own = {id_: _usage(one, name) for id_, one in by_id.items()}
    total: dict[str, float] = dict.fromkeys(keys, 0)
    some = False
    for id_, usage in own.items():
        if not usage or _has_above(id_, by_id, own):
            continue
        some = True
        for key in (*keys, *(key for key in more if key in usage)):
            value = usage.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                total[key] = total.get(key, 0) + value
    return total if some else None


def _usage(span: dict[str, Any], name: str) -> dict[str, Any]:
    value = plain(attributes(span).get(name))
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _has_above(span_id: str, by_id: Mapping[str, dict[str, Any]], own: Mapping[str, dict[str, Any]]) -> bool:
    above, seen = by_id[span_id].get("parent_span_id"), {span_id}
    while above and above in by_id and above not in seen:
        if own[above]:
            return True
        seen.add(above)
        above = by_id[above].get("parent_span_id")
    return False


def preview(value: Any, role: str) -> str | None:
    """The beginning of what went in or came out: of a chat, the last message of `role`.

    >>> preview('{"messages": [{"role": "user", "content": "hi"}]}', "user")
    'hi'
    """
    if value is None:
        return None
    told = plain(value)
    text = _last_message(told, role) or json.dumps(told, ensure_ascii=False)
    return text if len(text) <= _PREVIEW else text[: _PREVIEW - 3] + "..."


def _last_message(told: Any, role: str) -> str | None:
    if not isinstance(told, dict):
        return None
    found = cast("dict[str, Any]", told)
    messages = found.get("messages")
    choices = found.get("choices")
    if not isinstance(messages, list) and isinstance(choices, list) and choices:
        first = cast("list[Any]", choices)[0]
        messages = [first.get("message")] if isinstance(first, dict) else None
    if not isinstance(messages, list):
        return None
    known = [one for one in cast("list[Any]", messages) if isinstance(one, dict) and "content" in one]
    if not known:
        return None
    last = next((one for one in reversed(known) if one.get("role") == role), known[-1])
    content = last["content"]
    if isinstance(content, list):
        parts = [one.get("text") for one in cast("list[Any]", content) if isinstance(one, dict)]
        content = next((part for part in parts if isinstance(part, str)), None)
    return content if isinstance(content, str) else None
