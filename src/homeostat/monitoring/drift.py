"""Verbs: what moved among a model's inputs, and whether its inputs are sound."""

from __future__ import annotations

import polars as pl
from msgspec.structs import replace

from homeostat.core.errors import NotFound, Refused
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.explain import importance
from homeostat.monitoring.drift_rule import ColumnDrift, compare
from homeostat.monitoring.joined import DAY_MS, SCORES
from homeostat.monitoring.model import ColumnQuality, DriftedColumn, DriftReport
from homeostat.monitoring.profile import profile, recount
from homeostat.monitoring.reference import Reference, reference_of
from homeostat.monitoring.training import TrainingTable
from homeostat.serving import get_deployment, predictions, redacted_inputs

_MIN_ROWS = 100
# A column is called broken, not drifted, when so much of it is gone that was not before.
_GONE = 0.5


@verb(permission="monitoring:read")
def drift(
    ws: Workspace,
    model: str,
    from_ms: int,
    to_ms: int,
    version: int | None = None,
    training: TrainingTable | None = None,
) -> DriftReport:
    """Compare the inputs asked about in [from_ms, to_ms) with what `version` (default: the champion) learnt from.

    `training` names the table of training rows; without it the version's first four weeks of predictions are the
    reference. Columns come in the order of drift times importance. The rule is `homeostat.monitoring.drift_rule`.

    Raises: NotFound when there is no reference yet, or fewer than 100 predictions.
    """
    of = version if version is not None else get_deployment(ws, model).champion
    log = _log(ws, model, from_ms, to_ms)
    reference = reference_of(ws, model, of, from_ms, training)
    if reference is None:
        raise NotFound(
            f"there is nothing to compare v{of} of '{model}' with yet",
            hint="name its training table, or wait until it has predicted for four weeks",
        )
    if log.height < _MIN_ROWS:
        raise NotFound(f"'{model}' answered {log.height} rows in that span; {_MIN_ROWS} are needed to speak of drift")
    return drift_report(ws, model, of, log, reference, from_ms, to_ms)


@verb(permission="monitoring:read")
def data_quality(
    ws: Workspace,
    model: str,
    from_ms: int,
    to_ms: int,
    version: int | None = None,
    training: TrainingTable | None = None,
) -> list[ColumnQuality]:
    """Missing values, unseen levels and values beyond the usual extremes, by column; what is wrong comes first.

    Arguments and errors as for `drift`.
    """
    return column_quality(drift(ws, model, from_ms, to_ms, version, training).columns)


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


def column_quality(columns: list[DriftedColumn]) -> list[ColumnQuality]:
    """Data quality read off a drift report's columns; a `fault` where a column is broken rather than moved."""
    found = [
        ColumnQuality(
            name=c.name, missing=c.missing, missing_usual=c.missing - c.missing_change, new_levels=c.new_levels,
            outside=c.tail_change, fault=_fault(c),
        )
        for c in columns
    ]  # fmt: skip
    return sorted(found, key=lambda c: (not c.fault, -abs(c.missing - c.missing_usual), c.name))


def shares_of_importance(ws: Workspace, model: str, version: int) -> dict[str, float]:
    """Each input's share of the model's importance (they add up to 1); empty when it was never explained."""
    try:
        kept = importance(ws, model, version)
    except (NotFound, Refused):
        return {}
    total = sum(one.permutation for one in kept)
    return {one.feature: one.permutation / total for one in kept} if total > 0 else {}


def _log(ws: Workspace, model: str, from_ms: int, to_ms: int) -> pl.DataFrame:
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
    if past.height < _MIN_ROWS or now.height < _MIN_ROWS:
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


def _fault(c: DriftedColumn) -> str:
    usual = c.missing - c.missing_change
    if c.missing >= 1.0 and usual < 1.0:
        return "every value is missing"
    if c.missing_change >= _GONE:
        return f"{c.missing:.0%} of the values are missing, {usual:.0%} is usual"
    if c.new_levels >= _GONE:
        return f"{c.new_levels:.0%} of the values were never seen before"
    return ""
