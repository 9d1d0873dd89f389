"""OpenTelemetry's trace export in its JSON form, as the same objects that `otlp.read_export` gives.

It is protobuf's JSON but for the ids, which are in hexadecimal, and it may leave out or add what it likes.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, cast

from homeostat.core.errors import InvalidInput
from homeostat.tracking.otlp import CODES, DEPTH, KINDS, MESSAGES

_IDS = ("trace_id", "span_id", "parent_span_id")
_UPPER = re.compile(r"(?<!^)([A-Z])")


def read_json_export(data: bytes) -> dict[str, Any]:
    """The export request in `data`. Raises: InvalidInput when it is none.

    >>> read_json_export(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "0a", "endTimeUnixNano": 7}]}]}]}')
    {'resource_spans': [{'scope_spans': [{'spans': [{'span_id': 'Cg==', 'end_time_unix_nano': 7}]}]}]}
    """
    try:
        told = json.loads(data)
        if not isinstance(told, dict):
            raise ValueError
        return _message(cast("dict[str, Any]", told), "request", 0)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidInput("Invalid OpenTelemetry format", hint="send an ExportTraceServiceRequest") from error


def _message(told: dict[str, Any], kind: str, depth: int) -> dict[str, Any]:
    if depth > DEPTH:
        raise ValueError("nested too deep")
    fields = {name: (what, repeated) for name, what, repeated in MESSAGES[kind].values()}
    made: dict[str, Any] = {}
    for given, value in told.items():
        name = _UPPER.sub(r"_\1", given).lower()
        if name not in fields or value is None:
            continue
        what, repeated = fields[name]
        if repeated:
            made[name] = [_value(one, name, what, depth) for one in cast("list[Any]", value)]
        else:
            made[name] = _value(value, name, what, depth)
    return made


def _value(value: Any, name: str, what: str, depth: int) -> Any:
    match what:
        case "text":
            return value if isinstance(value, str) else _wrong()
        case "bytes":
            return base64.b64encode(bytes.fromhex(value) if name in _IDS else base64.b64decode(value)).decode()
        case "bool":
            return value if isinstance(value, bool) else _wrong()
        case "int64" | "fixed64" | "fixed32":
            number = int(value)
            least, most = (-(2**63), 2**63) if what == "int64" else (0, 2**64)
            return number if least <= number < most else _wrong()
        case "double":
            number = float(value)
            return number if number - number == 0 else str(value)
        case "kind" | "code":
            names, prefix = (KINDS, "SPAN_KIND_") if what == "kind" else (CODES, "STATUS_CODE_")
            if isinstance(value, str):
                return value if value.removeprefix(prefix) in names else prefix + names[0]
            return prefix + names[value if 0 <= value < len(names) else 0]
        case _:
            return _message(cast("dict[str, Any]", value), what, depth + 1)


def _wrong() -> Any:
    raise ValueError("another type was expected")
