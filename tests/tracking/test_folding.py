"""Folding loses nothing and doubles nothing, whoever else folds or is killed, and reading never sees a difference."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.backup import backup, restore
from homeostat.core.errors import Conflict
from homeostat.tracking import IdleRuns, store
from homeostat.tracking import folding as f
from homeostat.tracking.codec import Journalled, encode_journal
from homeostat.tracking.metrics import put_points, summarised
from homeostat.tracking.model import Metric

ROWS = 40  # in one pass


def journal(ws: hs.Workspace, id: str, requests: list[list[Journalled]]) -> None:
    """Put the points as so many requests would, without what folds at the way."""

    every = [point for points in requests for point in points]

    def put(c: sa.Connection) -> None:
        seq = store.seq_of(c, id)
        put_points(c, seq, encode_journal(requests[0]), summarised(every))
        rest = [{"run_seq": seq, "payload": encode_journal(points)} for points in requests[1:]]
        if rest:
            c.execute(sa.insert(store.journal), rest)
        pending = store.run.c.pending + len(every)
        c.execute(sa.update(store.run).where(store.run.c.seq == seq).values(pending=pending))

    ws.db.write(put)


def state(ws: hs.Workspace, id: str) -> tuple[int, int, dict[str, list[int]]]:
    """Rows in the journal, points that are said to be pending, and the points of each chunk."""

    def look(c: sa.Connection):
        seq = store.seq_of(c, id)
        waiting = c.execute(sa.select(sa.func.count()).where(store.journal.c.run_seq == seq)).scalar_one()
        pending = c.execute(sa.select(store.run.c.pending).where(store.run.c.seq == seq)).scalar_one()
        held: dict[str, list[int]] = {}
        query = sa.select(store.chunk).where(store.chunk.c.run_seq == seq).order_by(store.chunk.c.key, store.chunk.c.no)
        for row in c.execute(query):
            held.setdefault(row.key, []).append(row.points)
        return waiting, pending, held

    return ws.db.read(look)


def steps(ws: hs.Workspace, id: str, key: str = "loss") -> list[int]:
    return [metric.step for metric in ws.tracking.metric_history(id, key)]


def test_a_long_journal_is_folded_pass_by_pass_into_long_chunks(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f, "_ROWS", ROWS)
    id = any_ws.tracking.create_run().id
    count = 2 * ROWS + 7
    journal(any_ws, id, [[Journalled("loss", step, 5, step / 8)] for step in range(count)])
    journal(any_ws, id, [[Journalled("loss", count, 5, 0.5), Journalled("acc", 0, 5, 0.5)]])
    before = any_ws.tracking.metric_history(id, "loss")
    assert f.fold(any_ws, id) == count + 2
    assert state(any_ws, id) == (0, 0, {"acc": [1], "loss": [count + 1]})
    assert any_ws.tracking.metric_history(id, "loss") == before
    assert f.fold(any_ws, id) == 0


def test_points_that_come_slowly_are_joined_to_few_chunks(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f, "CHUNK_POINTS", 64)
    id = ws.tracking.create_run().id
    for start in range(0, 1000, 10):
        journal(ws, id, [[Journalled("loss", step, 5, 0.1) for step in range(start, start + 10)]])
        f.fold(ws, id)
    assert steps(ws, id) == list(range(1000))
    waiting, pending, held = state(ws, id)
    assert (waiting, pending) == (0, 0)
    assert len(held["loss"]) <= 20
    assert sum(held["loss"]) == 1000


def test_large_requests_bound_a_pass_by_their_bytes(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f, "_BYTES", 20_000)
    id = ws.tracking.create_run().id
    journal(ws, id, [[Journalled("loss", row * 500 + step, 5, 0.1) for step in range(500)] for row in range(8)])
    assert len(ws.db.read(lambda c: f._taken(c, store.seq_of(c, id))).rows) in (2, 3)
    assert f.fold(ws, id) == 4000
    assert steps(ws, id) == list(range(4000))
    assert state(ws, id) == (0, 0, {"loss": [4000]})


def folded() -> None:
    """Return when no ended run waits any more."""
    for thread in threading.enumerate():
        if thread.name == "homeostat-folding":
            thread.join(60)


def test_ended_runs_are_folded_one_after_another(any_ws: hs.Workspace):
    """Whatever is wrong with one of them, and whoever asks while they are."""
    ids = [any_ws.tracking.create_run().id for _ in range(3)]
    for id in ids:
        journal(any_ws, id, [[Journalled("loss", 1, 1, 0.5)], [Journalled("loss", 2, 2, 0.25)]])
    for id in (ids[0], "there is no such run", *ids[1:]):
        f.fold_soon(any_ws, id)
    folded()
    assert [state(any_ws, id) for id in ids] == [(0, 0, {"loss": [2]})] * 3
    journal(any_ws, ids[0], [[Journalled("loss", 3, 3, 0.125)]])
    f.fold_soon(any_ws, ids[0])  # the next one begins anew
    folded()
    assert state(any_ws, ids[0])[0] == 0


def test_where_too_many_wait_more_are_left_to_the_server(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    id = ws.tracking.create_run().id
    journal(ws, id, [[Journalled("loss", 1, 1, 0.5)]])
    monkeypatch.setattr(f, "_MOST_SOON", 0)
    f.fold_soon(ws, id)
    folded()
    assert state(ws, id)[0] == 1


def test_folders_and_writers_beside_each_other(reopen: Callable[[], hs.Workspace]):
    writing, folding, other = reopen(), reopen(), reopen()
    id = writing.tracking.create_run().id
    done = threading.Event()

    def fold(ws: hs.Workspace) -> None:
        while not done.is_set():
            f.fold(ws, id)

    def write(mine: int) -> None:
        for step in range(mine * 1000, mine * 1000 + 60):
            writing.tracking.log_batch(id, [Metric(key=key, value=0.5, step=step, at_ms=7) for key in "ab"])

    folders = [threading.Thread(target=fold, args=(ws,)) for ws in (folding, other)]
    writers = [threading.Thread(target=write, args=(mine,)) for mine in range(3)]
    for thread in folders + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in folders:
        thread.join()
    f.fold(writing, id)
    for key in "ab":
        assert steps(writing, id, key) == [mine * 1000 + step for mine in range(3) for step in range(60)]
    waiting, pending, held = state(writing, id)
    assert (waiting, pending) == (0, 0)
    assert [sum(points) for points in held.values()] == [180, 180]


FOLDS = f"""
import sys, homeostat as hs
from homeostat.tracking import folding
folding._ROWS = {ROWS}
folding.fold(hs.open(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("where", ["fold", "folded:2"])
def test_whoever_is_killed_in_the_middle_changes_nothing(workspace_url: str, where: str):
    count = 2 * ROWS + 10
    with hs.open(workspace_url) as ws:
        id = ws.tracking.create_run().id
        journal(ws, id, [[Journalled("loss", step, 5, step / 8)] for step in range(count)])
        before = ws.tracking.metric_history(id, "loss")
    environment = {**os.environ, "HOMEOSTAT_FAULT": where}
    killed = subprocess.run([sys.executable, "-c", FOLDS, workspace_url, id], env=environment, check=False)
    assert killed.returncode == -9
    with hs.open(workspace_url) as ws:
        waiting, pending, held = state(ws, id)
        assert pending == waiting
        assert pending + sum(map(sum, held.values())) == count
        assert ws.tracking.metric_history(id, "loss") == before
        assert f.fold(ws, id) == pending
        assert state(ws, id) == (0, 0, {"loss": [count]})
        assert ws.tracking.metric_history(id, "loss") == before


def test_a_run_that_nobody_finishes_is_folded_when_it_is_left_alone(any_ws: hs.Workspace):
    left, busy = any_ws.tracking.create_run().id, any_ws.tracking.create_run().id
    any_ws.tracking.log_metrics(left, {"loss": 0.5}, step=1)
    idle = IdleRuns(any_ws)
    for now in range(0, 41, 10):
        any_ws.tracking.log_metrics(busy, {"loss": 0.5}, step=now)
        moved = idle.fold_due(float(now))
        assert moved == (1 if now == 30 else 0)
    assert state(any_ws, left) == (0, 0, {"loss": [1]})
    assert state(any_ws, busy)[:2] == (5, 5)
    assert idle.fold_due(45.0) == 0  # it looks every ten seconds
    assert idle.fold_due(70.0) == 5
    assert idle.fold_due(200.0) == 0


def test_of_several_servers_one_folds(reopen: Callable[[], hs.Workspace]):
    one, other = reopen(), reopen()
    id = one.tracking.create_run().id
    one.tracking.log_metrics(id, {"loss": 0.5}, step=1)
    looking = IdleRuns(one)
    assert looking.fold_due(0.0) == 0
    held = other.leases.acquire("tracking.fold", 60, other.instance)
    assert held is not None
    assert looking.fold_due(40.0) == 0
    other.leases.release(held)
    assert looking.fold_due(50.0) == 1


def test_who_joins_gives_up_when_another_process_added_meanwhile(
    reopen: Callable[[], hs.Workspace], monkeypatch: pytest.MonkeyPatch
):
    """As many chunks as were read, but one of them has grown: to replace it would lose what it gained."""
    mine, other = reopen(), reopen()
    id = mine.tracking.create_run().id
    seq = mine.db.read(lambda c: store.seq_of(c, id))
    for start, end in ((0, 10), (10, 15)):
        journal(mine, id, [[Journalled("loss", step, 5, 0.1) for step in range(start, end)]])
        f._pass(mine, seq)
    assert state(mine, id)[2] == {"loss": [10, 5]}
    read = f._joined

    def joined(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        monkeypatch.setattr(f, "_joined", read)
        journal(other, id, [[Journalled("loss", step, 5, 0.1) for step in range(15, 21)]])
        assert f._pass(other, seq) == 6
        return found

    monkeypatch.setattr(f, "_joined", joined)
    with pytest.raises(Conflict):
        f._join(mine, seq)
    f.fold(mine, id)
    assert steps(mine, id) == list(range(21))


FOLDS_ALWAYS = f"""
import sys, threading, homeostat as hs
from homeostat.tracking import folding
from homeostat.tracking.model import Metric
folding._ROWS = {ROWS}
ws, id = hs.open(sys.argv[1]), sys.argv[2]

def fold():
    while True:
        folding.fold(ws, id)

threading.Thread(target=fold, daemon=True).start()
for step in range(100_000):
    ws.tracking.log_batch(id, [Metric(key=key, value=step / 8, step=step, at_ms=5) for key in ("loss", "auc")])
    print(step, flush=True)
"""


def test_backups_while_folding_is_at_work_are_whole_whoever_is_killed(ws: hs.Workspace, tmp_path: Path):
    """Another process logs and folds without end; each copy holds what was answered before it began, in order, once."""
    id = ws.tracking.create_run().id
    command = [sys.executable, "-c", FOLDS_ALWAYS, str(ws.home), id]
    folding = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert folding.stdout is not None
    answered: list[int] = []
    try:
        for number in range(3):
            for _ in range(3 * ROWS):
                answered.append(int(folding.stdout.readline()))
            backup(ws, tmp_path / f"{number}.tar")
    finally:
        folding.kill()
        rest = [int(line) for line in folding.communicate()[0].split()]
    for number in range(3):
        home = tmp_path / f"home{number}"
        restore(tmp_path / f"{number}.tar", str(home))
        with hs.open(home) as copy:
            _whole(copy, id, least=3 * ROWS * (number + 1))
    _whole(ws, id, least=len(answered + rest))


def _whole(ws: hs.Workspace, id: str, least: int) -> None:
    count = len(steps(ws, id))
    assert count >= least
    for key in ("loss", "auc"):
        assert steps(ws, id, key) == list(range(count))
    waiting, pending, held = state(ws, id)
    assert pending == 2 * waiting
    assert held, "nothing was folded meanwhile"
    f.fold(ws, id)
    assert state(ws, id) == (0, 0, {"loss": [count], "auc": [count]})
    assert steps(ws, id) == list(range(count))
