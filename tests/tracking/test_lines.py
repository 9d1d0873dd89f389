"""On PostgreSQL lone points go by a line of their own: one exchange, no thread, and nothing is lost with the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import homeostat as hs
from homeostat.core import statements
from homeostat.engines import postgres_line
from homeostat.engines.postgres_line import PostgresLine
from homeostat.tracking.codec import Journalled
from homeostat.tracking.inlet import Inlet, inlet
from tests.postgres import Cluster

NOTE = "insert into noted (name, bytes) select ?, ? where ? = 'yes'"


@pytest.fixture
def url(postgres: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> str:
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(postgres_line, "_AGAIN_S", 0.01)
    return postgres.new_database()


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def answer(line: PostgresLine, *names: str, where: Sequence[str] = ()) -> list[int] | None:
    told: asyncio.Future[list[int] | None] = asyncio.get_running_loop().create_future()
    rows = [
        (name, name.encode() + b"\x00", asked) for name, asked in zip(names, where or ["yes"] * len(names), strict=True)
    ]
    line.ask(rows, told.set_result)
    return await told


def end_lines(ws: hs.Workspace) -> None:
    """As if the server had gone away for a moment: all connections but this one are ended."""
    ws.db.read(lambda c: statements.rows(
        c, "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    ))  # fmt: skip


def test_a_line_answers_when_it_is_committed_and_comes_back_when_it_broke(url: str):
    async def ask(ws: hs.Workspace) -> None:
        noted = "select name, bytes from noted order by name"
        line = PostgresLine(url, NOTE, asyncio.get_running_loop())
        assert await answer(line, "early") is None, "it was not connected"
        await until(lambda: line.open)
        names = ["a", 'b"\\', "Ω"]
        assert await answer(line, *names) == [1, 1, 1]
        assert await answer(line, "c", "d", where=["no", "yes"]) == [0, 1]
        assert ws.db.read(lambda c: statements.rows(c, noted)) == [
            (name, name.encode() + b"\x00") for name in sorted([*names, "d"])
        ]
        assert await answer(line, "e", "a", "f") is None, "a name is taken"
        assert line.open
        assert await answer(line, "e") == [1], "all of them or none"
        assert await answer(line, "x" * 8_000_000, "y") == [1, 1]
        await asyncio.to_thread(end_lines, ws)
        await until(lambda: not line.open)
        await until(lambda: line.open)
        assert await answer(line, "c") == [1]
        line.close()
        await until(lambda: not line.open)

    with hs.open(url) as ws:
        # Hashed: a name may be longer than what an index takes.
        ws.db.write(lambda c: statements.change(c, 'create table noted (name text collate "C", bytes bytea)'))
        ws.db.write(lambda c: statements.change(c, "create unique index noted_is on noted (md5(name))"))
        asyncio.run(ask(ws))


async def log(way: Inlet, run: str, step: int) -> Any:
    return await way.log(run, [Journalled("loss", step, 1000 + step, step / 2)])


def test_points_go_by_the_line_and_without_it(url: str):
    async def ask(ws: hs.Workspace, runs: list[str], gone: str) -> None:
        way = inlet(ws)
        line: Any = way._line
        assert [await log(way, runs[0], 0), await log(way, gone, 0)] == [None, ("deleted",)]
        await until(lambda: line.open)
        put = way._put
        way._put = None  # type: ignore[assignment] - nothing but the line
        told = await asyncio.gather(*(log(way, run, step) for step in range(1, 20) for run in runs))
        assert told == [None] * 57
        way._put = put
        assert await asyncio.gather(log(way, gone, 1), log(way, "nobody", 1), log(way, runs[1], 20)) == [
            ("deleted",), (None,), None,
        ]  # fmt: skip
        asked = [asyncio.ensure_future(log(way, run, step)) for step in range(21, 25) for run in runs]
        await asyncio.sleep(0)
        line._broken(ConnectionError("as if"))
        assert await asyncio.gather(*asked) == [None] * 12

    with hs.open(url) as ws:
        runs, gone = [ws.tracking.create_run().id for _ in range(3)], ws.tracking.create_run().id
        ws.tracking.delete_run(gone)
        asyncio.run(ask(ws, runs, gone))
        steps = [[m.step for m in ws.tracking.metric_history(run, "loss")] for run in runs]
    assert steps == [[*range(20), *range(21, 25)], list(range(1, 25)), [*range(1, 20), *range(21, 25)]]
