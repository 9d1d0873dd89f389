"""What moved among a model's inputs, told on rows already read."""

from __future__ import annotations

import polars as pl
from msgspec.structs import replace

from homeostat.core.errors import NotFound, Refused
from homeostat.core.workspace import Workspace
from homeostat.explain import importance
from homeostat.monitoring.drift_rule import ColumnDrift, compare
from homeostat.monitoring.joined import DAY_MS, SCORES
from homeostat.monitoring.model import DriftedColumn, DriftReport
from homeostat.monitoring.profile import profile, recount
from homeostat.monitoring.reference import Reference
from homeostat.serving import predictions, redacted_inputs

MIN_ROWS = 100


def drift_report(
    ws: Workspace, model: str, version: int, log: pl.DataFrame, reference: Reference, from_ms: int, to_ms: int
) -> DriftReport:
    """The report on rows already read: `log` holds the answered predictions of [from_ms, to_ms)."""
    # What the deployment keeps out of the log is not missing: it cannot be judged.
    columns = [one for one in reference.profile.columns if one.name not in redacted_inputs(ws, model)]
    usual = replace(reference.profile, columns=columns)
    now = recount(usual, log, log["time_ms"].to_numpy())
    found = compare(usual, now, importance=shares_of_importance(ws, model, version))
    return DriftReport(
        model=model, version=version, from_ms=from_ms, to_ms=to_ms, rows=log.height, reference=reference.words,
        reference_rows=reference.rows, columns=[_column(one) for one in found],
        prediction=_prediction(ws, model, version, log, from_ms),
    )  # fmt: skip


def shares_of_importance(ws: Workspace, model: str, version: int) -> dict[str, float]:
    """Each input's share of the model's importance (they add up to 1); empty when it was never explained."""
    try:
        kept = importance(ws, model, version)
    except (NotFound, Refused):
        return {}
    total = sum(one.permutation for one in kept)
    return {one.feature: one.permutation / total for one in kept} if total > 0 else {}


def answered(ws: Workspace, model: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    """The answered predictions of [from_ms, to_ms)."""
    log: pl.DataFrame = predictions(ws, model, from_ms, to_ms)  # pyright: ignore[reportAssignmentType]
    return log.filter(pl.col("status") == 200)


def _prediction(ws: Workspace, model: str, version: int, log: pl.DataFrame, from_ms: int) -> DriftedColumn | None:
    """The score's drift against the version's own first four weeks; None while those are not over."""
    score = next((name for name in SCORES if name in log.columns), None)
    if score is None:
        return None
    past: pl.DataFrame = predictions(ws, model, None, from_ms, [score])  # pyright: ignore[reportAssignmentType]
    past = past.filter((pl.col("version") == version) & (pl.col("status") == 200))
    now = log.filter(pl.col("version") == version)
    if past.height < MIN_ROWS or now.height < MIN_ROWS:
        return None
    first = int(past["time_ms"].min())  # pyright: ignore[reportArgumentType]
    past = past.filter(pl.col("time_ms") < first + 28 * DAY_MS)
    reference = profile(past, past["time_ms"].to_numpy(), [score], DAY_MS)
    return _column(compare(reference, recount(reference, now, now["time_ms"].to_numpy()))[0])


def _column(one: ColumnDrift) -> DriftedColumn:
    return DriftedColumn(
        name=one.name, psi=one.psi, effect=one.effect, effect_lo=one.effect_lo, floor=one.floor, p=one.p,
        importance=one.importance, drifted=one.drifted, missing=one.missing, missing_change=one.missing_change,
        tail_change=one.tail_change, new_levels=one.new_levels, why=one.why,
    )  # fmt: skip
