"""Points that wait in the inbox are settled before anybody reads, in whatever order they came."""

from __future__ import annotations

import ast
import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core import statements
from homeostat.core.errors import StorageFull
from homeostat.core.events import events_after
from homeostat.tracking import inlet as inlets
from homeostat.tracking.codec import Journalled
from homeostat.tracking.inlet import inlet
from homeostat.tracking.purge import OF_RUN
from homeostat.tracking.settling import append, settle

SOURCE = Path(hs.__file__).parent


def waiting(ws: hs.Workspace) -> int:
    return ws.db.read(lambda c: statements.rows(c, "select count(*) from tracking_inbox")[0][0], settled=False)


def let_wait(ws: hs.Workspace, id: str, *points: Journalled) -> None:
    assert ws.db.write(lambda c: append(c, [(id, list(points))])) == {id}


def point(step: int, value: float = 0.5, key: str = "loss") -> Journalled:
    return Journalled(key, step, 1000 + step, value)


READERS: dict[str, Callable[[hs.Workspace, str], Any]] = {
    "get_run": lambda ws, id: ws.tracking.get_run(id).metrics,
    "metric_history": lambda ws, id: [m.value for m in ws.tracking.metric_history(id, "loss")],
    "metric_ranges": lambda ws, id: ws.tracking.metric_ranges([id], ["loss"])[id]["loss"].last,
    "search_runs": lambda ws, id: [run.id for run in ws.tracking.search_runs(query="run.metrics.loss < 1").runs],
    "run_facets": lambda ws, id: ws.tracking.run_facets().metrics,
}


@pytest.mark.parametrize("reader", READERS)
def test_who_reads_finds_them(reopen: Callable[[], hs.Workspace], reader: str):
    """In the process that took them, in another one, and inside of a write."""
    mine, other = reopen(), reopen()
    put = mine.tracking.create_run().id
    mine.tracking.log_metrics(put, {"loss": 0.25}, step=1, at_ms=1001)
    expected = str(READERS[reader](mine, put)).replace(put, "RUN")
    for number, ws in enumerate((mine, other)):
        mine.tracking.delete_run(put)
        put = mine.tracking.create_run().id
        let_wait(mine, put, point(1, 0.25))
        if number:
            told = ws.db.write(lambda c, ws=ws, put=put: READERS[reader](ws, put))
        else:
            told = READERS[reader](ws, put)
        assert str(told).replace(put, "RUN") == expected
        assert waiting(mine) == 0


def test_nobody_reads_around_it():
    """Connections are handed out by `Database.read` and `write` only; what does not ask for settled rows is named."""
    opening: set[str] = set()
    unsettled: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            opens = isinstance(node, ast.Attribute) and node.attr in ("connect", "begin", "raw_connection")
            if opens and isinstance(node.value, ast.Attribute) and node.value.attr in ("reader", "writer"):
                opening.add(name)
            if isinstance(node, ast.keyword | ast.arg) and node.arg == "settled":
                unsettled.add(name)
            # `Database.look` leaves what waits where it is, too.
            looks = isinstance(node, ast.Attribute) and node.attr == "look" and isinstance(node.value, ast.Attribute)
            if looks and node.value.attr == "db":
                unsettled.add(name)
    # The schema is looked at and changed before there is an inbox.
    assert opening == {"core/db.py", "core/schema.py"}
    assert unsettled == UNSETTLED


# None of them looks at metrics; each is asked often.
UNSETTLED = {
    "core/db.py", "core/events.py", "loop/applied.py", "loop/schedule.py", "notify/outbox.py", "pipelines/recovery.py",
    "registry/mlflow/registered_models.py", "registry/models.py", "registry/versions.py", "registry/webhooks.py",
    "serving/deployments.py", "serving/follower.py", "team/tokens.py", "tracking/artifact_files.py",
    "tracking/changes.py", "tracking/counting.py", "tracking/heartbeat.py", "tracking/idle.py", "tracking/texts.py",
}  # fmt: skip


