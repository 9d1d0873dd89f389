"""Server-sent events: everything, in order, also for those who were away."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

import homeostat as hs
from homeostat.core.events import StoredEvent, events_after, last_event_id, publish
from homeostat.server import live
from tests.core.listeners import Noted
from tests.server.running import Running


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self) -> dict[str, str]:
        """The fields of the next event; comments and pauses are passed over."""
        fields: dict[str, str] = {}
        while True:
            line = self._response.readline().decode().rstrip("\n")
            if not line and "data" in fields:
                return fields
            name, _, value = line.partition(": ")
            if name and line != "":
                fields[name] = value


@contextmanager
def listening(server: Running, query: str = "", headers: dict[str, str] | None = None) -> Iterator[Stream]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.request("GET", f"/api/v1/events{query}", headers=headers or {})
    response = connection.getresponse()
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.readline() == b"retry: 2000\n"
    try:
        yield Stream(response)
    finally:
        response.close()
        connection.close()


def start(server: Running, *numbers: int) -> list[int]:
    """Begin runs; the ids of their events."""
    for number in numbers:
        server.workspace.tracking.create_run(id=f"{number:032x}", name=str(number))
    return [event.id for event in events_after(server.workspace, 0, names=["run_started"])]


def test_an_event_has_the_agreed_form(server: Running):
    (first,) = start(server, 1)
    with listening(server, "?after=0") as stream:
        event = stream.next()
    assert (event["id"], event["event"]) == (str(first), "run_started")
    told = json.loads(event["data"])
    assert set(told) == {"id", "name", "at_ms", "actor", "run_id", "payload"}
    assert (told["id"], told["name"]) == (first, "run_started")


def test_who_was_away_misses_nothing(server: Running):
    ids = start(server, 1, 2, 3)
    with listening(server, headers={"Last-Event-ID": str(ids[0])}) as stream:
        assert [stream.next()["id"] for _ in range(2)] == [str(i) for i in ids[1:]]
        later = start(server, 4)[-1]
        assert stream.next()["id"] == str(later)
    more = start(server, 5, 6)
    with listening(server, f"?after={later}") as stream:
        assert [stream.next()["id"] for _ in range(2)] == [str(i) for i in more[-2:]]


def test_without_a_place_to_go_on_from_only_news_come(server: Running):
    start(server, 1)
    with listening(server) as stream:
        new = start(server, 2)[-1]
        assert stream.next()["id"] == str(new)


def test_long_absence_is_made_up_for_whole(server: Running):
    """More events than one look at the table gives."""
    server.workspace.db.write(
        lambda c: [publish(server.workspace, c, Noted(number=number)) for number in range(1200)] and None
    )
    with listening(server, "?after=0") as stream:
        seen = [json.loads(stream.next()["data"])["payload"]["number"] for _ in range(1200)]
    assert seen == list(range(1200))


@pytest.mark.parametrize("asked", ["x", "-1", "9" * 30, "1; drop table", "\xb2"])
def test_a_place_that_means_nothing_is_no_place(server: Running, asked: str):
    start(server, 1)
    with listening(server, headers={"Last-Event-ID": asked}) as stream:
        new = start(server, 2)[-1]
        assert stream.next()["id"] == str(new)


def test_who_does_not_read_is_dropped_and_told_to_begin_anew(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for a page that reads too slowly, and nothing piles up for it without bound."""
    monkeypatch.setattr(live, "_POLL_S", 0.0)
    monkeypatch.setattr(live, "_QUEUE", 2)

    async def play() -> list[bytes]:
        feed = live.Live(ws)
        feed.start()
        stream = feed._stream(0)
        assert await anext(stream) == b"retry: 2000\n\n"
        for number in range(1, 1000):
            if not feed._subscribers:
                break
            await asyncio.to_thread(ws.tracking.create_run, name=str(number))
        rest = [chunk async for chunk in stream]
        await feed.stop()
        return rest

    assert asyncio.run(play())[-1] == b"event: resync\ndata: {}\n\n"


def test_what_happens_once_the_answer_began_is_news(ws: hs.Workspace):
    """However late the stream itself gets its turn."""

    async def play() -> bytes:
        feed = live.Live(ws)
        answer = await feed.endpoint(Request({"type": "http", "headers": [], "query_string": b""}))
        assert isinstance(answer, StreamingResponse)
        await asyncio.to_thread(ws.tracking.create_run, name="news")
        stream = aiter(answer.body_iterator)
        assert await anext(stream) == b"retry: 2000\n\n"
        return bytes(await asyncio.wait_for(anext(stream), 60))

    assert b"event: run_started" in asyncio.run(play())


def test_who_comes_while_nobody_listened_misses_nothing(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    """What happens right after the page itself has looked is found by the reader of the table, which slept so far."""
    monkeypatch.setattr(live, "_POLL_S", 0.0)
    looked, go_on = threading.Event(), threading.Event()

    def told(workspace: hs.Workspace, after: int) -> list[StoredEvent]:
        found = events_after(workspace, after)
        if after < 0:  # the page's own look
            looked.set()
            assert go_on.wait(300)
        return found

    monkeypatch.setattr(live, "events_after", told)

    async def play() -> bytes:
        feed = live.Live(ws)
        feed.start()
        stream = feed._stream(-1)
        assert await anext(stream) == b"retry: 2000\n\n"
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(looked.wait, 60)
        await asyncio.to_thread(ws.tracking.create_run, name="news")
        go_on.set()
        try:
            return await asyncio.wait_for(waiting, 60)
        finally:
            await feed.stop()

    assert b"event: run_started" in asyncio.run(play())


def test_nobody_looks_while_nobody_listens(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    """An idle server leaves the table alone; who comes after all others left is told what happens then."""
    monkeypatch.setattr(live, "_POLL_S", 0.0)
    looks: list[int] = []

    def told(workspace: hs.Workspace, after: int) -> list[StoredEvent]:
        looks.append(after)
        return events_after(workspace, after)

    monkeypatch.setattr(live, "events_after", told)

    async def first(feed: live.Live, name: str) -> bytes:
        stream = feed._stream(await asyncio.to_thread(last_event_id, ws))
        assert await anext(stream) == b"retry: 2000\n\n"
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(ws.tracking.create_run, name=name)
        try:
            return await asyncio.wait_for(waiting, 60)
        finally:
            await stream.aclose()

    async def play() -> None:
        feed = live.Live(ws)
        feed.start()
        for name in ("one", "two"):
            assert b"event: run_started" in await first(feed, name)
            while feed._last is not None:
                await asyncio.sleep(0)
            before = len(looks)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(looks) == before
        await feed.stop()

    asyncio.run(play())


def test_stopping_ends_open_streams(server: Running):
    with listening(server):
        server.stop()
