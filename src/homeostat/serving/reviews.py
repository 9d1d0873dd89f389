"""The looks at canaries and bandits that `homeostat up` takes by itself."""

from __future__ import annotations

from homeostat.core.ids import new_id
from homeostat.core.workspace import Workspace
from homeostat.serving.bandits import review_bandits
from homeostat.serving.deployments import list_deployments
from homeostat.serving.rollouts import review_canaries

_EVERY_S = 5.0


def review_due(ws: Workspace) -> None:
    """`review_canaries` and `review_bandits`, at most every few seconds however many ask."""
    deployments = list_deployments(ws)
    if any(d.canary is not None or d.bandit is not None for d in deployments) and ws.leases.acquire(
        "serving:canaries",
        ttl_s=_EVERY_S,
        owner=f"{ws.instance}:{new_id()}",  # not given to whoever had it last, either
    ):
        review_canaries(ws)
        review_bandits(ws)
