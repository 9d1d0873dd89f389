"""What the data plane tells about itself, as plain values: for its HTTP pages and its gRPC answers alike."""

from __future__ import annotations

import time
from typing import Any

from homeostat.core.clock import now_ms
from homeostat.core.version import VERSION
from homeostat.serving.catalog import Catalog
from homeostat.serving.contract import TensorSpec
from homeostat.serving.counts import VersionCounts
from homeostat.serving.loaded import MAX_ROWS
from homeostat.serving.served import Served

NAME = "homeostat"
EXTENSIONS = ["binary_tensor_data", "model_repository", "model_configuration", "statistics"]


class Facts:
    """Reads what the request path counts; changes nothing. All methods run on the event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def server(self) -> dict[str, Any]:
        """Server metadata."""
        return {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}

    def ready(self) -> bool:
        """False until every deployment has loaded once, or has failed to."""
        catalog = self.catalog
        return catalog.started and all(s.state != "loading" or s.table for s in catalog.models.values())

    def model_ready(self, model: str, version: str | None) -> None:
        """Returns when requests are answered, be it after loading. Raises as `Catalog.lane`."""
        served = self.catalog.served(model)
        if served.state != "unloaded" or (version is not None and version not in map(str, served.versions)):
            self.catalog.lane(served, version)

    def metadata(self, model: str, version: str | None) -> dict[str, Any]:
        """Model metadata: inputs and outputs as they are, and the columns that a matrix holds."""
        served = self.catalog.served(model)
        lane = self.catalog.lane(served, version)
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
        return answer

    def config(self, model: str, version: str | None) -> dict[str, Any]:
        """Model configuration in Triton's words; with batching, the dimensions leave the rows out."""
        served = self.catalog.served(model)
        loaded = self.catalog.lane(served, version).loaded
        assert served.table is not None
        skip = 1 if loaded.contract.batchable else 0

        def described(spec: TensorSpec) -> dict[str, Any]:
            kind = "STRING" if spec.datatype == "BYTES" else spec.datatype
            return {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": spec.shape[skip:]}

        answer: dict[str, Any] = {
            "name": model,
            "platform": f"homeostat_{loaded.runtime.name}",
            "backend": loaded.runtime.name,
            "version_policy": {"specific": {"versions": sorted(served.table.versions)}},
            "max_batch_size": MAX_ROWS if skip else 0,
            "input": [described(spec) for spec in loaded.contract.offered],
            "output": [described(spec) for spec in loaded.outputs],
        }
        if skip:
            answer["dynamic_batching"] = {}
        return answer

    def index(self, ready_only: bool) -> list[dict[str, str]]:
        """The repository index: what is loaded, loading or cannot be."""
        found: list[dict[str, str]] = []
        for name, served in sorted(self.catalog.models.items()):
            if served.table is not None:
                found += [
                    {"name": name, "version": str(v), "state": "READY", "reason": ""}
                    for v in sorted(served.table.versions)
                ]
            elif served.state == "unloaded":
                reason = "not in memory; the next request loads it"
                found += [
                    {"name": name, "version": str(v), "state": "READY", "reason": reason} for v in served.versions
                ]
            elif not ready_only:
                state = "UNAVAILABLE" if served.state == "failed" else "LOADING"
                found.append({"name": name, "version": "", "state": state, "reason": served.reason})
        return found

    def statistics(self, model: str | None, version: str | None) -> list[dict[str, Any]]:
        """Counts and times by version; of every model when none is named."""
        models = [self.catalog.served(model)] if model is not None else list(self.catalog.models.values())
        if model is not None and version is not None:
            self.model_ready(model, version)
        return [
            _statistics(served, at, counts)
            for served in models
            for at, counts in served.counts.items()
            if version is None or str(at) == version
        ]


def _statistics(served: Served, version: int, counts: VersionCounts) -> dict[str, Any]:
    last_ns = max((lane.last_ns for lane in served.lanes if lane.loaded.version == version), default=0)
    ago_ms = (time.perf_counter_ns() - last_ns) // 1_000_000

    def spent(count: int, nanoseconds: int) -> dict[str, int]:
        return {"count": count, "ns": nanoseconds}

    return {
        "name": served.model,
        "version": str(version),
        "last_inference": now_ms() - ago_ms if counts.requests and last_ns else 0,
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
