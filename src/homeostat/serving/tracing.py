"""Requests as OpenTelemetry spans, when a collector is named. Without one none of this is on the path of a request.

What is traced is another kind of exchange and call, which know when they begin and when they are answered, and another
form of the answer, which learns the version that gave it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from homeostat.core.version import VERSION
from homeostat.serving.delivery import Delivery
from homeostat.serving.http1 import Connection, Exchange
from homeostat.serving.http2.call import Call, Outgoing
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.oip import Outputs
from homeostat.serving.otlp import Child, Exporter, Span
from homeostat.serving.question import Form, Question
from homeostat.serving.trace_context import Sampler, parse_parent, parse_state, sampler_of

log = logging.getLogger("homeostat.serving")


class Tracer:
    """Begins and ends spans. On the event loop, but for what `exporter` does."""

    def __init__(self, exporter: Exporter, sampler: Sampler) -> None:
        self.exporter = exporter
        self._sampler = sampler
        self.call = partial(TracedCall, self)

    def exchange(
        self, connection: Connection, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes,
        persistent: bytes | None,
    ) -> Exchange:  # fmt: skip
        """A request that begins now."""
        span = self.begin(headers)
        if span is not None:
            span.method, span.target = method, target
        return TracedExchange(connection, method, target, headers, body, persistent, tracer=self, span=span)

    def form(self, inner: Form) -> Form:
        """`inner`, telling the span which version answered."""
        return TracedForm(inner)

    def begin(self, headers: Mapping[bytes, bytes]) -> Span | None:
        """The span of a request with these headers; None when it is not recorded."""
        told = headers.get(b"traceparent")
        parent = None if told is None else parse_parent(told)
        fresh = os.urandom(24)
        trace = fresh[:16] if parent is None else parent.trace
        if not self._sampler(trace, parent):
            return None
        state = "" if parent is None else parse_state(headers.get(b"tracestate", b""))
        return Span(trace, fresh[16:], b"" if parent is None else parent.span, state, time.time_ns())

    def end(self, span: Span, status: int, *, failed: bool) -> None:
        """The request of `span` is answered with `status`."""
        span.end_ns = time.time_ns()
        span.status = status
        if failed:
            log.warning("trace %s: %s was answered %d", span.trace.hex(), span.target[:120].decode("latin-1"), status)
        self.exporter.add(span)


class TracedExchange(Exchange, eq=False, kw_only=True):
    """An exchange that is a span from its whole request to its answer."""

    tracer: Tracer
    span: Span | None

    def compose(self, status: int, media: bytes, body: bytes, extra: bytes = b"") -> bytes:
        """See `Exchange.compose`; the answer says where it is to be found in its trace."""
        span = self.span
        if span is not None:
            self.span = None
            self.tracer.end(span, status, failed=status >= 500)
            extra += b"traceresponse: 00-%b-%b-01\r\n" % (span.trace.hex().encode(), span.id.hex().encode())
        return super().compose(status, media, body, extra)


class TracedCall(Call):
    """A gRPC call that is a span."""

    __slots__ = ("span", "tracer")

    def __init__(
        self, tracer: Tracer, connection: Outgoing, stream: int, target: bytes, headers: dict[bytes, bytes], now: float
    ) -> None:
        super().__init__(connection, stream, target, headers, now)
        self.tracer = tracer
        self.span = span = tracer.begin(headers)
        if span is not None:
            span.rpc, span.target = True, target

    def put(self, message: bytes) -> None:
        """See `Call.put`."""
        super().put(message)
        self._end()

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """See `Call.fail`."""
        super().fail(status, message, extra)
        self._end()

    def _end(self) -> None:
        span = self.span
        if span is not None:
            self.span = None
            self.tracer.end(span, self.code, failed=self.code in (2, 13, 14))


class TracedForm:
    """A form whose answers tell the span of their request what gave them."""

    def __init__(self, inner: Form) -> None:
        self._inner = inner

    def put(
        self, question: Question, waiting: Any, loaded: LoadedVersion, outputs: Outputs, start: int, stop: int | None
    ) -> None:
        """See `Form.put`."""
        span: Span | None = waiting.span
        if span is not None:
            span.model, span.version, span.role = loaded.model, loaded.version, question.role
            span.rows, span.request = question.rows, question.id
        self._inner.put(question, waiting, loaded, outputs, start, stop)


class TracedDelivery(Delivery):
    """A delivery that tells the spans of its requests when they were computed."""

    def deliver(self, group: list[Question], payload: object, outputs: Outputs, started: int) -> None:
        """See `Delivery.deliver`."""
        computed, now = time.perf_counter_ns(), time.time_ns()
        rows = sum(question.rows for question in group)
        for question in group:
            span: Span | Child | None = getattr(question.exchange, "span", None)
            if span is not None:
                told: dict[str, str | int] = {"homeostat.model": self.loaded.model,
                                              "homeostat.version": self.loaded.version,
                                              "homeostat.batch_rows": rows}  # fmt: skip
                span.children.append(Child("compute", told, now - (computed - started), now))
        super().deliver(group, payload, outputs, started)


def tracer_of(environment: Mapping[str, str]) -> Tracer | None:
    """The tracer that OpenTelemetry's standard variables ask for; None when they name no collector.

    Raises: InvalidInput for a sampler that is not known.
    """
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    if not endpoint and environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""):
        endpoint = environment["OTEL_EXPORTER_OTLP_ENDPOINT"].rstrip("/") + "/v1/traces"
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    if not endpoint or off:
        return None
    protocol = _of_traces(environment, "PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        log.warning("spans are sent as http/protobuf; OTEL_EXPORTER_OTLP_PROTOCOL=%s is not spoken: none are", protocol)
        return None
    resource = {"service.name": "homeostat-serving", "service.version": VERSION, "process.pid": str(os.getpid())}
    resource |= _pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if environment.get("OTEL_SERVICE_NAME"):
        resource["service.name"] = environment["OTEL_SERVICE_NAME"]
    return Tracer(Exporter(endpoint, _pairs(_of_traces(environment, "HEADERS")), resource), sampler_of(environment))


def _of_traces(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "") or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _pairs(text: str) -> dict[str, str]:
    """`a=b,c=d`, percent-encoded, as the variables have it."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}
