"""What a canary is followed by: both versions on every matured row, and how the canary answered."""

from __future__ import annotations

import numpy as np
import polars as pl

from homeostat.loop.canary import CanaryRule
from homeostat.loop.facts import CanaryFacts, Paired
from homeostat.loop.quick_challenger import judged_rows
from homeostat.loop.record import decisions_of
from homeostat.loop.subject import Subject
from homeostat.monitoring import joined, latency_of, log_losses, mean_sequence
from homeostat.serving import predictions

_HOUR_MS = 3_600_000


def gather_canary(subject: Subject, rule: CanaryRule) -> CanaryFacts:
    """The facts of the canary under way. Hours, not days, are the blocks: a canary must be answered within days."""
    s = subject
    canary = s.canary
    assert canary is not None
    past = decisions_of(s.ws, s.model, before_ms=s.at_ms)
    begun = next((d for d in past if d.kind == "promote" and d.challenger == canary), None)
    started = begun.at_ms if begun is not None else s.at_ms
    last = next(
        (d.at_ms for d in past if d.kind == "canary" and d.challenger == canary and d.at_ms >= started), started
    )
    weight = next(r.weight for r in s.deployment.routes if r.version == canary)
    step = max(0, sum(1 for share in rule.steps if share <= weight + 1e-9) - 1)
    since, together = _paired(s, canary, started)
    served = _answers(s, started)
    own, others = (latency_of(s.model, served.filter(keep)) for keep in _split(canary))
    return CanaryFacts(
        model=s.model, at_ms=s.at_ms, champion=s.champion, canary=canary, step=step, step_since_ms=last,
        started_ms=started, since=since, together=together, served=own.n, failed=own.failed,
        champion_served=others.n, champion_failed=others.failed, p99=own.p99, champion_p99=others.p99,
        run_id=begun.run_id if begun is not None else None, data=[f"{s.model}/{s.champion}", f"{s.model}/{canary}"],
    )  # fmt: skip


def _paired(s: Subject, canary: int, started_ms: int) -> tuple[Paired | None, Paired | None]:
    """Loss differences of the rows since the canary began, and of those together with the window it was judged on."""
    fresh = (
        joined(s.ws, s.model, started_ms, s.matured_ms, s.at_ms, s.config.within_ms)
        if s.matured_ms > started_ms
        else None
    )
    rows = fresh.labelled() if fresh is not None else None
    since = _difference(s, canary, rows)
    earlier = Subject(s.ws, s.applied, started_ms)
    judged, _ = judged_rows(earlier, s.champion, canary)
    parts = [part for part in (judged, rows) if part is not None and part.height]
    return since, _difference(s, canary, pl.concat(parts, how="diagonal_relaxed") if parts else None)


def _difference(s: Subject, canary: int, rows: pl.DataFrame | None) -> Paired | None:
    if rows is None or rows.height < 2:
        return None
    label = rows["label"].to_numpy()
    difference = log_losses(label, s.scores(canary, rows)) - log_losses(label, s.scores(s.champion, rows))
    hours = (rows["time_ms"].to_numpy() // _HOUR_MS).astype(np.int64)
    found = mean_sequence(difference, rows.height, blocks=hours)
    if not found.known:
        return None
    return Paired(mean=found.value, se=found.se, n=found.n, blocks=int(np.unique(hours).size))


def _answers(s: Subject, started_ms: int) -> pl.DataFrame:
    log: pl.DataFrame = predictions(s.ws, s.model, started_ms, s.at_ms, [])  # pyright: ignore[reportAssignmentType]
    return log


def _split(canary: int) -> tuple[pl.Expr, pl.Expr]:
    own = pl.col("version") == canary
    return own, ~own
