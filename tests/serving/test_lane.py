"""Which requests a slow model computes together."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from homeostat.serving import batcher
from homeostat.serving.contract import MatrixContract, TensorSpec
from homeostat.serving.counts import VersionCounts
from homeostat.serving.delivery import Delivery
from homeostat.serving.lane import Lane
from homeostat.serving.question import Question

SPEC = TensorSpec(name="a", datatype="FP32", shape=[-1])


class Slow:
    """A model that computes a batch when it is told to."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)

    def compute(self, payload: bytes) -> list[Any]:
        self.batches.append(len(payload) // 4)
        self.begun.release()
        self.go.acquire()
        return [np.frombuffer(payload, "<f4")]


class Sink:
    """Takes answers for a client."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    def put(self, *_: Any) -> None:
        self.answered.set()

    def write_ready(self) -> None:
        pass

    @property
    def connection(self) -> Sink:
        return self


def slow_lane(model: Slow) -> Lane:
    contract = MatrixContract("m", [SPEC], "key", "time")
    loaded: Any = SimpleNamespace(
        contract=contract, loop_rows=0, runtime=SimpleNamespace(answer_s=0.0, replicas=1), counts=VersionCounts(),
        outputs=[SPEC], compute=model.compute, model="m", version=1,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    log: Any = SimpleNamespace(add=lambda *_: None)
    shadow: Any = None
    return Lane(loaded, loop, Delivery(loaded, log, shadow), loop.call_soon)


def ask(lane: Lane) -> Sink:
    sink: Any = Sink()
    lane.put(Question(sink, sink, "", "champion", 1, b"\0\0\0\0", None, None, [], 0))
    lane.limit(100, 10**9)
    return sink


async def begun(model: Slow) -> None:
    await asyncio.to_thread(model.begun.acquire)


def test_who_was_just_answered_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batcher, "GATHER", 1e9)

    async def story() -> None:
        model = Slow()
        lane = slow_lane(model)
        first = ask(lane)
        await begun(model)
        second = ask(lane)
        await asyncio.sleep(0)  # it waits in the lane
        model.go.release()
        await first.answered.wait()
        again = ask(lane)  # as many as before: nobody else is expected
        await begun(model)
        model.go.release()
        await asyncio.gather(second.answered.wait(), again.answered.wait())
        assert model.batches == [1, 2]

    asyncio.run(asyncio.wait_for(story(), 60))


def test_who_never_comes_back_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batcher, "GATHER", 0.0)

    async def story() -> None:
        model = Slow()
        lane = slow_lane(model)
        first = ask(lane)
        await begun(model)
        second = ask(lane)
        await asyncio.sleep(0)
        model.go.release()
        model.go.release()
        await asyncio.gather(first.answered.wait(), second.answered.wait())
        assert model.batches == [1, 1]

    asyncio.run(asyncio.wait_for(story(), 60))
