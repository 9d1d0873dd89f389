"""A collector of spans: an HTTP server that reads OTLP with Protocol Buffers' own library, from published fields."""

from __future__ import annotations

import http.server
import threading
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# opentelemetry/proto/{common,resource,trace,collector/trace}/v1: the fields that are read here, by name, number, type.
_STRING, _BOOL, _INT64, _DOUBLE, _BYTES, _MESSAGE, _FIXED32, _FIXED64, _ENUM = 9, 8, 3, 1, 12, 11, 7, 6, 5
MESSAGES: dict[str, list[tuple[str, int, int, str, bool]]] = {
    "AnyValue": [("string_value", 1, _STRING, "", False), ("bool_value", 2, _BOOL, "", False),
                 ("int_value", 3, _INT64, "", False), ("double_value", 4, _DOUBLE, "", False)],
    "KeyValue": [("key", 1, _STRING, "", False), ("value", 2, _MESSAGE, "AnyValue", False)],
    "Resource": [("attributes", 1, _MESSAGE, "KeyValue", True)],
    "Scope": [("name", 1, _STRING, "", False), ("version", 2, _STRING, "", False)],
    "Status": [("message", 2, _STRING, "", False), ("code", 3, _ENUM, "", False)],
    "Span": [("trace_id", 1, _BYTES, "", False), ("span_id", 2, _BYTES, "", False),
             ("trace_state", 3, _STRING, "", False), ("parent_span_id", 4, _BYTES, "", False),
             ("name", 5, _STRING, "", False), ("kind", 6, _ENUM, "", False),
             ("start_time_unix_nano", 7, _FIXED64, "", False), ("end_time_unix_nano", 8, _FIXED64, "", False),
             ("attributes", 9, _MESSAGE, "KeyValue", True), ("status", 15, _MESSAGE, "Status", False),
             ("flags", 16, _FIXED32, "", False)],
    "ScopeSpans": [("scope", 1, _MESSAGE, "Scope", False), ("spans", 2, _MESSAGE, "Span", True)],
    "ResourceSpans": [("resource", 1, _MESSAGE, "Resource", False), ("scope_spans", 2, _MESSAGE, "ScopeSpans", True)],
    "Request": [("resource_spans", 1, _MESSAGE, "ResourceSpans", True)],
}  # fmt: skip


def request_type() -> Any:
    """The class of an ExportTraceServiceRequest."""
    file = descriptor_pb2.FileDescriptorProto(name="otlp.proto", package="otlp", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of, many in fields:
            kind = _INT64 if kind == _ENUM else kind  # on the wire the same
            added = message.field.add(name=field, number=number, type=kind, label=3 if many else 1)
            if of:
                added.type_name = f".otlp.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("otlp.Request"))


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    return {a.key: a.value.string_value or a.value.int_value for a in attributes}


class Collector:
    """Listens on loopback. `answer` is the status that it gives; `spans` what it has taken."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer = 200
        self._new = threading.Condition()
        collector, reads = self, request_type()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector._new:
                    collector.headers.append({**self.headers, ":path": self.path})
                    if collector.answer == 200:
                        for of in reads.FromString(body).resource_spans:
                            collector.resources.append(plain(of.resource.attributes))
                            collector.spans += [span for scope in of.scope_spans for span in scope.spans]
                    collector._new.notify_all()
                self.send_response(collector.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def wait(self, posts: int) -> None:
        """Until so many posts have come."""
        with self._new:
            assert self._new.wait_for(lambda: len(self.headers) >= posts, 30)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(300)
