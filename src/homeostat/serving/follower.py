"""Follows the workspace: notices changed deployments within 100 ms, loads what they need, swaps the routes.

Loading happens in threads and the swap is one assignment on the event loop, so no request waits for a deployment and
none fails because of one. When a version cannot be loaded, the routes before stay in force and the reason is recorded.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import HomeostatError
from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.catalog import Catalog
from homeostat.serving.lane import Lane, one_line
from homeostat.serving.model import Deployment
from homeostat.serving.planes import BEAT_S
from homeostat.serving.routes import RouteTable
from homeostat.serving.served import Served
from homeostat.serving.source import load_version
from homeostat.serving.vigil import Vigil

log = logging.getLogger("homeostat.serving")
POLL_S = 0.05
RETRY_S = 5.0


class Follower:
    """Keeps a `Catalog` in step with the deployments of a workspace."""

    def __init__(self, ws: Workspace, catalog: Catalog, plane: str, url: str) -> None:
        self._ws = ws
        self._catalog = catalog
        self._plane = plane
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._vigil = Vigil(self._loop)
        self._seen: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retry_at: dict[str, float] = {}
        self._beaten = 0.0
        self._trouble = ""
        self._stopping = False

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._step()
                self._trouble = ""
            except HomeostatError as error:
                if self._trouble != str(error):  # said once, not twenty times a second
                    log.error("deployments cannot be read; serving goes on as it is: %s", error)
                self._trouble = str(error)
            await asyncio.sleep(POLL_S)

    async def begin(self) -> None:
        """Take back what an earlier process of this name has said of itself: it answers for nothing any more."""
        await asyncio.to_thread(self._forget)

    async def stop(self) -> None:
        """End what is loading and take this plane off the list."""
        self._stopping = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.to_thread(self._forget)

    async def _step(self) -> None:
        now = self._loop.time()
        query = sa.select(store.deployment.c.model, store.deployment.c.generation)
        rows = await asyncio.to_thread(self._ws.db.read, lambda c: c.execute(query).all(), settled=False)
        found = {row.model: row.generation for row in rows}
        for model in [name for name in self._catalog.models if name not in found]:
            self._remove(model)
        for model, generation in found.items():
            if model not in self._catalog.models:
                self._catalog.models[model] = Served(model)
            due = self._retry_at.get(model)
            changed = self._seen.get(model) != generation or (due is not None and now >= due)
            if changed and model not in self._tasks:
                self._seen[model] = generation
                self._retry_at.pop(model, None)
                task = self._loop.create_task(self._install(model))
                self._tasks[model] = task
                task.add_done_callback(lambda _, model=model: self._tasks.pop(model, None))
        self._catalog.started = True
        if now - self._beaten > BEAT_S:
            self._beaten = now
            await asyncio.to_thread(self._beat)

    def _remove(self, model: str) -> None:
        served = self._catalog.models.pop(model)
        self._seen.pop(model, None)
        for lane in served.lanes:
            lane.retire()
        log.info("model %s is no longer deployed", model)

    async def _install(self, model: str) -> None:
        deployment = await asyncio.to_thread(self._ws.db.read, lambda c: store.read_deployment(c, model))
        served = self._catalog.models.get(model)
        if deployment is None or served is None:
            return
        self._seen[model] = deployment.generation
        try:
            lanes, keep = await self._lanes(served, deployment)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a model may fail to load in any way; what is served goes on
            reason = one_line(error) if isinstance(error, HomeostatError) else f"{type(error).__name__}: {error}"
            log.error("model %s generation %s cannot be served: %s", model, deployment.generation, reason)
            if served.table is None:
                served.state, served.reason = "failed", reason
            self._retry_at[model] = self._loop.time() + RETRY_S
            await asyncio.to_thread(self._tell, model, deployment.generation, "failed", reason)
            return
        if model not in self._catalog.models:
            return
        table = RouteTable(deployment.routes, lanes, deployment.salt, deployment.generation)
        served.install(deployment, table, keep)
        # What was just loaded lives long: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        log.info("model %s generation %s: %s", model, deployment.generation, _words(deployment))
        await asyncio.to_thread(self._tell, model, deployment.generation, "ready", "")

    async def _lanes(self, served: Served, deployment: Deployment) -> tuple[dict[int, Lane], list[Lane]]:
        """A lane for each version of the deployment, and those of before that stay warm for a return."""
        before = served.deployment
        usable: dict[int, Lane] = {}
        if before is not None and (before.key, before.time) == (deployment.key, deployment.time):
            usable = {lane.loaded.version: lane for lane in served.lanes if not lane.retired}
        lanes: dict[int, Lane] = {}
        for route in deployment.routes:
            lane = usable.get(route.version)
            if lane is None:
                loaded = await asyncio.to_thread(load_version, self._ws, deployment, route.version)
                lane = Lane(loaded, self._loop, self._catalog.predictions, self._catalog.shadow, self._vigil)
            lanes[route.version] = lane
        keep: list[Lane] = []
        if served.table is not None and usable:
            keep = [lane for version, lane in served.table.versions.items() if version not in lanes]
        return lanes, keep

    def _tell(self, model: str, generation: int, state: str, reason: str) -> None:
        def write(connection: sa.Connection) -> None:
            where = (store.state.c.plane == self._plane, store.state.c.model == model)
            values = {"generation": generation, "state": state, "reason": reason}
            if not connection.execute(sa.update(store.state).where(*where).values(**values)).rowcount:
                connection.execute(sa.insert(store.state).values(plane=self._plane, model=model, **values))

        self._quietly(write)

    def _beat(self) -> None:
        def write(connection: sa.Connection) -> None:
            if self._stopping:
                return  # a beat after the farewell would raise the dead
            values = {"url": self._url, "beat_ms": now_ms()}
            changed = connection.execute(
                sa.update(store.plane).where(store.plane.c.plane == self._plane).values(**values)
            )
            if not changed.rowcount:
                connection.execute(sa.insert(store.plane).values(plane=self._plane, **values))

        self._quietly(write)

    def _forget(self) -> None:
        def write(connection: sa.Connection) -> None:
            connection.execute(sa.delete(store.state).where(store.state.c.plane == self._plane))
            connection.execute(sa.delete(store.plane).where(store.plane.c.plane == self._plane))

        self._quietly(write)

    def _quietly(self, write: Callable[[sa.Connection], None]) -> None:
        try:
            self._ws.db.write(write)
        except HomeostatError as error:
            # A full disk must not stop predictions; who waits for this plane is told when it works again.
            log.error("the data plane cannot record its state: %s", error)


def _words(deployment: Deployment) -> str:
    return ", ".join(f"version {r.version} as {r.role} {r.weight:.0%}" for r in deployment.routes)
