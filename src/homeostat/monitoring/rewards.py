"""Labels as rewards: what the answers of versions that share a model's requests were worth, by the truth about them."""

from __future__ import annotations

from homeostat.core.events import StoredEvent
from homeostat.core.workspace import Workspace
from homeostat.serving import record_truth, shared_answers


def on_labels(ws: Workspace, event: StoredEvent) -> None:
    """Listener: labels have come. Where versions share the requests of their model, tell canaries and bandits what the
    answers were worth. Twice is once."""
    reward_answers(ws, event.payload["model"])


def reward_answers(ws: Workspace, model: str) -> int:
    """Reward every answer given since versions share the requests of `model` whose truth is known; how many are news.

    One less the squared distance of a probability from what happened (Brier, 1950), from 0 to 1; minus the absolute
    error of a number, in the label's unit; of a request with several rows the mean of those that are labelled.
    """
    import polars as pl

    from homeostat.monitoring.joined import SCORES, with_truth
    from homeostat.monitoring.row_loss import absolute_errors, brier_losses

    log = shared_answers(ws, model, set(SCORES))
    score = None if log is None else next((name for name in SCORES if name in log.columns), None)
    if log is None or score is None or log.is_empty() or not log[score].dtype.is_numeric():
        return 0
    first, last = log["time_ms"].min(), log["time_ms"].max()
    assert isinstance(first, int) and isinstance(last, int)
    known = with_truth(ws, model, log, first, last + 1).labelled()
    labels, scores = known["label"].to_numpy(), known["score"].to_numpy()
    worth = 1 - brier_losses(labels, scores) if score == "probability" else -absolute_errors(labels, scores)
    told = known.select("request_id", pl.Series("reward", worth)).group_by("request_id").agg(pl.col("reward").mean())
    return record_truth(ws, model, dict(told.filter(pl.col("reward").is_finite()).iter_rows()))
