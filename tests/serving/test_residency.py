"""Which models are in memory: the budget, what is held meanwhile, and for how long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import homeostat as hs
from homeostat.core.errors import Corrupt
from homeostat.core.records import to_json
from homeostat.serving import follower as following
from homeostat.serving import states, store
from homeostat.serving.asking import Asking
from homeostat.serving.catalog import Catalog, Unloaded
from homeostat.serving.contract import MatrixContract, TensorSpec
from homeostat.serving.follower import Follower
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.model import Deployment, Route
from homeostat.serving.polling import Polling
from homeostat.serving.question import Question
from homeostat.serving.residency import deadline_ns
from homeostat.serving.runtimes.runtime import Runtime
from homeostat.serving.served import Held

SPEC = TensorSpec(name="a", datatype="FP32", shape=[-1])


class Times(Runtime):
    """Multiplies by a number of its own."""

    def __init__(self, number: int) -> None:
        self._number = number

    def run(self, arrays: list[Any]) -> list[Any]:
        return [arrays[0][:, 0] * self._number]


class Depot:
    """Where versions are loaded from. `closed` models are loaded once `open` is set; `broken` ones never."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.open = threading.Event()
        self.closed: set[str] = set()
        self.broken: set[str] = set()

    def load(self, ws: hs.Workspace, deployment: Deployment, version: int, weigh: bool) -> LoadedVersion:
        self.begun.append(deployment.model)
        if deployment.model in self.closed:
            self.open.wait()
        if deployment.model in self.broken:
            raise Corrupt("its file is broken")
        number = int(deployment.model[1:])
        contract = MatrixContract(deployment.model, [SPEC], "key", "time")
        loaded = LoadedVersion(deployment.model, version, contract, Times(number), [SPEC])
        loaded.loop_rows = 100
        loaded.weight = weight(number)
        return loaded


def weight(number: int) -> int:
    return 1 + number % 7


class Line:
    """A connection."""

    def write_ready(self) -> None:
        pass


