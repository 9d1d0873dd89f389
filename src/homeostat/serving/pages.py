"""Everything the data plane tells about itself: health, metadata, statistics, the repository index, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.version import VERSION
from homeostat.serving.contract import TensorSpec
from homeostat.serving.counts import Exposition
from homeostat.serving.http1 import JSON, Exchange

if TYPE_CHECKING:
    from homeostat.serving.catalog import Catalog
    from homeostat.serving.lane import Lane
    from homeostat.serving.served import Served

# Read, not imported: the package's front door leads to every slice, also to those above this one.
EXTENSIONS = ["binary_tensor_data", "model_repository", "statistics"]
_OF_VERSION = (
    ("requests", "Answered inference requests."),
    ("rows", "Predicted rows."),
    ("failures", "Requests that the model failed on."),
    ("batches", "Runs of the model."),
    ("shadow", "Requests mirrored to this version and logged."),
)


class Pages:
    """GET handlers. They read what the request path counts; none of them changes anything."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def server(self, exchange: Exchange) -> None:
        """GET /v2"""
        _json(exchange, {"name": "homeostat", "version": VERSION, "extensions": EXTENSIONS})

    def live(self, exchange: Exchange) -> None:
        """GET /v2/health/live"""
        _json(exchange, {"live": True})

    def ready(self, exchange: Exchange) -> None:
        """GET /v2/health/ready: 503 until every deployment has loaded once, or has failed to."""
        catalog = self._catalog
        ready = catalog.started and all(served.state != "loading" or served.table for served in catalog.models.values())
        _json(exchange, {"ready": ready, "live": True}, 200 if ready else 503)

    def models(self, exchange: Exchange) -> None:
        """GET /v2/models"""
        _json(exchange, {"models": sorted(self._catalog.models)})

    def model_ready(self, model: str, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models/MODEL[/versions/VERSION]/ready"""
        self._catalog.lane(self._catalog.served(model), version)
        _json(exchange, {"name": model, "ready": True})

    def metadata(self, model: str, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models/MODEL[/versions/VERSION]: inputs and outputs as they are, and the columns they hold."""
        served = self._catalog.served(model)
        lane = self._catalog.lane(served, version)
        assert served.table is not None
        loaded = lane.loaded
        answer: dict[str, Any] = {
            "name": model,
            "versions": [str(v) for v in sorted(served.table.versions)],
            "platform": f"homeostat_{loaded.runtime.name}",
            "inputs": [_tensor(spec) for spec in loaded.contract.offered],
            "outputs": [_tensor(spec) for spec in loaded.outputs],
        }
        if loaded.contract.offered is not loaded.contract.inputs:
            answer["columns"] = [_tensor(spec) for spec in loaded.contract.inputs]
        _json(exchange, answer)

    def index(self, exchange: Exchange) -> None:
        """POST /v2/repository/index; an empty body is fine."""
        ready_only = False
        if exchange.body:
            try:
                ready_only = bool(msgspec.json.decode(exchange.body, type=dict[str, Any]).get("ready"))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InvalidInput(f"the body is not valid: {error}") from None
        found: list[dict[str, str]] = []
        for name, served in sorted(self._catalog.models.items()):
            if served.table is not None:
                found += [
                    {"name": name, "version": str(v), "state": "READY", "reason": ""}
                    for v in sorted(served.table.versions)
                ]
            elif not ready_only:
                state = "UNAVAILABLE" if served.state == "failed" else "LOADING"
                found.append({"name": name, "version": "", "state": state, "reason": served.reason})
        _json(exchange, found)

    def stats(self, model: str | None, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models[/MODEL[/versions/VERSION]]/stats"""
        models = [self._catalog.served(model)] if model is not None else list(self._catalog.models.values())
        if model is not None and version is not None:
            self._catalog.lane(models[0], version)
        _json(exchange, {
            "model_stats": [
                _statistics(served, lane)
                for served in models
                for lane in served.lanes
                if version is None or str(lane.loaded.version) == version
            ]
        })  # fmt: skip

    def metrics(self, exchange: Exchange) -> None:
        """GET /metrics"""
        catalog, page = self._catalog, Exposition()
        counts = [(labels, lane.loaded.counts) for labels, lane in self._lanes()]
        for field, help in _OF_VERSION:
            page.add(f"homeostat_{field}_total", "counter", help, [(n, getattr(c, field)) for n, c in counts])
        seconds = [(labels, c.compute_ns / 1e9) for labels, c in counts]
        page.add("homeostat_compute_seconds_total", "counter", "Time in the model.", seconds)
        latencies = [(labels, c.buckets, c.total_ns) for labels, c in counts]
        page.histogram("homeostat_latency_seconds", "From the parsed request to the written answer.", latencies)
        rejected = [({"model": name}, served.rejected) for name, served in catalog.models.items()]
        page.add("homeostat_rejected_total", "counter", "Requests that do not fit the model's signature.", rejected)
        refused = [({"status": str(status)}, count) for status, count in sorted(catalog.codes.items())]
        page.add("homeostat_refused_total", "counter", "Requests answered with an error without the model.", refused)
        for name, kind, help, value in (
            ("malformed_total", "counter", "Requests refused as HTTP.", catalog.server.malformed),
            ("connections", "gauge", "Open connections.", len(catalog.server.connections)),
            ("log_rows_total", "counter", "Prediction rows written.", catalog.predictions.rows),
            ("log_queued", "gauge", "Requests whose predictions are not written yet.", catalog.predictions.queued),
            ("log_dropped_total", "counter", "Requests whose predictions were lost.", catalog.predictions.dropped),
            ("shadow_dropped_total", "counter", "Mirrored requests dropped.", catalog.shadow.dropped),
        ):
            page.add(f"homeostat_{name}", kind, help, [({}, value)])
        exchange.answer(200, b"text/plain; version=0.0.4; charset=utf-8", page.text())

    def _lanes(self) -> Iterator[tuple[dict[str, str], Lane]]:
        for name, served in self._catalog.models.items():
            for lane in served.lanes:
                yield {"model": name, "version": str(lane.loaded.version)}, lane


def _statistics(served: Served, lane: Lane) -> dict[str, Any]:
    counts = lane.loaded.counts

    def spent(count: int, nanoseconds: int) -> dict[str, int]:
        return {"count": count, "ns": nanoseconds}

    return {
        "name": served.model,
        "version": str(lane.loaded.version),
        "inference_count": counts.rows,
        "execution_count": counts.batches,
        "inference_stats": {
            "success": spent(counts.requests, counts.total_ns),
            "fail": spent(counts.failures, 0),
            "queue": spent(counts.requests, counts.queue_ns),
            "compute_input": spent(counts.requests, 0),
            "compute_infer": spent(counts.batches, counts.compute_ns),
            "compute_output": spent(counts.requests, 0),
            "cache_hit": spent(0, 0),
            "cache_miss": spent(0, 0),
        },
        "batch_stats": [],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _json(exchange: Exchange, value: Any, status: int = 200) -> None:
    exchange.answer(status, JSON, msgspec.json.encode(value))
