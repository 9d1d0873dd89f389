"""What one process serves of one model: the table in force, the lanes of its versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from homeostat.serving.admission import Admission
from homeostat.serving.counts import VersionCounts
from homeostat.serving.lane import Lane
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.model import Deployment
from homeostat.serving.routes import RouteTable


class Held(NamedTuple):
    """A request that waits for its model. `resume` asks again; `fail` answers with a status, words and headers."""

    resume: Callable[[], None]
    fail: Callable[[int, str, bytes], None]
    deadline_ns: int


class Served:
    """A deployed model in this process. `table` is None while the first versions load, and while the model is unloaded;
    it is only ever replaced. `state`: "loading", "ready", "failed", or "unloaded": the next request loads it."""

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
        self.counts: dict[int, VersionCounts] = {}  # by version; they outlive what is unloaded
        self.held: list[Held] = []
        self.held_total = self.turned_away = self.loads = 0
        self.unloads: dict[str, int] = {}  # by reason

    def describe(self, deployment: Deployment) -> None:
        """What holds for the model whether it is in memory or not."""
        self.deployment = deployment
        wanted = (frozenset(deployment.callers), deployment.rate_limit)
        if wanted == (frozenset(), 0.0):
            self.admission = None
        elif self.admission is None or self.admission.policy != wanted:  # else what was counted goes on counting
            self.admission = Admission(*wanted)

    def install(self, deployment: Deployment, table: RouteTable[Lane], keep: list[Lane]) -> None:
        """Route new requests by `table`. `keep` stay warm for a return; other lanes end with their last answer."""
        self.describe(deployment)
        names = [name for lane in table.versions.values() for name in lane.loaded.contract.names]
        # A column that any version of the table knows is no mistake of the client's.
        self.known = frozenset(names)
        self.table = table
        self.state, self.reason = "ready", ""
        for lane in table.versions.values():
            lane.limit(deployment.max_waiting, deployment.timeout_ms)
            lane.share(deployment.min_replicas, deployment.max_replicas)
            lane.log_as(LogPolicy(share=deployment.log_share, redacted=deployment.redacted))
        current = [*table.versions.values(), *keep]
        for lane in self.lanes:
            if lane not in current:
                lane.retire()
        self.lanes = list(dict.fromkeys([*current, *[lane for lane in self.lanes if not lane.idle]]))
        versions = {lane.loaded.version for lane in self.lanes}
        self.counts = {version: counts for version, counts in self.counts.items() if version in versions}

    def unload(self) -> None:
        """Let every version go when its last answer is out. Requests from now on are held until it is loaded again."""
        self.table = None
        self.state, self.reason = "unloaded", ""
        for lane in self.lanes:
            lane.retire()
        self.tidy()

    def tidy(self) -> None:
        """Forget lanes that have ended."""
        self.lanes = [lane for lane in self.lanes if not (lane.retired and lane.idle)]

    @property
    def versions(self) -> list[int]:
        """The versions of the deployment, in memory or not; none while it is not known."""
        return sorted({route.version for route in self.deployment.routes}) if self.deployment is not None else []

    @property
    def pinned(self) -> bool:
        """Whether it stays in memory."""
        return self.deployment is not None and self.deployment.min_replicas > 0

    @property
    def replicas(self) -> int:
        """How many batches of it are computed at once, of all versions."""
        return sum(lane.loaded.runtime.replicas for lane in self.table.versions.values()) if self.table else 0

    @property
    def warm(self) -> list[Lane]:
        """Versions that answer nothing now and wait for a rollback."""
        current = self.table.versions.values() if self.table is not None else ()
        return [lane for lane in self.lanes if not lane.retired and lane not in current]

    @property
    def idle(self) -> bool:
        """Whether no request waits or is computed."""
        return all(lane.idle for lane in self.lanes)

    @property
    def last_ns(self) -> int:
        """When it last answered, or was loaded."""
        return max((lane.last_ns for lane in self.lanes), default=0)
