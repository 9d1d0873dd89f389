"""What one process serves of one model: the table in force, the lanes of its versions."""

from __future__ import annotations

from homeostat.serving.admission import Admission
from homeostat.serving.lane import Lane
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.model import Deployment
from homeostat.serving.routes import RouteTable


class Served:
    """A deployed model in this process. `table` is None while the first versions load; it is only ever replaced."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.table: RouteTable[Lane] | None = None
        self.deployment: Deployment | None = None
        self.known: frozenset[str] = frozenset()
        self.state = "loading"
        self.reason = ""
        self.rejected = 0
        self.lanes: list[Lane] = []
        self.admission: Admission | None = None  # None: everybody, as often as they like

    def install(self, deployment: Deployment, table: RouteTable[Lane], keep: list[Lane]) -> None:
        """Route new requests by `table`. `keep` stay warm for a return; other lanes end with their last answer."""
        self.deployment = deployment
        names = [name for lane in table.versions.values() for name in lane.loaded.contract.names]
        # A column that any version of the table knows is no mistake of the client's.
        self.known = frozenset(names)
        self.table = table
        wanted = (frozenset(deployment.callers), deployment.rate_limit)
        if wanted == (frozenset(), 0.0):
            self.admission = None
        elif self.admission is None or self.admission.policy != wanted:  # else what was counted goes on counting
            self.admission = Admission(*wanted)
        self.state, self.reason = "ready", ""
        for lane in table.versions.values():
            lane.limit(deployment.max_waiting, deployment.timeout_ms)
            lane.loaded.log_policy = LogPolicy(share=deployment.log_share, redacted=deployment.redacted)
        current = [*table.versions.values(), *keep]
        for lane in self.lanes:
            if lane not in current:
                lane.retire()
        self.lanes = list(dict.fromkeys([*current, *[lane for lane in self.lanes if not lane.idle]]))
