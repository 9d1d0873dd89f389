from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core import events, statements
from homeostat.core.context import acting_as, acting_run
from homeostat.core.events import StoredEvent, dispatch, events_after, last_event_id, publish
from homeostat.core.leases import table as leases
from homeostat.events import AWAITED, EVENTS, EventEntry
from tests.core import listeners
from tests.core.listeners import Noted, Other

HERE = "tests.core.listeners"


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """Only the events of these tests are known; afterwards all others again, in the order they are written in."""
    listeners.heard.clear()
    listeners.broken.clear()
    whole = dict(EVENTS)
    EVENTS.clear()
    EVENTS["test_noted"] = EventEntry(record=f"{HERE}:Noted", listeners=[f"{HERE}:first", f"{HERE}:second"])
    EVENTS["test_other"] = EventEntry(record=f"{HERE}:Other")
    yield
    EVENTS.clear()
    EVENTS.update(whole)


def note(ws: hs.Workspace, *numbers: int) -> None:
    for number in numbers:
        ws.db.write(lambda c, n=number: publish(ws, c, Noted(number=n)))


def numbers(ws: hs.Workspace) -> list[int]:
    return [event.payload["number"] for event in events_after(ws, 0, limit=10_000)]


def test_an_event_tells_what_when_who_and_in_which_run(any_ws: hs.Workspace):
    with acting_as("ann"), acting_run("r1"):
        note(any_ws, 7)
    (event,) = events_after(any_ws, 0)
    assert (event.name, event.payload, event.actor, event.run_id) == ("test_noted", {"number": 7}, "ann", "r1")
    assert event.at_ms > 0
    assert last_event_id(any_ws) == event.id


def test_an_event_is_known_if_and_only_if_its_change_is(any_ws: hs.Workspace):
    def change(connection: sa.Connection) -> None:
        publish(any_ws, connection, Noted(number=1))
        raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        any_ws.db.write(change)
    assert events_after(any_ws, 0) == []
    assert last_event_id(any_ws) == 0


def test_events_can_be_asked_for_by_name_and_from_where_one_stopped(any_ws: hs.Workspace):
    note(any_ws, 1, 2)
    any_ws.db.write(lambda c: publish(any_ws, c, Other(word="x")))
    note(any_ws, 3)
    assert [e.payload for e in events_after(any_ws, 0, names=["test_other"])] == [{"word": "x"}]
    first_two = events_after(any_ws, 0, limit=2)
    assert [e.payload for e in events_after(any_ws, first_two[-1].id)] == [{"word": "x"}, {"number": 3}]


def test_listeners_are_told_once_and_in_order(any_ws: hs.Workspace):
    note(any_ws, 1, 2, 3)
    assert dispatch(any_ws) == 6
    assert dispatch(any_ws) == 0
    assert [n for who, n in listeners.heard if who == "first"] == [1, 2, 3]
    assert [n for who, n in listeners.heard if who == "second"] == [1, 2, 3]


def test_a_failing_listener_is_asked_again_and_does_not_hold_up_others(any_ws: hs.Workspace):
    note(any_ws, 1, 2, 3)
    listeners.broken.add(2)
    dispatch(any_ws)
    assert [n for who, n in listeners.heard if who == "first"] == [1]
    assert [n for who, n in listeners.heard if who == "second"] == [1, 2, 3]
    listeners.broken.clear()
    dispatch(any_ws)
    assert [n for who, n in listeners.heard if who == "first"] == [1, 2, 3]
    assert [n for who, n in listeners.heard if who == "second"] == [1, 2, 3]


