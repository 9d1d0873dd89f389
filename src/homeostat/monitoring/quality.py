"""Verb: how good the live model was over a span of time, overall and by slice, with intervals."""

from __future__ import annotations

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.monitoring.model import Measurement, Quality


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
    import polars as pl

    from homeostat.monitoring.interval import z
    from homeostat.monitoring.joined import joined
    from homeostat.monitoring.measures import MEASURES, as_measurement, level_names, measured
    from homeostat.monitoring.slices import auc_by_slice

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