@settings(deadline=None, max_examples=25)
@given(st.lists(
    st.tuples(
        st.sampled_from(["loss", "auc"]), st.integers(-3, 3), st.integers(0, 2),
        st.sampled_from([0.5, -1.0, float("nan"), float("inf")]), st.booleans(),
    ),
    min_size=1, max_size=12,
))  # fmt: skip
def test_it_makes_no_difference_which_of_them_waited(points: list[tuple[str, int, int, float, bool]]):
    import tempfile

    with tempfile.TemporaryDirectory() as folder, hs.open(folder) as ws:
        one, two = ws.tracking.create_run().id, ws.tracking.create_run().id
        for key, step, at, value, waits in points:
            came = Journalled(key, step, at + 1, value)
            let_wait(ws, two, came)
            if not waits:
                ws.db.write(lambda c: settle(ws, c))
        for key, step, at, value, _ in points:
            ws.tracking.log_metrics(one, {key: value}, step, at + 1)

        def found(c: sa.Connection, id: str) -> Any:
            return statements.rows(
                c,
                "select s.key, s.points, s.last_step, s.last_ms, s.last_value, s.min_value, s.max_value, r.pending"
                " from tracking_series s join tracking_run r on r.seq = s.run_seq where r.id = ? order by s.key",
                (id,),
            )

        assert ws.db.read(lambda c: found(c, two)) == ws.db.read(lambda c: found(c, one))
        for key in ("loss", "auc"):
            assert repr(ws.tracking.metric_history(two, key)) == repr(ws.tracking.metric_history(one, key))


def test_a_deleted_run_takes_no_more_and_keeps_what_it_took(any_ws: hs.Workspace):
    ws = any_ws
    id, gone = ws.tracking.create_run().id, ws.tracking.create_run().id
    let_wait(ws, id, point(1))
    ws.tracking.delete_run(id)
    assert ws.db.write(lambda c: append(c, [("nobody", [point(2)]), (id, [point(2)]), (gone, [point(2)])])) == {gone}
    ws.tracking.restore_run(id)
    assert [m.step for m in ws.tracking.metric_history(id, "loss")] == [1]


def test_points_of_a_run_that_was_erased_are_forgotten(any_ws: hs.Workspace):
    ws = any_ws
    id = ws.tracking.create_run().id
    let_wait(ws, id, point(1))
    assert any(table.name == "tracking_inbox" for table in OF_RUN)
    ws.db.write(lambda c: statements.change(c, "delete from tracking_run where id = ?", (id,)))
    assert ws.tracking.search_runs().runs == []
    assert waiting(ws) == 0


def test_who_reads_while_another_process_settles_waits_for_it(reopen: Callable[[], hs.Workspace]):
    mine, other = reopen(), reopen()
    id = mine.tracking.create_run().id
    let_wait(mine, id, point(1))
    begun = threading.Event()

    def slowly(c: sa.Connection) -> None:
        settle(other, c)
        begun.set()
        time.sleep(0.3)  # so that the reader comes before the commit; it has to be right whenever it comes

    thread = threading.Thread(target=other.db.write, args=(slowly,))
    thread.start()
    assert begun.wait(300)
    assert [m.step for m in mine.tracking.metric_history(id, "loss")] == [1]
    thread.join()


def test_on_a_full_disk_it_is_read_where_it_would_be(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    id = ws.tracking.create_run().id
    ws.tracking.log_metrics(id, {"loss": 0.5}, step=1)
    let_wait(ws, id, point(2))
    write = ws.db.write

    def full(fn: Any) -> None:
        def unable(c: sa.Connection) -> None:
            fn(c)
            raise StorageFull("the disk is full")

        write(unable)

    monkeypatch.setattr(ws.db, "write", full)
    for _ in range(2):
        assert [m.step for m in ws.tracking.metric_history(id, "loss")] == [1, 2]
        assert waiting(ws) == 1
    monkeypatch.setattr(ws.db, "write", write)
    assert [m.step for m in ws.tracking.metric_history(id, "loss")] == [1, 2]
    assert waiting(ws) == 0


def test_the_server_settles_by_itself_and_tells(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    ws = any_ws
    id = ws.tracking.create_run().id
    monkeypatch.setattr(inlets, "_SETTLE_S", 0.01)

    async def log() -> None:
        assert await inlet(ws).log(id, [point(1, 0.25), point(0)]) is None
        assert (await inlet(ws).log("nobody", [point(1)])) == (None,)
        for _ in range(3000):
            if not await asyncio.to_thread(waiting, ws):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("they still wait")

    asyncio.run(log())
    assert [e.payload["metrics"] for e in events_after(ws, 0, names=["run_metrics"])] == [{"loss": 0.25}]


def test_many_at_once_do_not_wait(any_ws: hs.Workspace):
    ws = any_ws
    id = ws.tracking.create_run().id

    async def log() -> None:
        assert await inlet(ws).log(id, [point(step) for step in range(500)]) is None
        assert await asyncio.to_thread(waiting, ws) == 0

    asyncio.run(log())
    assert len(ws.tracking.metric_history(id, "loss")) == 500
