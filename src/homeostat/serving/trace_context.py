"""W3C Trace Context: whose trace a request belongs to, and whether it is worth keeping.

See https://www.w3.org/TR/trace-context/ and OpenTelemetry's names for samplers. A header that is malformed is ignored,
as the specification asks: the request begins a trace of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from homeostat.core.errors import InvalidInput

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z", re.DOTALL)
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z"
)
_STATE_LENGTH, _STATE_MEMBERS = 512, 32


class TraceParent(NamedTuple):
    """The span that asks: 16 bytes of its trace, 8 of its own, and whether it is recorded."""

    trace: bytes
    span: bytes
    sampled: bool


# Whether the trace of these 16 bytes, asked for by such a parent, is recorded.
Sampler = Callable[[bytes, TraceParent | None], bool]


def parse_parent(header: bytes) -> TraceParent | None:
    """What `traceparent` says; None when it says nothing that is valid.

    >>> parse_parent(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
    True
    >>> parse_parent(b"00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
    True
    """
    found = _PARENT.match(header)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    # Later versions may say more behind what is known; this one may not.
    if version == b"ff" or (version == b"00" and more is not None) or not trace.strip(b"0") or not span.strip(b"0"):
        return None
    return TraceParent(bytes.fromhex(trace.decode()), bytes.fromhex(span.decode()), bool(int(flags, 16) & 1))


def parse_state(header: bytes) -> str:
    """`tracestate` as it is handed on; "" when it is not valid.

    >>> parse_state(b"rojo=00f067aa0ba902b7, congo=t61rcWkgMzE")
    'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'
    >>> parse_state(b"no state")
    ''
    """
    members = [member.strip() for member in header.decode("latin-1").split(",") if member.strip()]
    keys = {member.partition("=")[0] for member in members}
    state = ",".join(members)
    if len(state) > _STATE_LENGTH or len(members) > _STATE_MEMBERS or len(keys) != len(members):
        return ""
    return state if all(_MEMBER.match(member) for member in members) else ""


def sampler_of(environment: Mapping[str, str]) -> Sampler:
    """The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name; by default the parent decides, and what
    has no parent is recorded.

    Raises: InvalidInput for a sampler or a ratio that is not known.
    """
    name = environment.get("OTEL_TRACES_SAMPLER", "") or "parentbased_always_on"
    root = _roots(environment.get("OTEL_TRACES_SAMPLER_ARG", "") or "1").get(name.removeprefix("parentbased_"))
    if root is None:
        raise InvalidInput(
            f"OTEL_TRACES_SAMPLER={name!r} is not known",
            hint="always_on, always_off, traceidratio, or these with parentbased_ before them",
        )
    if not name.startswith("parentbased_"):
        return lambda trace, _: root(trace)
    return lambda trace, parent: root(trace) if parent is None else parent.sampled


def _roots(argument: str) -> dict[str, Callable[[bytes], bool]]:
    try:
        ratio = float(argument)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise InvalidInput(f"OTEL_TRACES_SAMPLER_ARG={argument!r} is not a ratio", hint="from 0 to 1, such as 0.1")
    bound = round(ratio * (1 << 64))
    return {
        "always_on": lambda _: True,
        "always_off": lambda _: False,
        # The same half of the id as elsewhere, so that all who see a trace decide alike.
        "traceidratio": lambda trace: int.from_bytes(trace[8:], "big") < bound,
    }
