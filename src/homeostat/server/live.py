"""Live events: one reader of the event table feeds every open page by server-sent events.

A page that comes back sends `Last-Event-ID` and misses nothing. A page that does not read is dropped after
`_QUEUE` batches and told to resync when it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from homeostat.core.errors import HomeostatError
from homeostat.core.events import StoredEvent, events_after, last_event_id
from homeostat.core.workspace import Workspace

log = logging.getLogger("homeostat.server")

_QUEUE = 16
_POLL_S = 0.2
_HEARTBEAT_S = 15.0


class Live:
    """Feeds the event table to subscribers. `start` and `stop` belong to the app's lifespan."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._subscribers: set[asyncio.Queue[list[StoredEvent] | None]] = set()
        self._task: asyncio.Task[None] | None = None
        # The newest event that everybody here has been told of; None while nobody is here, and so nobody looks.
        self._last: int | None = None
        self._somebody = asyncio.Event()
        self._trouble = ""

    def start(self) -> None:
        self._task = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for queue in self._subscribers:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    async def endpoint(self, request: Request) -> Response:
        """`GET /api/v1/events?after=ID`"""
        asked = request.headers.get("last-event-id") or request.query_params.get("after") or ""
        if asked.isascii() and asked.isdigit() and len(asked) < 19:
            after = int(asked)
        else:  # before the answer begins: what happens once somebody holds an answer is news to them
            after = await run_in_threadpool(last_event_id, self._workspace)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._stream(after), headers=headers, media_type="text/event-stream")

    async def _stream(self, last: int) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[list[StoredEvent] | None] = asyncio.Queue(_QUEUE)
        self._subscribers.add(queue)
        try:
            await self._wake()
            yield b"retry: 2000\n\n"
            # One look gives a limited number; whoever was away for long needs several.
            while missed := await run_in_threadpool(events_after, self._workspace, last):
                for event in missed:
                    last = event.id
                    yield _frame(event)
            while queue in self._subscribers:
                try:
                    batch = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if batch is None:
                    return
                for event in batch:
                    if event.id > last:
                        last = event.id
                        yield _frame(event)
            yield b"event: resync\ndata: {}\n\n"
        finally:
            self._subscribers.discard(queue)

    async def _wake(self) -> None:
        """Have somebody look from now on: what comes after this is in a batch, what came before whoever asks finds."""
        if self._last is None:
            newest = await run_in_threadpool(last_event_id, self._workspace)
            if self._last is None:
                self._last = newest
        self._somebody.set()

    async def _poll(self) -> None:
        while True:
            await self._somebody.wait()
            await asyncio.sleep(_POLL_S)
            if not self._subscribers:
                self._somebody.clear()
                self._last = None
                continue
            if self._last is None:
                continue
            try:
                batch = await run_in_threadpool(events_after, self._workspace, self._last)
            except HomeostatError as error:  # the database is away for a while
                if self._trouble != str(error):  # said once, not five times a second
                    log.error("events cannot be read; pages hear of them later: %s", error)
                self._trouble = str(error)
                continue
            self._trouble = ""
            if batch:
                self._last = batch[-1].id
                self._hand_on(batch)

    def _hand_on(self, batch: list[StoredEvent]) -> None:
        for queue in list(self._subscribers):
            try:
                queue.put_nowait(batch)
            except asyncio.QueueFull:
                self._subscribers.discard(queue)


def _frame(event: StoredEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.name.encode(), msgspec.json.encode(event))
