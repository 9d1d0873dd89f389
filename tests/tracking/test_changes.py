"""Whatever changes a run is told of, exactly to those who have not seen it, on either database."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.statements import change, rows
from homeostat.tracking import changes, store
from homeostat.tracking.changes import Mark, OldChanges, changed_since, mark, trim
from homeostat.tracking.codec import Journalled
from homeostat.tracking.folding import fold
from homeostat.tracking.purge import purge
from homeostat.tracking.settling import append

# All that answers say of a run; its own row but for what is kept to work on it.
OF_RUN = (store.param, store.tag, store.series, store.run_dataset, store.run_model)
WORKING = {"heartbeat_ms", "told_ms", "pending"}
SQL = (
    "update tracking_run set name = 'renamed' where seq = ?",
    "update tracking_run set owner = 'somebody', lifecycle = 'deleted' where seq = ?",
    "update tracking_run set experiment_id = (select max(id) from tracking_experiment) where seq = ?",
    "update tracking_run set heartbeat_ms = 5, told_ms = 6 where seq = ?",
    "update tracking_param set value = 'other' where run_seq = ?",
    "update tracking_tag set value = 'other' where run_seq = ?",
    "delete from tracking_param where run_seq = ?",
    "delete from tracking_tag where run_seq = ?",
    "insert into tracking_tag (run_seq, key, value) select seq, 'k1', 'upserted' from tracking_run where seq = ?"
    " on conflict (run_seq, key) do update set value = excluded.value",
    "insert into tracking_run_model (run_seq, direction, model_id, step) select seq, 'output', 'm', seq"
    " from tracking_run where seq = ? on conflict do nothing",
    "update tracking_run_model set step = step + 1 where run_seq = ?",
    "delete from tracking_run_model where run_seq = ?",
    "insert into tracking_run_dataset (run_seq, dataset_id, tags) select seq, 1, '[]' from tracking_run where seq = ?"
    " on conflict do nothing",
    "update tracking_run_dataset set context = 'train' where run_seq = ?",
    "delete from tracking_run_dataset where run_seq = ?",
)


def said(ws: hs.Workspace) -> dict[int, list[Any]]:
    """What answers say of each run, by its number."""

    def read(c: sa.Connection) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for row in c.execute(sa.select(store.run).order_by(store.run.c.seq)).mappings():
            found[row["seq"]].append([value for name, value in row.items() if name not in WORKING])
        for table in OF_RUN:
            for row in c.execute(sa.select(table).order_by(*table.primary_key.columns)):
                found[row.run_seq].append([table.name, *row])
        return found

    return ws.db.read(read)


def doings(ws: hs.Workspace, chance: random.Random) -> list[Callable[[], object]]:
    """What may be done to a run, through verbs and straight to its rows."""
    t = ws.tracking

    def some() -> dict[str, Any]:
        return {f"k{chance.randint(0, 3)}": chance.choice(("fox", "0.5", "")) for _ in range(chance.randint(0, 3))}

    def one() -> str:
        there = ws.db.read(lambda c: rows(c, "select id from tracking_run order by seq"))
        return chance.choice(there)[0]

    def create() -> None:
        t.create_run(params=some(), tags=some())

    def gone() -> None:
        t.delete_run(one())
        purge(ws, now_ms() + 1, set(), really=True)
        create()

    def straight(sql: str) -> Callable[[], object]:
        return lambda: ws.db.write(lambda c: change(c, sql, (store.seq_of(c, one()),)))

    def alone() -> None:
        ws.db.write(lambda c: append(c, [(one(), [Journalled("loss", chance.randint(0, 9), now_ms(), 0.5)])]))

    def experiment() -> None:
        number = t.create_experiment(f"e{chance.random()}").id
        for _ in range(2):
            t.create_run(t.get_experiment(number).name)
        t.delete_experiment(number)
        if chance.random() < 0.5:
            t.restore_experiment(number)

    return [
        create, gone, alone, experiment,
        lambda: t.log_metrics(one(), {"loss": chance.random(), "auc": 0.5}, chance.randint(0, 9)),
        lambda: t.log_params(one(), {f"p{chance.random()}": 1}),
        lambda: t.set_tags(one(), some()),
        lambda: t.finish_run(one(), chance.choice(["failed", "finished"])),
        lambda: (t.delete_run(id := one()), t.restore_run(id)),
        lambda: fold(ws, one()),
        lambda: t.heartbeat(one()),
        lambda: ws.db.write(lambda c: trim(c, 5)),
        *map(straight, SQL),
    ]  # fmt: skip


def test_whatever_changes_a_run_is_told_of(any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]):
    chance = random.Random(2)
    done = doings(any_ws, chance) + doings(reopen(), chance)  # the other as another process would
    any_ws.tracking.create_run()
    before, since = said(any_ws), any_ws.db.read(mark)
    known = 0
    for number in range(60):
        for _ in range(chance.randint(1, 3)):
            chance.choice(done)()
        after, (here, changed) = said(any_ws), any_ws.db.read(lambda c, since=since: changed_since(c, since))
        assert here.sees(since)
        if changed is not None:
            known += 1
            differ = {seq for seq in before.keys() | after.keys() if before.get(seq) != after.get(seq)}
            assert differ <= changed, number
            assert len(changed) <= 9, number  # and not everything
        before, since = after, here
    assert known > 35


def test_work_on_runs_that_says_nothing_of_them_is_not_told(any_ws: hs.Workspace):
    any_ws.tracking.create_run(id="r1")
    any_ws.tracking.log_metrics("r1", {"loss": 0.5})
    since = any_ws.db.read(mark)
    assert fold(any_ws, "r1") == 1
    any_ws.tracking.heartbeat("r1")
    any_ws.tracking.set_tags("r1", {})
    assert any_ws.db.read(lambda c: changed_since(c, since))[1] == set()
    any_ws.tracking.log_metrics("r1", {"loss": 0.5}, step=1)
    here, changed = any_ws.db.read(lambda c: changed_since(c, since))
    assert changed == {any_ws.db.read(lambda c: store.seq_of(c, "r1"))}
    assert any_ws.db.read(lambda c: changed_since(c, here))[1] == set()


def test_of_what_was_erased_nothing_is_said(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    any_ws.tracking.create_run(id="r1")
    since = any_ws.db.read(mark)
    for number in range(6):
        any_ws.tracking.set_tags("r1", {"a": number})
    assert any_ws.db.read(lambda c: len(changed_since(c, since)[1] or ())) == 1
    late = any_ws.db.read(mark)
    assert any_ws.db.write(lambda c: trim(c, 2)) > 0
    assert any_ws.db.read(lambda c: changed_since(c, since))[1] is None
    assert any_ws.db.read(lambda c: changed_since(c, late))[1] == set()
    monkeypatch.setattr(changes, "KEPT", 4)
    due = OldChanges(any_ws)
    assert due.trim_due(0) == 0  # few
    for number in range(9):
        any_ws.tracking.set_tags("r1", {"a": number})
    assert due.trim_due(changes.LOOK_S / 2) == 0  # it has just looked
    monkeypatch.setattr(changes.trim, "__defaults__", (4,))
    assert due.trim_due(changes.LOOK_S) > 0


def test_transactions_that_end_in_another_order_are_told_of(postgres: Any, monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    with hs.open(url := postgres.new_database()) as ws, hs.open(url) as other:
        first, second, third = (ws.tracking.create_run().id for _ in range(3))
        seqs = ws.db.read(lambda c: dict(rows(c, "select id, seq from tracking_run")))
        rename = "update tracking_run set name = 'late' where id = %s"
        with other.db.writer.connect() as slow:
            slow.exec_driver_sql(rename, (first,))
            ws.tracking.set_tags(second, {"a": 1})
            since = ws.db.read(mark)  # sees the second, which began later
            assert len(since.open) == 1
            ws.tracking.set_tags(third, {"a": 1})
            between, changed = ws.db.read(lambda c: changed_since(c, since))
            assert changed == {seqs[third]}
            slow.commit()
        here, changed = ws.db.read(lambda c: changed_since(c, since))
        assert changed == {seqs[first], seqs[third]}
        assert ws.db.read(lambda c: changed_since(c, between))[1] == {seqs[first]}
        assert [here.sees(since), here.sees(between), between.sees(since)] == [True] * 3
        assert [since.sees(here), between.sees(here), since.sees(between)] == [False] * 3


def test_of_two_snapshots_the_later_one_sees_the_other():
    early, late = Mark(5, 9, frozenset({5, 7})), Mark(7, 9, frozenset({7}))
    assert late.sees(early) and not early.sees(late) and early.sees(early)
    assert Mark(7, 12, frozenset({7, 10})).sees(late) and not late.sees(Mark(7, 12, frozenset({7, 10})))
