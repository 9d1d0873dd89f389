"""OpenTelemetry's trace export, read from its protobuf bytes into plain objects, without a protobuf library.

Only what an `ExportTraceServiceRequest` holds is known here, as tables of field numbers; unknown fields are skipped.
The objects are those of protobuf's JSON with the proto's own names: bytes as base64, enums by name, numbers as numbers.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from homeostat.core.errors import InvalidInput

DEPTH = 32
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
CODES = ("UNSET", "OK", "ERROR")

# Of each message: field number -> (name, type, repeated). A type is a message's name or one of the readers below.
MESSAGES: dict[str, dict[int, tuple[str, str, bool]]] = {
    "request": {1: ("resource_spans", "resource_spans", True)},
    "resource_spans": {1: ("resource", "resource", False), 2: ("scope_spans", "scope_spans", True)},
    "resource": {1: ("attributes", "key_value", True)},
    "scope_spans": {2: ("spans", "span", True)},
    "span": {
        1: ("trace_id", "bytes", False), 2: ("span_id", "bytes", False), 3: ("trace_state", "text", False),
        4: ("parent_span_id", "bytes", False), 5: ("name", "text", False), 6: ("kind", "kind", False),
        7: ("start_time_unix_nano", "fixed64", False), 8: ("end_time_unix_nano", "fixed64", False),
        9: ("attributes", "key_value", True), 11: ("events", "event", True), 13: ("links", "link", True),
        15: ("status", "status", False), 16: ("flags", "fixed32", False),
    },
    "event": {
        1: ("time_unix_nano", "fixed64", False), 2: ("name", "text", False), 3: ("attributes", "key_value", True),
    },
    "link": {
        1: ("trace_id", "bytes", False), 2: ("span_id", "bytes", False), 3: ("trace_state", "text", False),
        4: ("attributes", "key_value", True), 6: ("flags", "fixed32", False),
    },
    "status": {2: ("message", "text", False), 3: ("code", "code", False)},
    "key_value": {1: ("key", "text", False), 2: ("value", "any_value", False)},
    "any_value": {
        1: ("string_value", "text", False), 2: ("bool_value", "bool", False), 3: ("int_value", "int64", False),
        4: ("double_value", "double", False), 5: ("array_value", "array", False), 6: ("kvlist_value", "list", False),
        7: ("bytes_value", "bytes", False),
    },
    "array": {1: ("values", "any_value", True)},
    "list": {1: ("values", "key_value", True)},
}  # fmt: skip


def read_export(data: bytes) -> dict[str, Any]:
    """The export request in `data`. Raises: InvalidInput when the bytes are none.

    >>> read_export(bytes.fromhex("0a0812061a040a026869"))
    {'resource_spans': [{'scope_spans': [{}]}]}
    """
    try:
        return _message(memoryview(data), "request", 0)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise InvalidInput("Invalid OpenTelemetry format", hint="send an ExportTraceServiceRequest") from error


def _message(data: memoryview, kind: str, depth: int) -> dict[str, Any]:
    if depth > DEPTH:
        raise ValueError("nested too deep")
    fields, made, at = MESSAGES[kind], {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        raw, at = _raw(data, at, tag & 7)
        name, what, repeated = fields.get(tag >> 3, ("", "", False))
        if not name:
            continue
        value = _value(raw, what, depth)
        if repeated:
            made.setdefault(name, []).append(value)
        else:
            made[name] = value
    return made


def _raw(data: memoryview, at: int, wire: int) -> tuple[memoryview | int, int]:
    if wire == 0:
        return _varint(data, at)
    if wire == 2:
        length, at = _varint(data, at)
    else:
        length = {1: 8, 5: 4}[wire] if wire in (1, 5) else -1
    if length < 0 or at + length > len(data):
        raise ValueError("cut off")
    return data[at : at + length], at + length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _value(raw: memoryview | int, what: str, depth: int) -> Any:
    if isinstance(raw, int):
        if what == "bool":
            return raw != 0
        if what in ("kind", "code"):
            names, prefix = (KINDS, "SPAN_KIND_") if what == "kind" else (CODES, "STATUS_CODE_")
            return prefix + names[raw if raw < len(names) else 0]
        if what != "int64":
            raise ValueError("another type was expected")
        return raw - 2**64 if raw >= 2**63 else raw
    match what:
        case "text":
            return str(raw, "utf-8")
        case "bytes":
            return base64.b64encode(raw).decode()
        case "fixed64":
            return struct.unpack("<Q", raw)[0]
        case "fixed32":
            return struct.unpack("<I", raw)[0]
        case "double":
            value = struct.unpack("<d", raw)[0]
            return value if value - value == 0 else "NaN" if value != value else f"{'-' if value < 0 else ''}Infinity"
        case _:
            if what not in MESSAGES:
                raise ValueError("another type was expected")
            return _message(raw, what, depth + 1)


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span, of an event or of a resource, as Python has them; bytes stay base64.

    >>> attributes({"attributes": [{"key": "a", "value": {"array_value": {"values": [{"int_value": 1}]}}}]})
    {'a': [1]}
    """
    return {one.get("key", ""): _any(one["value"]) for one in span.get("attributes", []) if one.get("value")}


def _any(value: dict[str, Any]) -> Any:
    for kind, held in value.items():
        if kind == "array_value":
            return [_any(one) for one in held.get("values", [])]
        if kind == "kvlist_value":
            return {one.get("key", ""): _any(one.get("value") or {}) for one in held.get("values", [])}
        return held
    return None
