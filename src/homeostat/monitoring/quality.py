"""Verb: how good the live model was over a span of time, overall and by slice, with intervals."""

from __future__ import annotations

import numpy as np
import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.core.records import finite
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.monitoring.auc import auc_interval
from homeostat.monitoring.calibration import calibration_error
from homeostat.monitoring.interval import Interval, nothing, z
from homeostat.monitoring.joined import joined
from homeostat.monitoring.model import Measurement, Quality
from homeostat.monitoring.row_loss import LOSSES, mean_by_block
from homeostat.monitoring.slices import auc_by_slice

MEASURES = ("auc", "accuracy", "calibration_error", *LOSSES)


@verb(permission="monitoring:read")
def quality(
    ws: Workspace,
    model: str,
    from_ms: int,
    to_ms: int,
    measure: str = "auc",
    by: str | None = None,
    version: int | None = None,
    at_ms: int | None = None,
    within_ms: int = 86_400_000,
    level: float = 0.90,
) -> Quality:
    """A measure of the answers given in [from_ms, to_ms), from the labels known before `at_ms`.

    Measures: auc, logloss, brier, accuracy, error_rate, calibration_error, mae. `by` names a logged column to slice
    AUC by. `version` keeps the answers of one version. `within_ms` is how long truth may take: younger rows count as
    immature, not as bad. The intervals speak of these rows: they say what held, not what will hold tomorrow.
    """
    if measure not in MEASURES:
        raise InvalidInput(f"there is no measure '{measure[:80]}'", hint=f"there are {', '.join(MEASURES)}")
    found = joined(ws, model, from_ms, to_ms, at_ms, within_ms, [by] if by else [])
    rows = found.labelled()
    if version is not None:
        rows = rows.filter(pl.col("version") == version)
    mature = found.mature
    overall = as_measurement(measure, measured(rows, measure, z(level)), mature, level)
    slices: list[Measurement] = []
    if by is not None:
        if by not in rows.columns:
            raise InvalidInput(
                f"the prediction log of '{model}' has no column '{by[:80]}'", hint="slice by a logged input"
            )
        cut = auc_by_slice(rows["label"].to_numpy(), rows["score"].to_numpy(), level_names(rows[by]), level=level)
        slices = [as_measurement("auc", one.value, mature, level, one.level) for one in cut]
    return Quality(overall=overall, slices=slices)


def measured(rows: pl.DataFrame, measure: str, width: float) -> Interval:
    """A measure of labelled `rows` (columns label, score), its interval ± `width` standard errors of row noise."""
    if rows.height < 2:
        return nothing(rows.height)
    y, s = rows["label"].to_numpy(), rows["score"].to_numpy()
    if measure == "auc":
        return auc_interval(y, s, width=width)
    if measure == "calibration_error":
        return calibration_error(y, s, width=width).error
    each = np.arange(rows.height)
    if measure == "accuracy":
        wrong = mean_by_block(LOSSES["error_rate"](y, s), each, width=width)
        return Interval(1.0 - wrong.value, 1.0 - wrong.hi, 1.0 - wrong.lo, wrong.se, wrong.n)
    return mean_by_block(LOSSES[measure](y, s), each, width=width)


def as_measurement(
    measure: str, found: Interval, mature: float, level: float, slice_name: str | None = None
) -> Measurement:
    """An interval as the record that travels: what JSON has no number for becomes None."""
    return Measurement(
        measure=measure, value=finite(found.value), lo=finite(found.lo), hi=finite(found.hi), n=found.n,
        state="measured" if found.known else "unknown", mature=mature, level=level, slice=slice_name,
    )  # fmt: skip


def level_names(column: pl.Series) -> list[str]:
    """The levels of a slicing column as texts; whole numbers without their ".0", missing ones as "(missing)"."""
    if column.dtype.is_float() and column.drop_nans().drop_nulls().is_finite().all():
        whole = column.drop_nans().drop_nulls()
        if (whole == whole.round()).all():
            column = column.fill_nan(None).cast(pl.Int64)
    return column.cast(pl.String).fill_null("(missing)").to_list()