def test_nothing_is_written_while_nothing_new_has_happened(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    note(any_ws, 1)
    assert dispatch(any_ws) == 2
    assert dispatch(any_ws) == 0

    def writes(_: object) -> None:
        raise AssertionError("an idle server leaves the database alone")

    monkeypatch.setattr(any_ws.db, "write", writes)
    assert dispatch(any_ws) == 0
    monkeypatch.undo()
    note(any_ws, 2)
    assert dispatch(any_ws) == 2


def test_what_is_for_others_is_looked_through_once(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    """Far behind, that is noted for processes to come, and nobody takes the listener for one that lags."""
    monkeypatch.setattr(events, "_FAR", 2)
    for _ in range(4):
        any_ws.db.write(lambda c: publish(any_ws, c, Other(word="x")))
    assert dispatch(any_ws) == 0
    heard = any_ws.db.read(lambda c: set(c.execute(sa.select(events.cursors.c.last_id)).scalars()))
    assert heard == {last_event_id(any_ws)}
    note(any_ws, 5)
    assert dispatch(any_ws) == 2


def test_what_is_for_others_costs_no_write(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "_FAR", 3)
    note(any_ws, 1)
    dispatch(any_ws)
    dispatch(any_ws)
    written: list[object] = []
    write = any_ws.db.write
    monkeypatch.setattr(any_ws.db, "write", lambda fn: written.append(fn) or write(fn))
    for _ in range(3):
        write(lambda c: publish(any_ws, c, Other(word="x")))
        assert dispatch(any_ws) == 0
    assert not written
    write(lambda c: publish(any_ws, c, Other(word="x")))
    assert dispatch(any_ws) == 0
    assert len(written) == 4, "a lease taken and given back, and of both listeners how far they have heard"
    note(any_ws, 2)
    write(lambda c: publish(any_ws, c, Other(word="x")))
    assert dispatch(any_ws) == 2


def test_who_has_nobody_to_tell_is_not_called(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(AWAITED, f"{HERE}:first", f"{HERE}:nobody")
    monkeypatch.setitem(AWAITED, f"{HERE}:second", f"{HERE}:somebody")
    note(any_ws, 1, 2)
    assert dispatch(any_ws) == 2
    assert listeners.heard == [("second", 1), ("second", 2)]
    monkeypatch.setitem(AWAITED, f"{HERE}:first", f"{HERE}:somebody")
    note(any_ws, 3)
    dispatch(any_ws)
    assert listeners.heard[2:] == [("first", 3), ("second", 3)]


def test_one_process_at_a_time_hands_out(any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]):
    note(any_ws, 1)
    other = reopen()
    held = other.leases.acquire("core:dispatch", 60, "somebody else")
    assert held is not None
    assert dispatch(any_ws) == 0
    other.leases.release(held)
    assert dispatch(any_ws) == 2


def test_a_reader_that_remembers_the_last_id_misses_nothing(any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]):
    """Ids become visible in order, with several writers in several openings."""
    other = reopen()
    _ = any_ws.db, other.db
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        last = 0
        while True:
            finished = stop.is_set()
            for event in events_after(any_ws, last):
                assert event.id > last
                last = event.id
                seen.append(event.payload["number"])
            if finished:
                return

    def write(ws: hs.Workspace, mine: int) -> None:
        note(ws, *range(mine * 100, mine * 100 + 25))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=((any_ws, other)[mine % 2], mine)) for mine in range(4)]
    reader.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    assert sorted(seen) == sorted(mine * 100 + n for mine in range(4) for n in range(25))
    assert sorted(seen) == sorted(numbers(any_ws))


PUBLISHER = """
import sys
import homeostat as hs
from homeostat.core.events import publish
from tests.core.listeners import Noted
with hs.open(sys.argv[1]) as ws:
    mine = int(sys.argv[2])
    sys.stdin.readline()  # all begin together
    for number in range(mine, mine + 60):
        ws.db.write(lambda c: publish(ws, c, Noted(number=number)))
"""


