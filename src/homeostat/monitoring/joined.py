"""Predictions with the truth that was known at a moment: the one table that quality, judgement and history read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.core.workspace import Workspace
from homeostat.monitoring.labels import read_labels
from homeostat.monitoring.naming import is_at, is_exact, of_key_at, of_request
from homeostat.serving import predictions

DAY_MS = 86_400_000
SCORES = ("probability", "prediction")


class Joined(NamedTuple):
    """Answered predictions of a span, each key once, with `score`, `label` and `label_ms` (null while unknown)."""

    frame: pl.DataFrame
    from_ms: int
    to_ms: int
    at_ms: int
    within_ms: int

    def labelled(self) -> pl.DataFrame:
        """The rows whose truth is known and which were answered."""
        return self.frame.filter(pl.col("label").is_not_null() & pl.col("score").is_not_null())

    @property
    def mature(self) -> float:
        """The share of predictions whose truth is known, or so old that it will not come; 1.0 for none."""
        if self.frame.is_empty():
            return 1.0
        overdue = pl.col("time_ms") < self.at_ms - self.within_ms
        return float(self.frame.select((pl.col("label").is_not_null() | overdue).mean()).item())

    @property
    def overdue(self) -> float:
        """The share of predictions whose truth should have come and did not."""
        due = self.frame.filter(pl.col("time_ms") < self.at_ms - self.within_ms)
        return float(due["label"].is_null().mean() or 0.0) if due.height else 0.0  # pyright: ignore[reportArgumentType]


def joined(
    ws: Workspace,
    model: str,
    from_ms: int,
    to_ms: int,
    at_ms: int | None = None,
    within_ms: int = 0,
    columns: list[str] | None = None,
) -> Joined:
    """Predictions with time in [from_ms, to_ms) and the labels known before `at_ms` (default: all that is known).

    Of several answers for one key the last counts, and beside it each whose label names it by request or by key and
    time. `columns` are logged inputs to bring along (None: all). Rows of failed requests have a null score.
    """
    wanted = None if columns is None else [*SCORES, *columns]
    log: pl.DataFrame = predictions(ws, model, from_ms, to_ms, wanted)  # pyright: ignore[reportAssignmentType]
    return with_truth(ws, model, log, from_ms, to_ms, at_ms, within_ms)


def with_truth(
    ws: Workspace, model: str, log: pl.DataFrame, from_ms: int, to_ms: int, at_ms: int | None = None, within_ms: int = 0
) -> Joined:
    """The same for log rows already read: those with time in [from_ms, to_ms) are joined with what was known."""
    log = log.filter((pl.col("time_ms") >= from_ms) & (pl.col("time_ms") < to_ms))
    score = next((name for name in SCORES if name in log.columns), None)
    log = log.with_columns((pl.col(score).cast(pl.Float64) if score else pl.lit(None, pl.Float64)).alias("score"))
    if log.is_empty():
        nothing = (pl.lit(None, pl.Float64).alias("label"), pl.lit(None, pl.Int64).alias("label_ms"))
        return Joined(log.with_columns(nothing), from_ms, to_ms, at_ms or to_ms, within_ms)
    # The truth about a prediction is never known before it was asked for.
    truth = read_labels(ws, model, from_ms, at_ms)
    exact = truth.filter(is_exact(pl.col("key")))
    parts: list[pl.DataFrame] = []
    if exact.height:
        known, log = _exactly(log, exact)
        parts.append(known)
    keyed = log.filter(pl.col("key").is_not_null()).unique("key", keep="last", maintain_order=True)
    parts += [keyed.join(truth, on="key", how="left"), log.filter(pl.col("key").is_null())]
    frame = pl.concat(parts, how="diagonal")
    return Joined(frame.sort("time_ms", "request_id", "row"), from_ms, to_ms, at_ms or to_ms, within_ms)


def _exactly(log: pl.DataFrame, truth: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that labels name by request or by key and time, with what they say, and all others. Where both name one,
    the request's counts."""
    at = is_at(pl.col("key"))
    by_request = of_request(pl.col("request_id"), pl.col("row")).alias("named")
    by_time = of_key_at(pl.col("key"), pl.col("time_ms")).alias("named")
    asked = log.with_columns(by_request).join(truth.filter(~at), left_on="named", right_on="key", how="left")
    asked = asked.drop("named")
    known = asked.filter(pl.col("label").is_not_null())
    rest = asked.filter(pl.col("label").is_null()).drop("label", "label_ms")
    timed = rest.with_columns(by_time).join(truth.filter(at), left_on="named", right_on="key", how="left").drop("named")
    # Asked again about the same key and time: the last answer counts.
    again = timed.filter(pl.col("label").is_not_null()).unique(["key", "time_ms"], keep="last", maintain_order=True)
    return pl.concat([known, again]), timed.filter(pl.col("label").is_null()).drop("label", "label_ms")


def days_of(frame: pl.DataFrame) -> NDArray[np.int64]:
    """The UTC day of each row, as a number."""
    return (frame["time_ms"].to_numpy() // DAY_MS).astype(np.int64)
