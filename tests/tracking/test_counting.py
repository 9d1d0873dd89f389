"""That PostgreSQL counts anew what grew at once."""

from __future__ import annotations

import time

import pytest

import homeostat as hs
from homeostat.core.statements import rows
from homeostat.tracking import counting
from homeostat.tracking.counting import GrownTables


def test_after_many_came_the_database_counts(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "_MANY", 5)
    due, now_s, told = GrownTables(any_ws), time.monotonic(), 0
    if not any_ws.db.url.startswith("postgresql"):
        any_ws.tracking.create_run(params={"a": 1})
        assert due.count_due(now_s) == 0
        return
    until_s = time.monotonic() + 120
    while not told and time.monotonic() < until_s:  # a connection tells what it wrote once a second
        any_ws.tracking.create_run(params={"a": 1})
        time.sleep(0.05)
        now_s += counting.LOOK_S
        told = due.count_due(now_s)
    assert told
    known = "select count(*) from pg_class where relname in ('tracking_run', 'tracking_param') and reltuples > 0"
    assert any_ws.db.look(lambda c: rows(c, known))[0][0] > 0


def test_it_is_looked_at_once_in_a_while(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    looks: list[int] = []
    monkeypatch.setattr(counting, "_count", lambda _: looks.append(1) or 0)
    due, now_s = GrownTables(any_ws), time.monotonic()
    for later in (0, 0.1, counting.LOOK_S - 0.1, counting.LOOK_S, counting.LOOK_S + 0.1):
        due.count_due(now_s + later)
    assert len(looks) == 2