def test_what_several_processes_tell_at_once_is_passed_over_by_nobody(workspace_url: str):
    """Whoever remembers the last id it saw sees every event, in one order, whoever commits first."""
    with hs.open(workspace_url) as ws:
        ws.db.read(lambda _: None)
        publishers = [
            subprocess.Popen([sys.executable, "-c", PUBLISHER, workspace_url, str(n * 1000)], stdin=subprocess.PIPE)
            for n in range(3)
        ]
        try:
            for publisher in publishers:
                assert publisher.stdin is not None
                publisher.stdin.write(b"\n")
                publisher.stdin.close()
            seen: list[StoredEvent] = []
            finished = False
            while not finished:
                finished = all(publisher.poll() is not None for publisher in publishers)
                while batch := events_after(ws, seen[-1].id if seen else 0, limit=50):
                    seen += batch
                dispatch(ws, limit=50)
            while dispatch(ws, limit=50):
                pass
        finally:
            for publisher in publishers:
                publisher.kill()
                publisher.wait()
        whole = [(event.id, event.payload["number"]) for event in events_after(ws, 0, limit=10_000)]
    assert [(event.id, event.payload["number"]) for event in seen] == whole
    assert sorted(number for _, number in whole) == sorted(n * 1000 + k for n in range(3) for k in range(60))
    assert [number for who, number in listeners.heard if who == "first"] == [number for _, number in whole]


def test_a_writer_that_is_slow_to_commit_holds_back_the_ids_after_its_own(
    any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]
):
    """Were the second able to commit first, whoever saw it would never see the first."""
    slow, quick = any_ws, reopen()
    if slow.db.writer.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    begun, go_on = threading.Event(), threading.Event()

    def wait(connection: sa.Connection) -> None:
        statements.settle(connection)  # what was put off: the lock is held from here on
        begun.set()
        assert go_on.wait(300)

    def write(connection: sa.Connection) -> None:
        publish(slow, connection, Noted(number=1))
        slow.db.before_commit(wait, order=9)  # behind what publishing does last

    first = slow.db.submit(write)
    assert begun.wait(300)
    second = quick.db.submit(lambda c: publish(quick, c, Noted(number=2)))
    blocked = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    while not quick.db.read(lambda c: c.exec_driver_sql(blocked).scalar_one()):
        assert not second.done()
    assert numbers(any_ws) == []
    go_on.set()
    first.result()
    second.result()
    assert numbers(any_ws) == [1, 2]


DISPATCHER = """
import os, sys
import homeostat as hs
from homeostat.core.events import dispatch
from homeostat.events import EVENTS, EventEntry
EVENTS.clear()
EVENTS["test_noted"] = EventEntry(record="tests.core.listeners:Noted", listeners=["tests.core.listeners:deadly"])
with hs.open(sys.argv[1]) as ws:
    dispatch(ws)
"""


def test_a_killed_dispatcher_loses_no_event(any_ws: hs.Workspace, tmp_path: Path):
    note(any_ws, 1, 2, 3)
    log = tmp_path / "log"
    environment = {**os.environ, "LISTENER_LOG": str(log)}

    def run() -> int:
        return subprocess.run([sys.executable, "-c", DISPATCHER, any_ws.url], env=environment, check=False).returncode

    assert run() == -9
    # The dead one's lease runs out in a minute: let it be over now.
    any_ws.db.write(lambda c: c.execute(sa.update(leases).values(until_ms=0)))
    assert run() == 0
    heard = log.read_text().split()
    assert set(heard) == {"1", "2", "3"}
    assert heard[-2:] == ["2", "3"]


def test_every_event_of_the_product_exists_with_its_listeners():
    import importlib

    import homeostat.events

    importlib.reload(homeostat.events)
    for name, entry in homeostat.events.EVENTS.items():
        module, _, kind = entry.record.partition(":")
        record = getattr(importlib.import_module(module), kind)
        assert record.__struct_config__.tag == name
        for listener in entry.listeners:
            module, _, function = listener.partition(":")
            assert callable(getattr(importlib.import_module(module), function))
