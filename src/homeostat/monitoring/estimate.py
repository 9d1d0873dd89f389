"""Verb: how good the model should be on predictions whose truth has not arrived yet."""

from __future__ import annotations

from homeostat.core.records import finite
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.monitoring.model import Estimate
from homeostat.serving import get_deployment

_MIN_REFERENCE = 500


@verb(permission="monitoring:read")
def estimate(
    ws: Workspace, model: str, from_ms: int, to_ms: int, version: int | None = None, at_ms: int | None = None
) -> Estimate:
    """Expected quality of the answers of [from_ms, to_ms), without their labels (CBPE).

    What a score means is learnt from the same version's labelled answers of the 60 days before `from_ms`, known
    before `at_ms`. Blind to a change of that meaning: put it beside `quality` as labels arrive. Values are None while
    fewer than 500 labelled answers are there to learn from.
    """
    import polars as pl

    from homeostat.monitoring.cbpe import calibrator, expected_quality
    from homeostat.monitoring.joined import DAY_MS, joined

    of = version if version is not None else get_deployment(ws, model).champion
    past = joined(ws, model, from_ms - 60 * DAY_MS, from_ms, at_ms, columns=[]).labelled()
    past = past.filter(pl.col("version") == of)
    now = joined(ws, model, from_ms, to_ms, at_ms, columns=[]).frame
    now = now.filter((pl.col("version") == of) & pl.col("score").is_not_null())
    if past.height < _MIN_REFERENCE or past["label"].n_unique() < 2 or now.is_empty():
        return Estimate(
            model=model, version=of, auc=None, accuracy=None, brier=None, positive_share=None, n=now.height,
            reference_rows=past.height,
        )  # fmt: skip
    found = expected_quality(now["score"].to_numpy(), calibrator(past["label"].to_numpy(), past["score"].to_numpy()))
    return Estimate(
        model=model, version=of, auc=finite(found.auc), accuracy=finite(found.accuracy), brier=finite(found.brier),
        positive_share=finite(found.positive_share), n=found.n, reference_rows=past.height,
    )  # fmt: skip
