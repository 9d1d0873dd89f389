"""W3C trace context and OpenTelemetry spans: read, handed on, and taken by a collector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.serving import deploy, wait_ready
from homeostat.serving.otlp import Exporter, Span
from homeostat.serving.rpc_wire import field
from homeostat.serving.trace_context import TraceParent, parse_parent, parse_state, sampler_of
from homeostat.serving.tracing import tracer_of
from tests.serving.collector import Collector, plain
from tests.serving.conftest import PlaneProcess, features
from tests.serving.models import register_logistic

TRACE, ASKS = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{ASKS}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.stop()


@pytest.mark.parametrize(
    "header",
    ["", "00", PARENT.upper(), f"ff{PARENT[2:]}", f"{PARENT}-more", f"00-{'0' * 32}-{ASKS}-01",
     f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}-{ASKS}-01", f" {PARENT}", f"{PARENT}\n", PARENT.replace("-", "_"),
     f"00-{TRACE}-{ASKS}-0g"],
)  # fmt: skip
def test_a_parent_that_is_malformed_is_ignored(header: str) -> None:
    assert parse_parent(header.encode()) is None


def test_a_parent_is_read_also_from_a_later_version() -> None:
    wanted = TraceParent(bytes.fromhex(TRACE), bytes.fromhex(ASKS), True)
    assert parse_parent(PARENT.encode()) == wanted
    assert parse_parent(f"cc{PARENT[2:]}-what-comes-later".encode()) == wanted
    assert parse_parent(f"{PARENT[:-2]}02".encode()) == wanted._replace(sampled=False)


@pytest.mark.parametrize(
    ("header", "state"),
    [("", ""), ("a=1", "a=1"), ("a=1, b@c=2", "a=1,b@c=2"), ("a=1,,b=2", "a=1,b=2"), ("a=1,a=2", ""), ("A=1", ""),
     ("a", ""), ("a=1\n", "a=1"), ("a=\x01", ""), (",".join(f"k{at}=v" for at in range(33)), ""),
     (f"a={'x' * 256}", f"a={'x' * 256}"), (f"a={'x' * 257}", "")],
)  # fmt: skip
def test_state_is_handed_on_when_it_is_valid(header: str, state: str) -> None:
    assert parse_state(header.encode("latin-1")) == state


def test_samplers_are_those_of_the_standard_variables() -> None:
    low, high = bytes(16), bytes([0] * 8 + [255] * 8)
    kept, left = TraceParent(low, b"", True), TraceParent(low, b"", False)

    def of(name: str, argument: str = "") -> list[bool]:
        sampler = sampler_of({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument})
        return [sampler(low, None), sampler(high, None), sampler(low, kept), sampler(low, left)]

    assert of("") == of("parentbased_always_on") == [True, True, True, False]
    assert of("always_on") == [True] * 4 and of("always_off") == [False] * 4
    assert of("traceidratio", "0.5") == [True, False, True, True]
    assert of("parentbased_traceidratio", "0.5") == [True, False, True, False]
    assert of("parentbased_always_off") == [False, False, True, False]
    for name, argument in (("jaeger_remote", ""), ("traceidratio", "2"), ("traceidratio", "half")):
        with pytest.raises(InvalidInput, match="OTEL_TRACES_SAMPLER"):
            of(name, argument)


def test_without_a_collector_nothing_is_traced() -> None:
    url = "http://127.0.0.1:1"
    for environment in (
        {}, {"OTEL_SERVICE_NAME": "x"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ):  # fmt: skip
        assert tracer_of(environment) is None


def spans(many: int) -> list[Span]:
    return [Span(bytes(15) + b"\x01", at.to_bytes(8, "big"), b"", "", at) for at in range(1, many + 1)]


def test_what_waits_is_bounded_and_what_is_dropped_is_counted(collector: Collector) -> None:
    exporter = Exporter(collector.url, {}, {}, delay_s=3600, most=10, batch=100)
    for span in spans(25):
        exporter.add(span)
    assert exporter.dropped == 15
    exporter.close()
    assert (exporter.sent, exporter.dropped, len(collector.spans)) == (10, 15, 10)


def test_a_busy_collector_is_asked_again_and_one_that_refuses_is_not(collector: Collector) -> None:
    exporter = Exporter(collector.url, {}, {}, delay_s=0.01, most=100, batch=4)
    collector.answer = 503
    for span in spans(8):
        exporter.add(span)
    collector.wait(2)
    assert (exporter.sent, exporter.dropped) == (0, 0)
    collector.answer = 200
    exporter.close()
    assert (exporter.sent, exporter.dropped) == (8, 0)
    assert [int.from_bytes(span.span_id, "big") for span in collector.spans] == list(range(1, 9))
    exporter = Exporter(collector.url, {}, {}, delay_s=3600)
    collector.answer = 400
    exporter.add(spans(1)[0])
    exporter.close()
    assert (exporter.sent, exporter.dropped) == (0, 1)


@pytest.fixture
def traced(
    ws: hs.Workspace, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PlaneProcess]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url + "/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "flights")
    register_logistic(ws, tmp_path, "delay", np.array([1.0, 0, 0]))
    deploy(ws, "delay", 1)
    running = PlaneProcess(ws, tmp_path / "plane.log")
    wait_ready(ws, "delay")
    yield running
    running.stop()


def test_requests_are_spans_of_whose_trace_they_belong_to(traced: PlaneProcess, collector: Collector) -> None:
    body = msgspec.json.encode({"id": "r1", **features([[1, 2, 3], [4, 5, 6]])})
    path = "/v2/models/delay/versions/1/infer"
    given = {"traceparent": PARENT, "tracestate": "a=1"}
    status, headers, _ = traced.request("POST", path, body, given)
    version, trace, own, flags = headers["traceresponse"].split("-")
    assert (status, version, trace, flags) == (200, "00", TRACE, "01") and own != ASKS
    # Not recorded by whoever asks: not recorded here. Malformed: a trace of its own.
    status, headers, _ = traced.request("POST", path, body, {"traceparent": PARENT[:-1] + "0"})
    assert status == 200 and "traceresponse" not in headers
    status, headers, _ = traced.request("POST", "/v2/models/delay/infer", b"{}", {"traceparent": "nonsense"})
    assert status == 400 and TRACE not in headers["traceresponse"]
    with grpc.insecure_channel(f"127.0.0.1:{traced.port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
        assert call(field(1, "delay"), metadata=[("traceparent", PARENT)], timeout=300) == b"\x08\x01"
    assert b"homeostat_spans_dropped_total 0" in traced.request("GET", "/metrics")[2]
    assert traced.stop() == 0
    posted = collector.headers[0]
    assert (posted[":path"], posted["Content-Type"], posted["x-tenant"]) == (
        "/v1/traces",
        "application/x-protobuf",
        "a b",
    )
    assert collector.resources[0]["service.name"] == "flights"
    one = next(span for span in collector.spans if span.trace_id.hex() == TRACE and span.name.startswith("POST"))
    assert (one.span_id.hex(), one.parent_span_id.hex(), one.trace_state, one.kind, one.flags) == (
        own,
        ASKS,
        "a=1",
        2,
        1,
    )
    assert one.name == "POST /v2/models/{model}/versions/{version}/infer"
    assert 0 < one.start_time_unix_nano < one.end_time_unix_nano
    told = plain(one.attributes)
    assert told["http.response.status_code"] == 200 and told["url.path"] == path
    assert [told[f"homeostat.{name}"] for name in ("model", "version", "route", "rows", "request_id")] == [
        "delay", 1, "direct", 2, "r1",
    ]  # fmt: skip
    refused = next(span for span in collector.spans if plain(span.attributes).get("http.response.status_code") == 400)
    assert (
        refused.parent_span_id == b"" and refused.status.code == 0
    )  # what a client did wrong is no error of the server
    called = next(span for span in collector.spans if span.name == "inference.GRPCInferenceService/ModelReady")
    assert called.trace_id.hex() == TRACE and plain(called.attributes)["rpc.system"] == "grpc"


def test_headers_that_come_twice_do_not_fail_a_request(traced: PlaneProcess) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", traced.port, timeout=300)
    connection.putrequest("GET", "/v2/models/delay")
    for value in (PARENT, PARENT):
        connection.putheader("traceparent", value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 200 and TRACE not in answer.headers["traceresponse"]
    connection.close()
