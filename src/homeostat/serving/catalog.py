"""The models of one process, by name, and everything its requests share."""

from __future__ import annotations

import asyncio

from homeostat.core.errors import NotFound, Unavailable
from homeostat.serving.delivery import Delivery
from homeostat.serving.http1 import Server
from homeostat.serving.lane import Lane
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.residency import Residency
from homeostat.serving.served import Served
from homeostat.serving.shadow import Shadow


class Unloaded(Exception):
    """The model is deployed but not in memory. No error: whoever asks is held while it is loaded."""

    def __init__(self, served: Served) -> None:
        super().__init__(f"model '{served.model}' is not in memory")
        self.served = served


class Catalog:
    """What is served here. Filled by the follower, read by the request path; both on the event loop."""

    def __init__(self, server: Server, predictions: PredictionLog, shadow: Shadow, budget: int = 0) -> None:
        self.server = server
        self.predictions = predictions
        self.deliveries: type[Delivery] = Delivery  # what ends the requests for a model
        self.shadow = shadow
        self.models: dict[str, Served] = {}
        self.residency = Residency(self.models, budget)
        self.started = False  # the deployments have been read once
        self.codes: dict[int, int] = {}  # refusals by status

    def new_lane(self, loaded: LoadedVersion, loop: asyncio.AbstractEventLoop) -> Lane:
        """A lane for a version of a model."""
        delivery = self.deliveries(loaded, self.predictions, self.shadow)
        return Lane(loaded, loop, delivery, self.server.polling.soon)

    def served(self, model: str) -> Served:
        """The model if it is deployed here. Raises NotFound, or Unavailable before the deployments are known."""
        served = self.models.get(model)
        if served is None:
            if not self.started:
                raise Unavailable("the data plane is starting", hint="try again in a moment")
            raise NotFound(
                f"no model '{model[:80]}' is deployed here",
                hint=f"deployed are {', '.join(sorted(self.models)[:10])}" if self.models else "deploy one first",
            )
        return served

    def lane(self, served: Served, version: str | None) -> Lane:
        """The lane of a version of a model; None names the champion's.

        Raises: Unloaded when a request brings the model back; Unavailable while nothing is loaded; NotFound for a
        version without a route.
        """
        table = served.table
        if table is None:
            if served.state == "unloaded":
                raise Unloaded(served)
            if served.state == "failed":
                raise Unavailable(f"model '{served.model}' cannot be served: {served.reason}")
            raise Unavailable(f"model '{served.model}' is loading", hint="try again in a moment")
        if version is None:
            assert served.deployment is not None
            return table.versions[served.deployment.champion]
        lane = table.versions.get(int(version)) if version.isdecimal() and len(version) < 12 else None
        if lane is None:
            raise NotFound(
                f"model '{served.model}' has no version '{version[:20]}' here",
                hint=f"deployed are {', '.join(str(v) for v in sorted(table.versions))}",
            )
        return lane
