"""Logged models and traces on each database: searches, pages, and spans as OpenTelemetry's bytes."""

from __future__ import annotations

import struct

import pytest

import homeostat as hs
from homeostat.core.errors import Conflict, InvalidInput, NotFound
from homeostat.tracking import store
from homeostat.tracking.logged_model_search import Dataset, Order, search_logged_models
from homeostat.tracking.logged_models import (
    create_logged_model,
    delete_logged_model,
    finalize_logged_model,
    get_logged_model,
    log_logged_model_params,
)
from homeostat.tracking.otlp import read_export
from homeostat.tracking.trace_search import search_traces
from homeostat.tracking.trace_spans import put_spans
from homeostat.tracking.traces import Trace, get_trace, put_trace, spans_of


def names(ws: hs.Workspace, filter: str = "", order: tuple[Order, ...] = (), **more: object) -> list[str]:
    return [model.name for model in search_logged_models(ws, [0], filter, order=order, **more)[0]]


def test_models_are_found_alike_on_each_database(any_ws: hs.Workspace):
    made = [
        create_logged_model(any_ws, 0, f"m{n}", params={"lr": str(n)}, tags={"Team": "Red" if n % 2 else "blue"})
        for n in range(4)
    ]
    finalize_logged_model(any_ws, made[2].id, "ready")
    by_name = (Order(field="name"),)
    assert names(any_ws, order=by_name) == ["m0", "m1", "m2", "m3"]
    for filter, found in {
        "params.lr = '2'": ["m2"],
        "params.lr != '2'": ["m0", "m1", "m3"],
        "params.none != '2'": [],
        "tags.Team LIKE 'R%'": ["m1", "m3"],
        "tags.Team LIKE 'r%'": [],
        "tags.`Team` ILIKE 'r_d'": ["m1", "m3"],
        "name IN ('m0', 'm3') AND tags.Team = \"blue\"": ["m0"],
        "name NOT IN ('m0', 'm3')": ["m1", "m2"],
        "status = 'READY'": ["m2"],
        "status = 'LOGGED_MODEL_PENDING'": ["m0", "m1", "m3"],
        "creation_time > 0 AND name = 'm1'": ["m1"],
        "name = 'it''s'": [],
    }.items():
        assert names(any_ws, filter, by_name) == found, filter
    assert names(any_ws, order=by_name, limit=2, offset=1) == ["m1", "m2"]
    assert search_logged_models(any_ws, [0], limit=3)[1] and not search_logged_models(any_ws, [0], limit=4)[1]
    assert names(any_ws, order=(Order(field="metrics.auc", dataset=Dataset(name="d")), *by_name))[0] == "m0"
    delete_logged_model(any_ws, made[0].id)
    assert names(any_ws, order=by_name) == ["m1", "m2", "m3"]
    with pytest.raises(NotFound):
        get_logged_model(any_ws, made[0].id)
    assert get_logged_model(any_ws, made[0].id, deleted=True).lifecycle == "deleted"
    log_logged_model_params(any_ws, made[1].id, {"lr": "1", "more": "x"})
    with pytest.raises(Conflict):
        log_logged_model_params(any_ws, made[1].id, {"lr": "7"})
    with pytest.raises(NotFound):
        create_logged_model(any_ws, 77, "x")


