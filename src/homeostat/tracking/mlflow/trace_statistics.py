"""MLflow's calls on statistics over traces."""

from __future__ import annotations

import math
from typing import Any

from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.tracking import trace_statistics
from homeostat.tracking.mlflow.wording import experiment_id_of
from homeostat.tracking.trace_statistics import VIEWS, Measure

_ROOT = "3.0/mlflow/traces"
_MOST = 1000


@rpc("POST", _ROOT + "/metrics", permission="tracking:read")
def metrics(ws: Workspace, args: Args) -> dict[str, Any]:
    """A metric of traces, spans or assessments, summed up."""
    ids = list(map(experiment_id_of, args.texts("experiment_ids", required=True)))
    view = args.text("view_type", required=True)
    if view not in VIEWS:
        raise invalid(f"view_type must be one of {list(VIEWS)}, got '{view[:100]}'")
    points = trace_statistics.query(
        ws, ids, view, args.text("metric_name", required=True),
        [_measure(one) for one in map(Args, args.items("aggregations", required=True))],
        args.texts("dimensions"), args.texts("filters"),
        args.integer("time_interval_seconds", least=0, most=10**9),
        args.integer("start_time_ms") if args.has("start_time_ms") else None,
        args.integer("end_time_ms") if args.has("end_time_ms") else None,
        args.integer("max_results", default=_MOST, least=1, most=100_000),
    )  # fmt: skip
    name = args.text("metric_name")
    return present({
        "data_points": [{"metric_name": name, "dimensions": point.dimensions, "values": point.values}
                        for point in points],
    })  # fmt: skip


@rpc("POST", _ROOT + "/calculate-filter-correlation", permission="tracking:read")
def correlation(ws: Workspace, args: Args) -> dict[str, Any]:
    """How much two filters have to do with each other."""
    ids = list(map(experiment_id_of, args.texts("experiment_ids", required=True)))
    first, second = args.text("filter_string1", required=True), args.text("filter_string2", required=True)
    found = trace_statistics.correlate(ws, ids, first, second, args.text("base_filter"))
    # Protobuf's JSON writes what is no number as text.
    return {name: "NaN" if isinstance(value, float) and math.isnan(value) else value
            for name, value in found._asdict().items()}  # fmt: skip


def _measure(one: Args) -> Measure:
    kind = one.text("aggregation_type", required=True)
    if kind not in ("COUNT", "SUM", "AVG", "MIN", "MAX", "PERCENTILE"):
        raise invalid(f"Unsupported aggregation type: {kind[:100]}")
    if kind != "PERCENTILE":
        if one.has("percentile_value"):
            raise invalid(f"Percentile value is only allowed for PERCENTILE aggregation type, got {kind}")
        return Measure(kind)
    percent = one.number("percentile_value", required=True)
    if not 0 <= percent <= 100:
        raise invalid(f"Percentile value must be between 0 and 100, got {percent}")
    return Measure(kind, percent)
