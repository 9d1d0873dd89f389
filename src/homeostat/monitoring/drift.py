"""Verbs: what moved among a model's inputs, and whether its inputs are sound."""

from __future__ import annotations

from homeostat.core.errors import NotFound
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.monitoring.model import ColumnQuality, DriftedColumn, DriftReport, TrainingTable
from homeostat.serving import get_deployment

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
    from homeostat.monitoring.drift_report import MIN_ROWS, answered, drift_report
    from homeostat.monitoring.reference import reference_of

    of = version if version is not None else get_deployment(ws, model).champion
    log = answered(ws, model, from_ms, to_ms)
    reference = reference_of(ws, model, of, from_ms, training)
    if reference is None:
        raise NotFound(
            f"there is nothing to compare v{of} of '{model}' with yet",
            hint="name its training table, or wait until it has predicted for four weeks",
        )
    if log.height < MIN_ROWS:
        raise NotFound(f"'{model}' answered {log.height} rows in that span; {MIN_ROWS} are needed to speak of drift")
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


def _fault(c: DriftedColumn) -> str:
    usual = c.missing - c.missing_change
    if c.missing >= 1.0 and usual < 1.0:
        return "every value is missing"
    if c.missing_change >= _GONE:
        return f"{c.missing:.0%} of the values are missing, {usual:.0%} is usual"
    if c.new_levels >= _GONE:
        return f"{c.new_levels:.0%} of the values were never seen before"
    return ""
