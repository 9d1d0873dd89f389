"""What the prediction log and feedback say of each version that shares a model's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.canary import Seen
from homeostat.serving.feedback import rewards_since
from homeostat.serving.model import Deployment
from homeostat.serving.prediction_table import answers_since, requests_since
from homeostat.serving.sequential import Arm

if TYPE_CHECKING:
    import polars as pl

    from homeostat.serving.model import Canary

Measure = Literal["errors", "latency_ms", "reward"]
# Routes reach every data plane within this time; what is answered meanwhile may follow the weights before.
SETTLE_MS = 2_000
_ENOUGH = 100


def slow_us(ws: Workspace, model: str, version: int, since_ms: int) -> int:
    """The 95th percentile of the version's latency since then; 0 when it has answered too little to tell."""
    import polars as pl

    frame = requests_since(ws, model, since_ms).filter(pl.col("version") == version, pl.col("status") == 200)
    return 0 if frame.height < _ENOUGH else int(frame["latency_us"].quantile(0.95) or 0)


def units(frame: pl.DataFrame, deployment: Deployment, slower_than_us: int = 0) -> pl.DataFrame:
    """What was drawn to a version: a request, or a sticky key with all its requests, which counts once.

    Columns: version, at_ms, failed, slow.
    """
    import polars as pl

    slow = (pl.col("latency_us") > slower_than_us) if slower_than_us else pl.lit(value=False)
    frame = frame.select("version", "request_id", "key", pl.col("logged_ms").alias("at_ms"),
                         (pl.col("status") >= 500).alias("failed"), slow.alias("slow"))  # fmt: skip
    if deployment.sticky != "key":
        return frame
    unit = pl.coalesce("key", "request_id").alias("unit")
    return frame.group_by("version", unit, maintain_order=True).agg(
        pl.col("at_ms").min(), pl.col("failed").any(), pl.col("slow").any()
    )


def share(frame: pl.DataFrame, column: str) -> Arm:
    """The share of units for which `column` holds."""
    return Arm.of_share(frame.height, int(frame[column].sum()))


def mean(values: pl.Series) -> Arm:
    """The mean of numbers."""
    spread = values.var() if len(values) > 1 else None
    middle = values.mean()
    return Arm(
        n=len(values),
        mean=float(middle) if isinstance(middle, float | int) else 0.0,
        variance=float(spread) if isinstance(spread, float | int) else 0.0,
    )


def rewarded(ws: Workspace, model: str, frame: pl.DataFrame, since_ms: int) -> pl.DataFrame:
    """The requests in `frame` that feedback or labels have come for, with their `reward`."""
    import polars as pl

    found = rewards_since(ws, model, since_ms)
    told = pl.DataFrame(found, schema={"request_id": pl.String, "reward": pl.Float64}, orient="row")
    return frame.join(told, on="request_id", how="inner")


def shared_answers(ws: Workspace, model: str, columns: set[str]) -> pl.DataFrame | None:
    """What the versions of `model` have answered since they share its requests, a row for each row, with `columns`
    beside the log's own. None when one version answers all of them."""
    deployment = ws.db.read(lambda c: store.read_deployment(c, model))
    if deployment is None or not any(route.role == "canary" for route in deployment.routes):
        return None
    since_ms = deployment.updated_ms
    if deployment.canary is not None:
        since_ms = deployment.canary.steps[0].at_ms
    elif deployment.bandit is not None:
        since_ms = deployment.bandit.since_ms
    return answers_since(ws, model, since_ms, columns)


def seen_of(ws: Workspace, deployment: Deployment, canary: Canary, at_ms: int) -> Seen:
    """What the canary of `deployment` is judged by at this time."""
    import polars as pl

    begun, champion = canary.steps[0].at_ms, deployment.champion
    both = pl.col("version").is_in([canary.version, champion])
    frame = requests_since(ws, deployment.model, begun + SETTLE_MS).filter(both)
    drawn = units(frame, deployment, canary.slow_us)
    own, others = (drawn.filter(pl.col("version") == version) for version in (canary.version, champion))
    rewards = rewarded(ws, deployment.model, frame, begun)
    earned, earned_by_champion = (
        mean(rewards.filter(pl.col("version") == version)["reward"]) for version in (canary.version, champion)
    )
    last = canary.steps[-1].at_ms
    return Seen(
        answered=share(own, "failed"), answered_by_champion=share(others, "failed"),
        errors=_segments(drawn, canary, "failed"), slow=_segments(drawn, canary, "slow"),
        rewards=earned, rewards_of_champion=earned_by_champion,
        step_requests=own.filter(pl.col("at_ms") >= last + SETTLE_MS).height, step_s=(at_ms - last) / 1000,
    )  # fmt: skip


def _segments(drawn: pl.DataFrame, canary: Canary, column: str) -> list[tuple[int, int, float]]:
    import polars as pl

    ends = [step.at_ms for step in canary.steps[1:]] + [1 << 62]
    found: list[tuple[int, int, float]] = []
    for step, end in zip(canary.steps, ends, strict=True):
        events = drawn.filter(pl.col(column), pl.col("at_ms") >= step.at_ms + SETTLE_MS, pl.col("at_ms") < end)
        own = events.filter(pl.col("version") == canary.version).height
        found.append((own, events.height, step.weight))
    return found
