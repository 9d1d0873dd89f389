"""Spans on their way to a collector: OTLP over HTTP in Protocol Buffers, sent by a thread, never awaited.

The few fields are written by number (see `rpc_wire`): the libraries for it cost more per request than answering does.
See https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping

from homeostat.core.errors import HomeostatError, Unavailable
from homeostat.core.outgoing import post
from homeostat.core.version import VERSION
from homeostat.serving.rpc_wire import BYTES, FIXED32, FIXED64, VARINT, field, number, some, varint

log = logging.getLogger("homeostat.serving")

_INTERNAL, _SERVER, _ERROR = 1, 2, 2
_NAMED = re.compile(r"/(models|versions)/[^/:]+")
# A collector that is busy says so by these; anything else will not be better the next time.
_AGAIN = (429, 502, 503, 504)


class Span:
    """One answered request. What is not known stays empty; times in nanoseconds since 1970."""

    __slots__ = (
        "begin_ns", "children", "end_ns", "id", "method", "model", "parent", "request", "role", "rows", "rpc", "state",
        "status", "target", "trace", "version",
    )  # fmt: skip

    def __init__(self, trace: bytes, id: bytes, parent: bytes, state: str, begin_ns: int) -> None:
        self.trace = trace
        self.id = id
        self.parent = parent
        self.state = state
        self.begin_ns = begin_ns
        self.end_ns = 0
        self.children: list[Child] = []
        self.method = b""
        self.target = b""
        self.status = 0
        self.rpc = False
        self.model = ""
        self.version = 0
        self.role = ""
        self.rows = 0
        self.request = ""


class Child:
    """A part of a request's way: what computed for it, or a node of a graph with what is below it."""

    __slots__ = ("attributes", "begin_ns", "children", "end_ns", "failed", "id", "name")

    def __init__(self, name: str, attributes: dict[str, str | int], begin_ns: int = 0, end_ns: int = 0) -> None:
        self.id = os.urandom(8)
        self.name = name
        self.attributes = attributes
        self.begin_ns = begin_ns or time.time_ns()
        self.end_ns = end_ns  # 0: it has not ended
        self.failed = False
        self.children: list[Child] = []

    def end(self) -> None:
        """It ends now."""
        self.end_ns = time.time_ns()


def encode(spans: Iterable[Span], resource: Mapping[str, str]) -> bytes:
    """An ExportTraceServiceRequest with all `spans`."""
    scope = field(1, field(1, "homeostat.serving") + field(2, VERSION))
    told = field(1, b"".join([_attribute(1, key, value) for key, value in resource.items()]))
    return field(1, told + field(2, scope + b"".join([_request(span) for span in spans])))


def _request(span: Span) -> bytes:
    """A request's span, and those below it."""
    return field(2, _span(span)) + b"".join([_child(child, span.trace, span) for child in span.children])


def _child(child: Child, trace: bytes, above: Span | Child) -> bytes:
    end_ns = child.end_ns or above.end_ns or child.begin_ns  # nobody waits for its end any more
    child.end_ns = end_ns
    own = b"".join([
        field(1, trace), field(2, child.id), field(4, above.id), field(5, child.name), number(6, _INTERNAL),
        _fixed64(7, child.begin_ns), _fixed64(8, end_ns),
        *[_attribute(9, key, value) for key, value in child.attributes.items()],
        field(15, number(3, _ERROR)) if child.failed else b"",
        varint(16 << 3 | FIXED32) + struct.pack("<I", 1),
    ])  # fmt: skip
    return field(2, own) + b"".join([_child(below, trace, child) for below in child.children])


