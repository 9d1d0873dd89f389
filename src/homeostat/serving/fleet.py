"""What every data plane on the port has counted and logged, whichever of them is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from homeostat.core.records import Record
from homeostat.serving.catalog import Catalog
from homeostat.serving.counts import Exposition
from homeostat.serving.pages import Pages
from homeostat.serving.siblings import Siblings

LOAD_S = 60.0


class Flushed(Record):
    """Rows that the processes have written since they began, requests whose rows were lost, what went wrong."""

    rows: int
    dropped: int
    failure: str = ""


class Fleet:
    """This process and the others on its port. Alone until it has joined them. On the event loop."""

    def __init__(self, catalog: Catalog, pages: Pages) -> None:
        self._catalog = catalog
        self._pages = pages
        self._siblings: Siblings | None = None
        self._index = 0
        self.listening = False

    async def join(self, folder: Path, index: int) -> None:
        """Be one of those who meet in `folder`. When others serve already, return only when this process can answer
        what they do: requests that reach it would be refused until then, and they need not be."""
        siblings = Siblings(folder, index, self._answer)
        await siblings.open()
        self._siblings, self._index = siblings, index
        if b"yes" not in (await siblings.ask("listening")).values():
            return
        try:
            async with asyncio.timeout(LOAD_S):
                while not self._loaded():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass  # a request can be told better what is wrong

    async def leave(self) -> None:
        """Be asked no more."""
        if self._siblings is not None:
            await self._siblings.close()

    async def metrics(self) -> Exposition:
        """The metrics of all; with several processes each value is labelled with its own."""
        own = self._pages.metrics()
        if self._siblings is None:
            return own
        others = await self._siblings.ask("metrics")
        return Exposition.joined({self._index: own.dump(), **others})

    async def flush(self, model: str) -> Flushed:
        """Return when what any process has answered for `model` is on disk. Unavailable when one of them is silent."""
        if self._siblings is None:
            return await self._flush(model)
        own, others = await asyncio.gather(self._flush(model), self._siblings.ask(f"flush {model}", every=True))
        all_of_them = [own, *(msgspec.msgpack.decode(answer, type=Flushed) for answer in others.values())]
        return Flushed(
            rows=sum(one.rows for one in all_of_them),
            dropped=sum(one.dropped for one in all_of_them),
            failure=next((one.failure for one in all_of_them if one.failure), ""),
        )

    async def _flush(self, model: str) -> Flushed:
        served = self._catalog.models.get(model)
        loop, predictions = asyncio.get_running_loop(), self._catalog.predictions
        lanes = served.lanes if served is not None else []
        done: asyncio.Future[Flushed] = loop.create_future()
        waiting = len(lanes) + 1

        def settle(found: Flushed) -> None:
            if not done.done():  # whoever asked may have gone
                done.set_result(found)

        def written(rows: int, failure: Exception | None) -> None:
            found = Flushed(rows=rows, dropped=predictions.dropped, failure="" if failure is None else str(failure))
            loop.call_soon_threadsafe(settle, found)

        def one_done() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                self._catalog.shadow.barrier(lambda: predictions.flush(written))

        for lane in lanes:
            lane.barrier(one_done)
        one_done()
        return await done

    async def _answer(self, question: str) -> bytes:
        what, _, model = question.partition(" ")
        if what == "metrics":
            return self._pages.metrics().dump()
        if what == "flush":
            return msgspec.msgpack.encode(await self._flush(model))
        return b"yes" if self.listening else b"no"

    def _loaded(self) -> bool:
        catalog = self._catalog
        return catalog.started and all(served.state != "loading" for served in catalog.models.values())
