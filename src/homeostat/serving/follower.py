"""Follows the workspace: notices changed deployments within 100 ms, loads what they need, swaps the routes.

Loading happens in threads and the swap is one assignment on the event loop, so no request waits for a deployment and
none fails because of one. When a version cannot be loaded, the routes before stay in force and the reason is recorded.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import HomeostatError, Refused, Unavailable
from homeostat.core.records import from_json
from homeostat.core.statements import rows
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving import store
from homeostat.serving.catalog import Catalog
from homeostat.serving.graphs.lane import GraphLane
from homeostat.serving.graphs.opening import open_graph
from homeostat.serving.lane import Lane
from homeostat.serving.libraries import lacking
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.model import Deployment
from homeostat.serving.one_line import one_line
from homeostat.serving.planes import BEAT_S
from homeostat.serving.routes import RouteTable
from homeostat.serving.served import Served
from homeostat.serving.source import load_version

log = logging.getLogger("homeostat.serving")
POLL_S = 0.05
RETRY_S, LONGEST_RETRY_S = 5.0, 60.0
REFRESH_S = 1.0  # how often the tables of lookups are looked at
MEMBERS_S = 60.0
# Asked twenty times a second, of thousands of deployments perhaps: nearly every change changes it, and once in a while
# all are looked at anyway.
_MARK = "select count(*), sum(generation) from serving_deployment"


class Follower:
    """Keeps a `Catalog` in step with the deployments of a workspace."""

    def __init__(self, ws: Workspace, catalog: Catalog, plane: str, url: str) -> None:
        self._ws = ws
        self._catalog = catalog
        self._plane = plane
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._seen: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retry_at: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._beaten = 0.0
        self._mark: tuple[Any, ...] = ()
        self._trouble = ""
        self._stopping = False
        self._told: dict[str, tuple[int, str, str]] = {}
        self._lacks: str | None = None  # what was told of itself
        catalog.residency.start = self._load

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
        for served in self._catalog.models.values():
            self._catalog.residency.failed(served, 503, "the data plane is stopping")
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.to_thread(self._forget)

    async def refresh(self) -> None:
        """Keep the tables of lookups at their newest versions until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            await asyncio.to_thread(self._refresh)

    async def _step(self) -> None:
        now = self._loop.time()
        mark = await asyncio.to_thread(self._ws.db.look, _marked)
        if mark != self._mark or now - self._beaten > BEAT_S:
            await self._compare()
            self._mark = mark
        for model in [model for model, due in self._retry_at.items() if now >= due]:
            self._load(model)
        self._catalog.started = True
        if now - self._beaten > BEAT_S:
            self._beaten = now
            await asyncio.to_thread(self._beat, self._news())

    async def _compare(self) -> None:
        """Look at every deployment: what is new, what has changed, what is gone."""
        query = sa.select(store.deployment.c.model, store.deployment.c.generation)
        rows = await asyncio.to_thread(self._ws.db.read, lambda c: c.execute(query).all(), settled=False)
        found = {row.model: row.generation for row in rows}
        for model in [name for name in self._catalog.models if name not in found]:
            self._remove(model)
        if not self._catalog.started and self._catalog.residency.budget:
            await self._describe(found)
        for model, generation in found.items():
            if model not in self._catalog.models:
                self._catalog.models[model] = Served(model)
            if self._seen.get(model) != generation:
                self._load(model)

    def _load(self, model: str) -> None:
        """Load what the newest deployment of `model` needs, unless that is being done."""
        if model not in self._tasks:
            self._retry_at.pop(model, None)
            task = self._loop.create_task(self._install(model))
            self._tasks[model] = task
            task.add_done_callback(lambda _: self._loaded(model))

    def _loaded(self, model: str) -> None:
        self._tasks.pop(model, None)
        served = self._catalog.models.get(model)
        if served is not None and served.held and not self._stopping:
            self._load(model)  # unloaded again before the task was over, and asked for since

    async def _describe(self, found: dict[str, int]) -> None:
        """At the start with a memory budget: what need not be in memory waits for its first request."""
        query = sa.select(store.deployment.c.record)
        records = await asyncio.to_thread(self._ws.db.read, lambda c: list(c.execute(query).scalars()))
        for record in records:
            deployment = from_json(record, Deployment)
            if not deployment.min_replicas and deployment.model in found:
                served = self._catalog.models[deployment.model] = Served(deployment.model)
                served.describe(deployment)
                served.state = "unloaded"
                self._seen[deployment.model] = deployment.generation

    def _remove(self, model: str) -> None:
        served = self._catalog.models.pop(model)
        self._seen.pop(model, None)
        self._retry_at.pop(model, None)
        self._told.pop(model, None)
        self._failures.pop(model, None)
        self._catalog.residency.failed(served, 404, f"model '{model}' is no longer deployed")
        for lane in served.lanes:
            lane.retire()
        log.info("model %s is no longer deployed", model)

    async def _install(self, model: str) -> None:
        deployment = await asyncio.to_thread(self._ws.db.read, lambda c: store.read_deployment(c, model))
        served = self._catalog.models.get(model)
        if deployment is None or served is None:
            return
        self._seen[model] = deployment.generation
        residency = self._catalog.residency
        back = served.deployment is not None and served.deployment.generation == deployment.generation
        try:
            await self._members(deployment)
            async with residency.turn():
                lanes, keep = await self._lanes(served, deployment)
                if self._catalog.models.get(model) is not served:  # undeployed meanwhile
                    for lane in lanes.values():
                        lane.retire()
                    return
                table = RouteTable(deployment.routes, lanes, deployment.salt, deployment.generation)
                served.install(deployment, table, keep)
                residency.arrived(served)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a model may fail to load in any way; what is served goes on
            await self._failed(served, deployment, error)
            return
        self._failures.pop(model, None)
        if back and self._told.get(model, (0, "", ""))[1] != "failed":
            log.info("model %s is loaded again", model)
            return
        # What was just loaded lives long: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        log.info("model %s generation %s: %s", model, deployment.generation, _words(deployment))
        self._told[model] = (deployment.generation, "ready", _replicas(served))
        await asyncio.to_thread(self._tell, model, *self._told[model])

    async def _failed(self, served: Served, deployment: Deployment, error: Exception) -> None:
        model = served.model
        reason = one_line(error) if isinstance(error, HomeostatError) else f"{type(error).__name__}: {error}"
        told = (deployment.generation, "failed", reason)
        if self._told.get(model) != told:  # said once, however often it is tried again
            log.error("model %s generation %s cannot be served: %s", model, deployment.generation, reason)
        else:
            log.debug("model %s generation %s still cannot be served", model, deployment.generation)
        self._catalog.residency.failed(served, 503, f"model '{model}' cannot be served: {reason}")
        if served.table is None:
            served.state, served.reason = "failed", reason
        # What was refused may be there at any time, and to look costs nothing; but a model that ends its process, or
        # that does not load, is not started again and again.
        tries = self._failures[model] = 1 if isinstance(error, Refused) else self._failures.get(model, 0) + 1
        self._retry_at[model] = self._loop.time() + min(LONGEST_RETRY_S, RETRY_S * 2 ** min(tries - 1, 8))
        self._told[model] = told
        await asyncio.to_thread(self._tell, model, *self._told[model])

    async def _lanes(self, served: Served, deployment: Deployment) -> tuple[dict[int, Lane], list[Lane]]:
        """A lane for each version of the deployment, and those of before that stay warm for a return."""
        residency = self._catalog.residency
        before = served.deployment
        usable: dict[int, Lane] = {}
        if before is not None and (before.key, before.time) == (deployment.key, deployment.time):
            usable = {lane.loaded.version: lane for lane in served.lanes if not lane.retired}
        lanes: dict[int, Lane] = {}
        fresh: list[Lane] = []
        try:
            while not lanes or any(lane.retired for lane in lanes.values()):  # it may have made room for itself
                for route in deployment.routes:
                    lane = lanes.get(route.version) or usable.get(route.version)
                    if lane is None or lane.retired:
                        lane = await self._lane(served, deployment, route.version)
                        fresh.append(lane)
                    lanes[route.version] = lane
                await residency.make_room(served)  # for what they weigh beyond what was expected
        except BaseException:
            for lane in fresh:
                lane.retire()
            raise
        keep: list[Lane] = []
        if served.table is not None and usable:
            keep = [lane for version, lane in served.table.versions.items() if version not in lanes]
        return lanes, keep

    async def _lane(self, served: Served, deployment: Deployment, version: int) -> Lane:
        residency, weigh = self._catalog.residency, bool(self._catalog.residency.budget)
        if weigh:
            needed = residency.expect(deployment.model, version)
            if needed is None:
                needed = (await asyncio.to_thread(get_version, self._ws, deployment.model, version)).size
            await residency.make_room(served, needed)
        graph = await self._graph(served, deployment, version)
        if graph is not None:
            return graph
        loaded = await asyncio.to_thread(load_version, self._ws, deployment, version, weigh)
        await self._rehearse(served, loaded)
        loaded.counts = served.counts.setdefault(version, loaded.counts)
        lane = self._catalog.new_lane(loaded, self._loop)
        residency.add(lane)
        if deployment.min_replicas > 1:
            try:
                await asyncio.to_thread(loaded.runtime.scale, deployment.min_replicas)
            except BaseException:
                lane.retire()
                raise
        return lane

    async def _rehearse(self, served: Served, loaded: LoadedVersion) -> None:
        """Have a version that is not asked yet compute what the champion answered last."""
        if served.table is None:
            return
        champion = served.table.champion.loaded
        here, there = loaded.contract, champion.contract
        payload = self._catalog.predictions.latest(champion)
        if payload is None or type(here) is not type(there) or here.inputs != there.inputs or here.asks:
            return
        try:
            await asyncio.to_thread(loaded.rehearse, payload)
        except Exception as error:  # it may be a canary that is to show just that
            reason = one_line(error) if isinstance(error, HomeostatError) else f"{type(error).__name__}: {error}"
            log.warning("model %s version %d fails where version %d answered: %s",
                        loaded.model, loaded.version, champion.version, reason)  # fmt: skip

    def _news(self) -> list[tuple[str, int, str, str]]:
        """What has changed since it was last told: (model, generation, state, reason)."""
        news: list[tuple[str, int, str, str]] = []
        for model, served in self._catalog.models.items():
            if served.deployment is not None and served.state in ("ready", "unloaded"):
                now = (served.deployment.generation, served.state, _replicas(served))
                if self._told.get(model) != now:
                    self._told[model] = now
                    news.append((model, *now))
        return news

    async def _graph(self, served: Served, deployment: Deployment, number: int) -> Lane | None:
        """A lane of the version if it is a graph."""
        if not deployment.members:
            return None
        version = await asyncio.to_thread(get_version, self._ws, deployment.model, number)
        if version.flavor != "graph":
            return None
        opened = await asyncio.to_thread(open_graph, self._ws, deployment, version)
        opened.loaded.counts = served.counts.setdefault(number, opened.loaded.counts)
        lane = GraphLane(opened, self._loop, self._catalog)
        self._catalog.residency.add(lane)
        return lane

    async def _members(self, deployment: Deployment) -> None:
        """Wait until the models that a graph asks are here, or would come when they are asked."""
        deadline = self._loop.time() + MEMBERS_S
        for name in [name for name in deployment.members if "/" not in name]:
            while (served := self._catalog.models.get(name)) is None or (
                served.table is None and served.state != "unloaded"
            ):
                if served is not None and served.state == "failed":
                    raise Unavailable(f"member '{name}' cannot be served: {served.reason}")
                if self._loop.time() > deadline:
                    raise Unavailable(f"member '{name}' of '{deployment.model}' is not loaded after {MEMBERS_S:g} s")
                await asyncio.sleep(POLL_S)

    def _refresh(self) -> None:
        """Read the tables of lookups that have a newer version. Not on the event loop."""
        for served in list(self._catalog.models.values()):
            for lane in list(served.lanes):
                if isinstance(lane, GraphLane) and not lane.retired:
                    for table in lane.lookups:
                        if table.refresh(self._ws):
                            log.info("model %s: a lookup holds a newer version of its table", served.model)

    def _tell(self, model: str, generation: int, state: str, reason: str) -> None:
        self._quietly(lambda connection: self._write(connection, model, generation, state, reason))

    def _write(self, connection: sa.Connection, model: str, generation: int, state: str, reason: str) -> None:
        where = (store.state.c.plane == self._plane, store.state.c.model == model)
        values = {"generation": generation, "state": state, "reason": reason}
        if not connection.execute(sa.update(store.state).where(*where).values(**values)).rowcount:
            connection.execute(sa.insert(store.state).values(plane=self._plane, model=model, **values))

    def _beat(self, news: list[tuple[str, int, str, str]]) -> None:
        lacks = " ".join(lacking())

        def write(connection: sa.Connection) -> None:
            if self._stopping:
                return  # a beat after the farewell would raise the dead
            if lacks != self._lacks:
                self._write(connection, store.ITSELF, 0, "lacks", lacks)
            for model, generation, state, reason in news:
                self._write(connection, model, generation, state, reason)
            values = {"url": self._url, "beat_ms": now_ms()}
            changed = connection.execute(
                sa.update(store.plane).where(store.plane.c.plane == self._plane).values(**values)
            )
            if not changed.rowcount:
                connection.execute(sa.insert(store.plane).values(plane=self._plane, **values))

        if self._quietly(write):
            self._lacks = lacks

    def _forget(self) -> None:
        def write(connection: sa.Connection) -> None:
            connection.execute(sa.delete(store.state).where(store.state.c.plane == self._plane))
            connection.execute(sa.delete(store.plane).where(store.plane.c.plane == self._plane))

        self._quietly(write)

    def _quietly(self, write: Callable[[sa.Connection], None]) -> bool:
        """Whether it could be written."""
        try:
            self._ws.db.write(write)
        except HomeostatError as error:
            # A full disk must not stop predictions; who waits for this plane is told when it works again.
            log.error("the data plane cannot record its state: %s", error)
            return False
        return True


def _replicas(served: Served) -> str:
    return f"{served.replicas} replicas" if served.table and served.replicas != len(served.table.versions) else ""


def _words(deployment: Deployment) -> str:
    return ", ".join(f"version {r.version} as {r.role} {r.weight:.0%}" for r in deployment.routes)


def _marked(connection: sa.Connection) -> tuple[Any, ...]:
    return rows(connection, _MARK)[0]