def _span(span: Span) -> bytes:
    path = span.target.partition(b"?")[0].decode("latin-1")
    # The name has few values: a path says which model.
    route = _NAMED.sub(lambda found: f"/{found[1]}/{{{found[1][:-1]}}}", path)
    name = path.lstrip("/") if span.rpc else f"{span.method.decode('latin-1')} {route}"
    attributes: dict[str, str | int] = {"homeostat.model": span.model, "homeostat.version": span.version,
                                        "homeostat.route": span.role, "homeostat.rows": span.rows,
                                        "homeostat.request_id": span.request}  # fmt: skip
    if span.rpc:
        attributes |= {"rpc.system": "grpc", "rpc.method": path.rpartition("/")[2], "rpc.grpc.status_code": span.status}
        failed = span.status in (2, 13, 14, 15, 4)
    else:
        attributes |= {"http.request.method": span.method.decode("latin-1"), "http.route": route, "url.path": path,
                       "http.response.status_code": span.status}  # fmt: skip
        failed = span.status >= 500
    return b"".join([
        field(1, span.trace), field(2, span.id), some(3, span.state), some(4, span.parent), field(5, name),
        number(6, _SERVER), _fixed64(7, span.begin_ns), _fixed64(8, span.end_ns),
        *[_attribute(9, key, value) for key, value in attributes.items() if value or key.endswith("code")],
        field(15, number(3, _ERROR)) if failed else b"",
        varint(16 << 3 | FIXED32) + struct.pack("<I", 1),
    ])  # fmt: skip


def _attribute(at: int, key: str, value: str | int) -> bytes:
    inner = field(1, value) if isinstance(value, str) else varint(3 << 3 | VARINT) + varint(value)
    return varint(at << 3 | BYTES) + _sized(field(1, key) + field(2, inner))


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def _fixed64(at: int, value: int) -> bytes:
    return varint(at << 3 | FIXED64) + struct.pack("<Q", value)


class Exporter:
    """Sends spans to `url` in batches. At most `most` wait; what comes beyond that is dropped, and counted."""

    def __init__(
        self, url: str, headers: Mapping[str, str], resource: Mapping[str, str], *, delay_s: float = 5.0,
        most: int = 2048, batch: int = 512, timeout_s: float = 10.0,
    ) -> None:  # fmt: skip
        self.sent = 0
        self.dropped = 0
        self._url = url
        self._headers = {**headers, "Content-Type": "application/x-protobuf", "User-Agent": f"homeostat/{VERSION}"}
        self._resource = dict(resource)
        self._delay_s = delay_s
        self._timeout_s = timeout_s
        self._most = most
        self._batch = batch
        self._queue: deque[Span] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._silent = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def add(self, span: Span) -> None:
        """Send `span` some time. Never waits."""
        waiting = len(self._queue)
        if waiting >= self._most:
            self.dropped += 1
            return
        self._queue.append(span)
        if waiting + 1 == self._batch:
            self._wake.set()

    def close(self) -> None:
        """Send what waits, once, and end."""
        self._closing = True
        self._wake.set()
        self._thread.join(self._timeout_s + 1)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._delay_s)
            self._wake.clear()
            while self._queue and self._send() and not self._closing:
                pass
        while self._queue and self._send():
            pass
        self.dropped += len(self._queue)

    def _send(self) -> bool:
        """Send one batch; whether it makes sense to go on."""
        spans = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
        try:
            answer = post(
                self._url, encode(spans, self._resource), self._headers, allow_private=True, timeout_s=self._timeout_s
            )
        except Unavailable as error:
            return self._failed(spans, str(error), again=True)
        except HomeostatError as error:
            return self._failed(spans, str(error), again=False)
        if answer.status >= 300:
            return self._failed(spans, f"it answered {answer.status}", again=answer.status in _AGAIN)
        self.sent += len(spans)
        self._silent = False
        return True

    def _failed(self, spans: list[Span], why: str, *, again: bool) -> bool:
        if not self._silent:  # said once, until it goes well again
            log.warning("spans cannot be sent to %s: %s", self._url, why)
            self._silent = True
        room = self._most - len(self._queue) if again else 0
        kept = spans[:room] if room > 0 else []
        self._queue.extendleft(reversed(kept))
        self.dropped += len(spans) - len(kept)
        return not again
