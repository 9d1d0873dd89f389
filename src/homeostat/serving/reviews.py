"""The looks at canaries and bandits that `homeostat up` takes by itself."""

from __future__ import annotations

from homeostat.core.workspace import Workspace
from homeostat.serving.bandits import review_bandits
from homeostat.serving.deployments import list_deployments
from homeostat.serving.rollouts import review_canaries

_EVERY_S = 5.0


def review_due(ws: Workspace) -> None:
    """`review_canaries` and `review_bandits`, at most every few seconds however many ask."""
    deployments = list_deployments(ws)
    judged = any(one.canary is not None or one.bandit is not None for one in deployments)
    if judged and ws.leases.turn("serving:canaries", _EVERY_S):
        review_canaries(ws)
        review_bandits(ws)
