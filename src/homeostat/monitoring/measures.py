"""The measures of labelled rows, each with its interval."""

from __future__ import annotations

import numpy as np
import polars as pl

from homeostat.core.records import finite
from homeostat.monitoring.auc import auc_interval
from homeostat.monitoring.calibration import calibration_error
from homeostat.monitoring.interval import Interval, nothing
from homeostat.monitoring.model import Measurement
from homeostat.monitoring.row_loss import LOSSES, mean_by_block

MEASURES = ("auc", "accuracy", "calibration_error", *LOSSES)


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
