"""Verb: how fast and how reliably a model answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostat.core.records import finite
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.monitoring.model import Latency
from homeostat.monitoring.share import share_interval
from homeostat.serving import predictions

if TYPE_CHECKING:
    import polars as pl


@verb(permission="monitoring:read")
def latency(ws: Workspace, model: str, from_ms: int, to_ms: int, version: int | None = None) -> Latency:
    """Latency quantiles (ms) and the share of failed answers, of requests whose time lies in [from_ms, to_ms).

    One request counts once, however many rows it carried. Time is what the data plane took, without the network.
    """
    import polars as pl

    log: pl.DataFrame = predictions(ws, model, from_ms, to_ms, [])  # pyright: ignore[reportAssignmentType]
    return latency_of(model, log if version is None else log.filter(pl.col("version") == version))


def latency_of(model: str, log: pl.DataFrame) -> Latency:
    """The same for log rows already read."""
    import polars as pl

    from homeostat.monitoring.quantile import quantile_interval

    requests = log.unique("request_id", keep="last")
    n = requests.height
    good = requests.filter(pl.col("status") < 500)
    took = good["latency_us"].to_numpy() / 1000.0
    p50, p95, p99 = (quantile_interval(took, q) for q in (0.5, 0.95, 0.99))
    failed = n - good.height
    errors = share_interval(failed, n)
    return Latency(
        model=model, n=n, p50=finite(p50.value), p95=finite(p95.value), p99=finite(p99.value),
        p99_lo=finite(p99.lo), p99_hi=finite(p99.hi), errors=finite(errors.value), errors_lo=finite(errors.lo),
        errors_hi=finite(errors.hi), failed=failed,
    )  # fmt: skip