class Client:
    """Asks a catalog as a request does; its answers."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._asking = Asking(catalog)
        self.done: list[asyncio.Future[float]] = []

    def ask(self, model: str, value: float = 2.0, own_us: int = 0) -> asyncio.Future[float]:
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.done.append(answer)
        served = self._catalog.served(model)
        started = time.perf_counter_ns()

        def fail(status: int, message: str, extra: bytes = b"") -> None:
            answer.set_exception(LookupError(f"{status} {message}"))

        def put(question: Question, waiting: Any, loaded: Any, outputs: Any, start: int, stop: int) -> None:
            answer.set_result(float(outputs.arrays[0][start]))

        def go() -> None:
            lane = self._asking.first(served, None)
            waiting: Any = SimpleNamespace(fail=fail, connection=Line())
            form: Any = SimpleNamespace(put=put)
            payload = np.array([value], "<f4").tobytes()
            lane.put(Question(waiting, form, "", "champion", 1, payload, None, None, [], started))

        try:
            go()
        except Unloaded as found:
            self._catalog.residency.hold(found.served, Held(go, fail, deadline_ns(found.served, started, own_us)))
        return answer


def deployed(ws: hs.Workspace, count: int, **more: Any) -> None:
    """`count` deployments "m0", "m1" and so on, straight into the table."""
    rows = [
        {"model": f"m{at}", "generation": 1, "record": to_json(
            Deployment(model=f"m{at}", routes=[Route(version=1)], salt="s", generation=1, updated_ms=0, **more))}
        for at in range(count)
    ]  # fmt: skip
    ws.db.write(lambda c: c.execute(store.deployment.insert(), rows))


@asynccontextmanager
async def plane(ws: hs.Workspace, depot: Depot, budget: int) -> AsyncIterator[tuple[Catalog, Client]]:
    """A catalog that follows the workspace and loads from `depot`."""
    log: Any = SimpleNamespace(add=lambda *_: None)
    shadow: Any = SimpleNamespace(barrier=lambda done: done())
    server: Any = SimpleNamespace(polling=Polling(asyncio.get_running_loop()))
    catalog = Catalog(server, log, shadow, budget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "load_version", depot.load)
        patch.setattr(following, "get_version", lambda ws, model, version: SimpleNamespace(size=weight(int(model[1:]))))
        patch.setattr(following, "POLL_S", 0.005)
        follower = Follower(ws, catalog, "plane", "http://127.0.0.1:1")
        running = asyncio.create_task(follower.run())
        while not catalog.started:
            await asyncio.sleep(0.001)
        yield catalog, Client(catalog)
        running.cancel()
        depot.open.set()
        await follower.stop()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 120))


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.001)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(bursts=st.lists(st.lists(st.integers(0, 1999), min_size=1, max_size=12), min_size=1, max_size=8))
def test_thousands_of_models_share_a_budget_of_a_few(tmp_path_factory: Any, bursts: list[list[int]]) -> None:
    budget = 20

    async def work() -> None:
        async with plane(ws, depot, budget) as (catalog, client):
            assert catalog.residency.used == 0
            for burst in bursts:
                # Each model twice at once, and once more those of before, in the order of their numbers.
                answers = [(number, client.ask(f"m{number}")) for number in [*burst, *burst, *sorted(bursts[0])]]
                for number, answer in answers:
                    assert await answer == 2 * number
                assert catalog.residency.used <= budget
            for model, served in catalog.models.items():
                there = served.table is not None
                assert served.loads - sum(served.unloads.values()) == there, model
            assert depot.begun.count("m0") <= 2 * len(bursts)
            asked = {f"m{number}" for burst in bursts for number in burst}
            assert set(depot.begun) == asked  # nobody else was loaded

    depot = Depot()
    with hs.open(tmp_path_factory.mktemp("many")) as ws:
        deployed(ws, 2000)
        run(work)


def test_those_who_ask_while_it_loads_wait_for_one_load(ws: hs.Workspace) -> None:
    async def work() -> None:
        async with plane(ws, depot, 100) as (catalog, client):
            answers = [client.ask("m3", value) for value in range(50)]
            await until(lambda: depot.begun == ["m3"])
            assert catalog.residency.held == 50
            depot.open.set()
            assert await asyncio.gather(*answers) == [3.0 * value for value in range(50)]
            assert depot.begun == ["m3"]
            assert (catalog.models["m3"].held_total, catalog.residency.held) == (50, 0)

    depot = Depot()
    depot.closed = {"m3"}
    deployed(ws, 5)
    run(work)


def test_held_requests_are_bounded_in_number_and_time(ws: hs.Workspace) -> None:
    async def work() -> None:
        async with plane(ws, depot, 100) as (catalog, client):
            late, patient = client.ask("m3", own_us=1), client.ask("m3")
            refused = client.ask("m3")
            with pytest.raises(LookupError, match="429 too many requests wait"):
                await refused
            catalog.residency.sweep(time.perf_counter_ns())
            with pytest.raises(LookupError, match="504 the model was not loaded within"):
                await late
            depot.open.set()
            assert await patient == 6
            assert catalog.models["m3"].turned_away == 1

    depot = Depot()
    depot.closed = {"m3"}
    deployed(ws, 5, max_waiting=2)
    run(work)


def test_what_cannot_be_loaded_is_told_to_all_who_wait(ws: hs.Workspace) -> None:
    async def work() -> None:
        async with plane(ws, depot, 100) as (catalog, client):
            answers = [client.ask("m3"), client.ask("m3")]
            depot.open.set()
            for answer in answers:
                with pytest.raises(LookupError, match="503 model 'm3' cannot be served: its file is broken"):
                    await answer
            assert await client.ask("m4") == 8
            assert catalog.models["m3"].state == "failed"

    depot = Depot()
    depot.closed = depot.broken = {"m3"}
    deployed(ws, 5)
    run(work)


def test_an_undeployed_model_is_told_to_those_who_wait(ws: hs.Workspace) -> None:
    async def work() -> None:
        async with plane(ws, depot, 100) as (catalog, client):
            answer = client.ask("m3")
            await until(lambda: depot.begun == ["m3"])
            ws.db.write(lambda c: c.execute(store.deployment.delete().where(store.deployment.c.model == "m3")))
            with pytest.raises(LookupError, match="404 model 'm3' is no longer deployed"):
                await answer
            depot.open.set()
            await until(lambda: catalog.residency.used == 0)  # what was loaded for nobody is let go
            assert await client.ask("m4") == 8

    depot = Depot()
    depot.closed = {"m3"}
    deployed(ws, 5)
    run(work)


def test_what_is_pinned_stays_and_what_does_not_fit_beside_it_says_so(ws: hs.Workspace) -> None:
    async def work() -> None:
        async with plane(ws, depot, 9) as (catalog, client):
            await until(lambda: catalog.models["m6"].table is not None)  # weighs 7, and nobody has asked for it
            for number in (0, 1, 0, 1, 6):
                assert await client.ask(f"m{number}") == 2 * number
            with pytest.raises(LookupError, match=r"503 .* takes 0 MiB; the memory budget .* stay take 0"):
                await client.ask("m4")  # weighs 5
            assert depot.begun.count("m6") == 1
            assert catalog.residency.used <= 9

    depot = Depot()
    deployed(ws, 6)
    pinned = Deployment(
        model="m6", routes=[Route(version=1)], salt="s", generation=1, updated_ms=0, min_replicas=1
    )  # fmt: skip
    row = {"model": "m6", "generation": 1, "record": to_json(pinned)}
    ws.db.write(lambda c: c.execute(store.deployment.insert(), [row]))
    run(work)


def test_a_model_nobody_asks_for_goes_and_comes_back(ws: hs.Workspace) -> None:
    async def work() -> None:
        async with plane(ws, depot, 0) as (catalog, client):
            served = catalog.models["m1"]
            await until(lambda: all(one.table is not None for one in catalog.models.values()))
            assert await client.ask("m1") == 2
            now = time.perf_counter_ns()
            catalog.residency.sweep(now)
            assert served.table is not None
            catalog.residency.sweep(now + 61 * 10**9)
            assert (served.table, served.state, served.unloads) == (None, "unloaded", {"idle": 1})
            await until(lambda: not catalog.residency.lanes)  # its memory is given back
            assert await client.ask("m1") == 2
            assert depot.begun.count("m1") == 2
            assert served.counts[1].requests == 2  # counting went on

            catalog.residency.sweep(time.perf_counter_ns() + 61 * 10**9)
            again = {"generation": 2, "record": to_json(replace(served.deployment, generation=2))}
            ws.db.write(lambda c: c.execute(store.deployment.update().where(store.deployment.c.model == "m1"), again))
            await until(lambda: [state.generation for state in states(ws, "m1")] == [2])
            assert await client.ask("m1") == 2

    depot = Depot()
    deployed(ws, 2, idle_s=60.0)
    run(work)
