"""The audit log: what it keeps, what it leaves out, and which tampering it shows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, Refused
from homeostat.engines.postgres_wire import PostgresWire
from homeostat.team import append_audit, note_audit
from homeostat.team.audit import _ALONE
from homeostat.team.store import audit


def fill(ws: hs.Workspace, count: int = 5) -> None:
    for number in range(count):
        with acting_as("ann" if number % 2 else "bob"):
            ws.team.record_audit("data.write_table", {"name": "t", "number": number})


def test_entries_say_who_did_what_newest_first(any_ws: hs.Workspace) -> None:
    fill(any_ws)
    log = any_ws.team.list_audit()
    assert [e.seq for e in log] == [5, 4, 3, 2, 1]
    assert (log[0].actor, log[0].verb, log[0].arguments) == ("bob", "data.write_table", {"name": "t", "number": 4})
    assert [e.seq for e in any_ws.team.list_audit(actor="ann", limit=1, before=4)] == [2]
    assert any_ws.team.list_audit(verb="other") == []
    check = any_ws.team.verify_audit()
    assert (check.intact, check.entries, check.digest) == (True, 5, log[0].digest)


def test_entries_from_many_threads_make_one_chain(any_ws: hs.Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: any_ws.team.record_audit("v", {"n": n}), range(40)))
    check = any_ws.team.verify_audit()
    assert (check.intact, check.entries) == (True, 40)
    assert {e.arguments["n"] for e in any_ws.team.list_audit()} == set(range(40))


def test_who_was_alone_for_long_finds_others_that_come(
    any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]
) -> None:
    """Then an entry is no longer waited for: one that does not follow on the last is taken back with its change."""
    other = reopen()
    for number in range(3 * _ALONE):
        any_ws.team.record_audit("v", {"n": number})
    for number in range(3):
        other.team.record_audit("w", {"n": number})
        any_ws.team.record_audit("v", {"n": number})
    check = any_ws.team.verify_audit()
    assert (check.entries, check.intact) == (3 * _ALONE + 6, True)


def test_a_refused_change_makes_no_entry_after_it_dearer(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The last entry is known still: nobody asks for it again, or waits to hear that the next one follows on it."""
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    asked: list[int] = []
    exchange = PostgresWire._exchange

    def spied(wire: PostgresWire) -> Any:
        asked.append(1)
        return exchange(wire)

    def refuse(_: sa.Connection) -> None:
        note_audit(ws, "never", {})
        raise Refused("not this one")

    monkeypatch.setattr(PostgresWire, "_exchange", spied)
    with hs.open(url := postgres.new_database()) as ws, hs.open(url) as other:
        for number in range(_ALONE + 4):
            ws.team.record_audit("v", {"n": number})
        asked.clear()
        with pytest.raises(Refused):
            ws.db.write(refuse)
        ws.team.record_audit("v", {"n": -1})
        assert len(asked) == 1
        with pytest.raises(Refused):
            ws.db.write(refuse)
        other.team.record_audit("w")  # and what somebody else did since is found
        ws.team.record_audit("v", {"n": -2})
        check = ws.team.verify_audit()
        assert (check.entries, check.intact) == (_ALONE + 7, True)
        assert "never" not in {entry.verb for entry in ws.team.list_audit()}


def test_two_processes_make_one_chain(any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]) -> None:
    others = [any_ws, reopen(), reopen()]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: others[n % 3].team.record_audit("v", {"n": n}), range(30)))
    check = any_ws.team.verify_audit()
    assert (check.intact, check.entries) == (True, 30)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (sa.update(audit).where(audit.c.seq == 3).values(actor="eve"), "entry 3: it was altered"),
        (sa.update(audit).where(audit.c.seq == 3).values(arguments="{}"), "entry 3: it was altered"),
        (sa.update(audit).where(audit.c.seq == 3).values(at_ms=0), "entry 3: it was altered"),
        (sa.delete(audit).where(audit.c.seq == 3), "entry 3: it is missing, the next one is 4"),
        (sa.delete(audit).where(audit.c.seq == 1), "entry 1: it is missing"),
        (sa.update(audit).where(audit.c.seq == 3).values(digest="f" * 64), "entry 3: it was altered"),
        (sa.delete(audit).where(audit.c.seq > 4), "the log ends at entry 4, but entry 5 was noted"),
    ],
)
def test_tampering_is_found_and_placed(any_ws: hs.Workspace, change: sa.Executable, says: str) -> None:
    fill(any_ws)
    noted = any_ws.team.list_audit(limit=1)[0]
    any_ws.db.write(lambda c: c.execute(change))
    check = any_ws.team.verify_audit(seq=noted.seq, digest=noted.digest)
    assert not check.intact
    assert says in check.message


def test_a_log_built_anew_is_found_by_a_noted_digest(ws: hs.Workspace) -> None:
    fill(ws)
    noted = ws.team.list_audit(limit=1)[0]
    ws.db.write(lambda c: c.execute(sa.delete(audit)))
    for _ in range(6):
        ws.team.record_audit("innocent")
    assert ws.team.verify_audit().intact
    check = ws.team.verify_audit(seq=noted.seq, digest=noted.digest)
    assert (check.intact, check.broken_at) == (False, 5)


def test_secrets_and_long_values_stay_out(ws: hs.Workspace) -> None:
    given = {
        "url": "https://hooks.example/T0/B0/xyz", "webhook_secret": "s3cret", "api_token": "t0ken",
        "channel": {"password": "hunter2", "name": "ops"}, "text": "x" * 5000, "rows": list(range(1000)),
    }  # fmt: skip
    kept = ws.team.record_audit("notify.add_channel", given).arguments
    assert kept["channel"] == {"password": "(secret)", "name": "ops"}
    for word in ("xyz", "s3cret", "t0ken", "hunter2"):
        assert word not in str(ws.db.read(lambda c: c.execute(sa.select(audit)).all()))
    assert len(kept["text"]) == 201
    assert len(kept["rows"]) == 50


def test_an_entry_shares_the_fate_of_its_change(any_ws: hs.Workspace) -> None:
    def refused(connection: sa.Connection) -> None:
        append_audit(connection, "never", {})
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        any_ws.db.write(refused)
    assert any_ws.team.list_audit() == []


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_pages_are_bounded(ws: hs.Workspace, limit: int) -> None:
    with pytest.raises(InvalidInput, match="between 1 and 1000"):
        ws.team.list_audit(limit=limit)


def test_the_chain_goes_on_after_an_entry_that_was_taken_back(any_ws: hs.Workspace) -> None:
    def taken_back(connection: sa.Connection) -> None:
        append_audit(connection, "never", {})
        raise Refused("no")

    for _ in range(2):
        any_ws.team.record_audit("kept")
        with pytest.raises(Refused):
            any_ws.db.write(taken_back)
    any_ws.team.record_audit("kept")
    check = any_ws.team.verify_audit()
    assert (check.intact, check.entries) == (True, 3)


def test_an_entry_noted_in_a_write_is_its_last_word(any_ws: hs.Workspace) -> None:
    def change(connection: sa.Connection) -> int:
        with acting_as("ann"):
            note_audit(any_ws, "change", {"n": 1})
        return append_audit(connection, "first", {}).seq

    assert any_ws.db.write(change) == 1
    assert [(e.seq, e.verb, e.actor) for e in any_ws.team.list_audit()] == [(2, "change", "ann"), (1, "first", "local")]
