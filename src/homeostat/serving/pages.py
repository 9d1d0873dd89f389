"""Everything the data plane tells about itself: health, metadata, statistics, the repository index, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.version import VERSION
from homeostat.serving.counts import Exposition, VersionCounts
from homeostat.serving.facts import Facts
from homeostat.serving.http1 import JSON, Exchange
from homeostat.serving.openapi import describe

if TYPE_CHECKING:
    from homeostat.serving.catalog import Catalog
    from homeostat.serving.otlp import Exporter

_OF_VERSION = (
    ("requests", "Answered inference requests."),
    ("rows", "Predicted rows."),
    ("failures", "Requests that the model failed on."),
    ("batches", "Runs of the model."),
    ("turned_away", "Requests refused because too many waited."),
    ("expired", "Requests that were not answered within their time limit."),
    ("shadow", "Requests mirrored to this version and logged."),
)


class Pages:
    """GET handlers. They read what the request path counts; none of them changes anything."""

    def __init__(self, catalog: Catalog, facts: Facts, exporter: Exporter | None = None) -> None:
        self._catalog = catalog
        self._facts = facts
        self._exporter = exporter

    def server(self, exchange: Exchange) -> None:
        """GET /v2"""
        _json(exchange, self._facts.server())

    def live(self, exchange: Exchange) -> None:
        """GET /v2/health/live"""
        _json(exchange, {"live": True})

    def ready(self, exchange: Exchange) -> None:
        """GET /v2/health/ready: 503 until every deployment has loaded once, or has failed to."""
        ready = self._facts.ready()
        _json(exchange, {"ready": ready, "live": True}, 200 if ready else 503)

    def ping(self, exchange: Exchange) -> None:
        """GET /ping and /health, as MLflow's scoring server has them: an empty body."""
        exchange.answer(200 if self._facts.ready() else 503, JSON, b"\n")

    def version(self, exchange: Exchange) -> None:
        """GET /version, as MLflow's scoring server has it: the text alone."""
        exchange.answer(200, b"text/plain; charset=utf-8", VERSION.encode())

    def models(self, exchange: Exchange) -> None:
        """GET /v2/models and /v1/models"""
        _json(exchange, {"models": sorted(self._catalog.models)})

    def model_ready(self, model: str, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models/MODEL[/versions/VERSION]/ready and /v1/models/MODEL"""
        self._facts.model_ready(model, version)
        _json(exchange, {"name": model, "ready": True})

    def metadata(self, model: str, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models/MODEL[/versions/VERSION]: inputs and outputs as they are, and the columns they hold."""
        _json(exchange, self._facts.metadata(model, version))

    def config(self, model: str, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models/MODEL[/versions/VERSION]/config"""
        _json(exchange, self._facts.config(model, version))

    def openapi(self, model: str, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models/MODEL[/versions/VERSION]/openapi.json"""
        lane = self._catalog.lane(self._catalog.served(model), version)
        _json(exchange, describe(lane.loaded, version))

    def index(self, exchange: Exchange) -> None:
        """POST /v2/repository/index; an empty body is fine."""
        ready_only = bool(json_object(exchange.body).get("ready"))
        _json(exchange, self._facts.index(ready_only))

    def stats(self, model: str | None, version: str | None, exchange: Exchange) -> None:
        """GET /v2/models[/MODEL[/versions/VERSION]]/stats"""
        _json(exchange, {"model_stats": self._facts.statistics(model, version)})

    def metrics(self) -> Exposition:
        """What this process has counted."""
        catalog, page = self._catalog, Exposition()
        counts = list(self._counts())
        for field, help in _OF_VERSION:
            page.add(f"homeostat_{field}_total", "counter", help, [(n, getattr(c, field)) for n, c in counts])
        seconds = [(labels, c.compute_ns / 1e9) for labels, c in counts]
        page.add("homeostat_compute_seconds_total", "counter", "Time in the model.", seconds)
        latencies = [(labels, c.buckets, c.total_ns) for labels, c in counts]
        page.histogram("homeostat_latency_seconds", "From the parsed request to the written answer.", latencies)
        nodes = [({**n, "node": path, "name": node.name}, node) for n, c in counts for path, node in c.nodes.items()]
        waited = [(labels, node.buckets, node.total_ns) for labels, node in nodes]
        page.histogram("homeostat_node_seconds", "From asking a node of a graph to its answer.", waited)
        failed = [({**n, "status": str(code)}, many) for n, node in nodes for code, many in node.failures.items()]
        page.add("homeostat_node_failures_total", "counter", "Requests that a node of a graph ended.", failed)
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
        self._residency(page)
        if self._exporter is not None:
            page.add("homeostat_spans_total", "counter", "Requests whose spans were sent.", [({}, self._exporter.sent)])
            page.add(
                "homeostat_spans_dropped_total",
                "counter",
                "Requests whose spans were lost.",
                [({}, self._exporter.dropped)],
            )
        return page

    def _residency(self, page: Exposition) -> None:
        residency, models = self._catalog.residency, self._catalog.models
        loaded = [served for served in models.values() if served.loads]
        for name, help, samples in (
            ("loads", "Times a model was loaded.", [({"model": s.model}, s.loads) for s in loaded]),
            ("unloads", "Times a model was unloaded: for others' sake, or because nobody asked.",
             [({"model": s.model, "why": why}, count) for s in loaded for why, count in s.unloads.items()]),
            ("held", "Requests that waited for their model to be loaded.",
             [({"model": s.model}, s.held_total) for s in models.values() if s.held_total]),
            ("held_turned_away", "Requests refused because too many waited for their model to be loaded.",
             [({"model": s.model}, s.turned_away) for s in models.values() if s.turned_away]),
        ):  # fmt: skip
            page.add(f"homeostat_{name}_total", "counter", help, samples)
        for name, help, value in (
            ("models_deployed", "Deployed models.", len(models)),
            ("models_loaded", "Models in memory.", sum(served.table is not None for served in models.values())),
            ("held", "Requests that wait for their model to be loaded.", residency.held),
            ("model_memory_bytes", "What models take; measured where there is a budget.", residency.used),
            ("memory_budget_bytes", "What they may take; 0 for no limit.", residency.budget),
        ):
            page.add(f"homeostat_{name}", "gauge", help, [({}, value)])

        replicas = [
            ({"model": name, "version": str(version)}, lane.loaded.runtime.replicas)
            for name, served in models.items() if served.table is not None
            for version, lane in served.table.versions.items()
        ]  # fmt: skip
        page.add("homeostat_replicas", "gauge", "Worker processes or threads of models that are slow.", replicas)

    def _counts(self) -> Iterator[tuple[dict[str, str], VersionCounts]]:
        for name, served in self._catalog.models.items():
            for version, counts in served.counts.items():
                yield {"model": name, "version": str(version)}, counts


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; an empty body is an empty object. InvalidInput for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not valid: {error}") from None


def _json(exchange: Exchange, value: Any, status: int = 200) -> None:
    exchange.answer(status, JSON, msgspec.json.encode(value))
