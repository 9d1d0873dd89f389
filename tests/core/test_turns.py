"""Writes from an event loop: answered after their commit, those of one turn in one transaction."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core import statements
from homeostat.core.db import Database
from homeostat.core.errors import Unavailable
from homeostat.core.turns import turns


def make(c: sa.Connection) -> None:
    statements.change(c, "create table noted (name varchar(64) primary key)")


def note(name: str) -> Any:
    return lambda c: statements.change(c, "insert into noted (name) values (?)", (name,))


def noted(ws: hs.Workspace) -> set[str]:
    return {name for (name,) in ws.db.read(lambda c: statements.rows(c, "select name from noted"))}


def test_those_of_one_turn_are_answered_each_with_their_own_outcome(any_ws: hs.Workspace):
    any_ws.db.write(make)

    async def ask() -> list[Any]:
        asked = [turns(any_ws.db).write(note(name)) for name in ("a", "b", "a", "c")]
        first = await asked[0]
        assert "a" in noted(any_ws), "answered before it was there"
        return [first, *await asyncio.gather(*asked[1:], return_exceptions=True)]

    answers = asyncio.run(ask())
    assert [answer if isinstance(answer, int) else type(answer).__name__ for answer in answers] == [
        1, 1, "IntegrityError", 1,
    ]  # fmt: skip
    assert noted(any_ws) == {"a", "b", "c"}


def test_the_loop_goes_on_while_somebody_else_writes(any_ws: hs.Workspace):
    any_ws.db.write(make)
    inside, go_on = threading.Event(), threading.Event()

    def slow(c: sa.Connection) -> None:
        note("slow")(c)
        inside.set()
        assert go_on.wait(300)

    async def ask() -> None:
        writing = asyncio.get_running_loop().run_in_executor(None, any_ws.db.write, slow)
        await asyncio.to_thread(inside.wait, 30)
        answer = turns(any_ws.db).write(note("quick"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not answer.done()
        go_on.set()
        assert await answer == 1
        await writing

    asyncio.run(ask())
    assert noted(any_ws) == {"slow", "quick"}


def test_whoever_gives_up_holds_up_nobody(any_ws: hs.Workspace):
    any_ws.db.write(make)

    async def ask() -> None:
        gone, stays = (turns(any_ws.db).write(note(name)) for name in ("gone", "stays"))
        gone.cancel()
        assert await stays == 1

    asyncio.run(ask())
    assert noted(any_ws) == {"gone", "stays"}


def test_where_writing_is_slow_the_thread_does_it(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    """By its own clock, not by how fast this machine is."""
    ws.db.write(make)
    now = [0.0]
    monkeypatch.setattr("homeostat.core.db.monotonic", lambda: now[0])

    def who(seconds: float) -> str:
        def fn(_: sa.Connection) -> str:
            now[0] += seconds
            return threading.current_thread().name

        async def ask() -> str:
            return await turns(ws.db).write(fn)

        return asyncio.run(ask())

    here = threading.current_thread().name
    assert [who(0.0001) for _ in range(3)] == [here] * 3
    assert [who(0.050) for _ in range(40)].count(here) <= 12
    now[0] += 1
    assert who(0) == here


def test_a_closed_workspace_says_so(tmp_path: Any):
    ws = hs.open(tmp_path / "home")
    database: Database = ws.db
    ws.close()

    async def ask() -> None:
        with pytest.raises(Unavailable, match="is closed"):
            await turns(database).write(note("late"))

    asyncio.run(ask())