def test_of_a_metric_the_last_point_counts(any_ws: hs.Workspace):
    seq = any_ws.db.read(lambda c, id=any_ws.tracking.create_run().id: store.seq_of(c, id))
    made = [create_logged_model(any_ws, 0, name).id for name in ("early", "late", "none")]

    def log(model: str, value: float, step: int, dataset: str = "") -> None:
        row = {"model_id": model, "run_seq": seq, "key": "auc", "step": step, "at_ms": 9 - step, "value": value,
               "dataset_name": dataset, "dataset_digest": "d" if dataset else ""}  # fmt: skip
        any_ws.db.write(lambda c: c.execute(store.model_metric.insert().values(row)))

    log(made[0], 0.9, 0, "rows")
    log(made[0], 0.2, 1)
    log(made[1], 0.1, 0, "rows")
    log(made[1], 0.5, 1)
    assert names(any_ws, "metrics.auc > 0.4") == ["late"] and names(any_ws, "metrics.auc < 0.15") == []
    rows = [Dataset(name="rows")]
    assert names(any_ws, "metrics.auc > 0.4", datasets=rows) == ["early"]
    assert names(any_ws, order=(Order(field="metrics.auc"),)) == ["early", "late", "none"]
    on_rows = Order(field="metrics.auc", dataset=rows[0])
    assert names(any_ws, order=(on_rows,)) == ["late", "early", "none"]
    on_digest = Order(field="metrics.auc", dataset=Dataset(digest="d"))
    assert names(any_ws, order=(on_digest,)) == ["late", "early", "none"]
    assert names(any_ws, order=(Order(field="metrics.auc"),), datasets=rows) == ["late", "early"]
    log(made[1], 0.5, 1)
    assert [point.step for point in get_logged_model(any_ws, made[1]).metrics] == [0, 1]
    finalize_logged_model(any_ws, made[0], "failed")
    finalize_logged_model(any_ws, made[2], "ready")
    assert names(any_ws, order=(Order(field="status"),)) == ["late", "none", "early"]
    assert names(any_ws, "status NOT IN ('READY', 'LOGGED_MODEL_UPLOAD_FAILED')") == ["late"]


@pytest.mark.parametrize(
    "filter",
    ["status = 'UPLOADED'", "status LIKE 'R%'",
     "name", "name =", "name = 'a' OR name = 'b'", "metrics.x = 'a'", "metrics.x LIKE 'a'", "params.x > '1'",
     "a.b = 'c'",
     "name IN 'a'", "name IN (a)", "unknown = 'a'", "name = 'a' name = 'b'", "(" * 50, "x" * 20_000],
)  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_refused(ws: hs.Workspace, filter: str):
    with pytest.raises(InvalidInput):
        search_logged_models(ws, [0], filter)


def field(number: int, wire: int, value: bytes) -> bytes:
    """One protobuf field; a length is below 16384."""
    length = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | wire]) + (length if wire == 2 else b"") + value


def exported(*spans: bytes) -> bytes:
    return field(1, 2, field(2, 2, b"".join(field(2, 2, span) for span in spans)))


def test_spans_are_read_from_their_bytes(any_ws: hs.Workspace):
    ids = field(1, 2, bytes(range(16))) + field(2, 2, b"\1" * 8)
    times = field(7, 1, struct.pack("<Q", 5_000_000)) + field(8, 1, struct.pack("<Q", 9_000_000))
    answer = field(9, 2, field(1, 2, b"k") + field(2, 2, field(3, 0, b"\xff" * 9 + b"\x01")))
    root = (
        ids + field(5, 2, "wurzel ü".encode()) + field(6, 0, b"\2") + times + answer + field(15, 2, field(3, 0, b"\1"))
    )
    leaf = field(1, 2, bytes(range(16))) + field(2, 2, b"\2" * 8) + field(4, 2, b"\1" * 8) + field(5, 2, b"leaf")
    told = read_export(exported(root, leaf))
    spans = told["resource_spans"][0]["scope_spans"][0]["spans"]
    assert spans[0]["kind"] == "SPAN_KIND_SERVER" and spans[0]["attributes"][0]["value"] == {"int_value": -1}
    put_spans(any_ws, "0", spans)
    put_spans(any_ws, "0", spans)
    trace_id = "tr-000102030405060708090a0b0c0d0e0f"
    trace = get_trace(any_ws, trace_id)
    assert (trace.state, trace.duration_ms, trace.request_ms) == ("OK", 4, 5)
    assert trace.tags["mlflow.traceName"] == "wurzel ü"
    assert {span["name"] for span in spans_of(any_ws, trace_id)} == {"wurzel ü", "leaf"}
    put_trace(any_ws, Trace(id=trace_id, experiment_id="0", request_ms=7, state="ERROR", tags={"a": "1"}))
    found, more = search_traces(any_ws, [0], "status = 'ERROR' AND tags.a LIKE '1' AND span.name = 'leaf'")
    assert [one.id for one in found] == [trace_id] and not more
    assert search_traces(any_ws, [0], "timestamp_ms > 7")[0] == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\xff",
        b"\x0a\x7f\x00",
        b"\xff" * 12,
        exported(b"\x2a\x01\xff"),
        b"\x0b",
    ],
)
def test_bytes_that_are_no_spans_are_refused(data: bytes):
    with pytest.raises(InvalidInput):
        read_export(data)
