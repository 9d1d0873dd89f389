"""Labels as rewards: what the answers of versions that share a model's requests were worth, by the truth about them."""

from __future__ import annotations

from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import list_deployments, record_truth, shared_answers

_EVERY_S = 5.0


@verb(permission="monitoring:write")
def reward_answers(ws: Workspace, model: str) -> int:
    """Tell canaries, bandits and `compare` what labels say of the answers that they judge; how many rewards are news.

    One less the squared distance of a probability from what happened (Brier, 1950), from 0 to 1; minus the absolute
    error of a number, in the label's unit; of a request with several rows the mean of those that are labelled. They
    count where nobody has told feedback. `homeostat up` does this by itself, every few seconds.
    """
    import polars as pl

    from homeostat.monitoring.joined import SCORES, with_truth
    from homeostat.monitoring.row_loss import absolute_errors, brier_losses

    log = shared_answers(ws, model, set(SCORES))
    score = None if log is None else next((name for name in SCORES if name in log.columns), None)
    if log is None or score is None or log.is_empty() or not log[score].dtype.is_numeric():
        return 0
    first, last = log["time_ms"].min(), log["time_ms"].max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    known = with_truth(ws, model, log, first, last + 1).labelled()
    labels, scores = known["label"].to_numpy(), known["score"].to_numpy()
    worth = 1 - brier_losses(labels, scores) if score == "probability" else -absolute_errors(labels, scores)
    told = known.select("request_id", "logged_ms", pl.Series("reward", worth)).filter(pl.col("reward").is_finite())
    if told.is_empty():
        return 0
    since = told["logged_ms"].min()
    assert isinstance(since, int)
    means = told.group_by("request_id").agg(pl.col("reward").mean())
    return record_truth(ws, model, dict(means.iter_rows()), since)


def reward_due(ws: Workspace) -> None:
    """`reward_answers` for every model whose requests are shared, at most every few seconds however many ask."""
    shared = [one.model for one in list_deployments(ws) if any(route.role == "canary" for route in one.routes)]
    if shared and ws.leases.turn("monitoring:rewards", _EVERY_S):
        for model in shared:
            reward_answers(ws, model)
