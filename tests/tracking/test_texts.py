"""The text of each run that words are looked for in: it is right whenever the run is not told of as stale."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import StorageFull
from homeostat.core.statements import change, rows
from homeostat.tracking import store, texts
from homeostat.tracking.purge import purge
from homeostat.tracking.query.words import body_sql
from homeostat.tracking.texts import StaleTexts, refresh

WORDS = ("fox", "Night", "0.01", "Ä", "a\x1fb", "train.py", "", "1e-3")


def lacking(ws: hs.Workspace) -> list[int]:
    """Runs whose text is not what it would be if made anew, or that have none, though nobody is told."""
    body = body_sql(ws.db.url.startswith("postgresql"), "x")
    return ws.db.read(
        lambda c: [
            seq
            for seq, kept, made in rows(
                c, f"select x.seq, t.body, {body} from tracking_run x left join tracking_text t on t.run_seq = x.seq"
                " where x.seq not in (select s.run_seq from tracking_stale s)",
            )
            if kept != made
        ]
    )  # fmt: skip


def found(ws: hs.Workspace, word: str) -> list[str]:
    return [run.id for run in ws.tracking.search_runs(query=f'"{word}"', order_by="run.id", columns=[]).runs]


def test_whatever_is_done_texts_are_right_or_known_to_be_stale(any_ws: hs.Workspace):
    ws, chance, ids = any_ws, random.Random(3), list[str]()
    some = lambda: {f"k{chance.randint(0, 3)}": chance.choice(WORDS) for _ in range(chance.randint(0, 3))}  # noqa: E731
    seq_of = lambda c: store.seq_of(c, chance.choice(ids))  # noqa: E731

    def create() -> None:
        ids.append(ws.tracking.create_run(name=chance.choice(WORDS), params=some(), tags=some()).id)

    def straight(sql: str, *values: str) -> Callable[[], object]:
        return lambda: ws.db.write(lambda c: change(c, sql, (*values, seq_of(c))))

    def take_tag() -> None:
        run = ws.tracking.get_run(chance.choice(ids))
        for key in list(run.tags)[:1]:
            ws.tracking.delete_tag(run.id, key)

    def gone() -> None:
        ws.tracking.delete_run(id := chance.choice(ids))
        purge(ws, now_ms() + 1, set(), really=True)
        ids.remove(id)
        create()

    done: list[Callable[[], object]] = [
        create, take_tag, gone,
        lambda: ws.tracking.log_params(chance.choice(ids), {f"p{chance.random()}": chance.choice(WORDS)}),
        lambda: ws.tracking.set_tags(chance.choice(ids), some()),
        lambda: ws.tracking.log_metrics(chance.choice(ids), {"loss": 1.0}),
        lambda: ws.tracking.finish_run(chance.choice(ids), "failed"),
        lambda: ws.db.write(lambda c: refresh(c, 2000)),
        # What writers there may be.
        straight("update tracking_run set name = ? where seq = ?", "renamed"),
        straight("update tracking_run set source = ? where seq = ?", "b.py"),
        straight("update tracking_run set kind = ? where seq = ?", "trial"),
        straight("update tracking_param set value = ? where run_seq = ?", "other"),
        straight("update tracking_tag set value = ? where run_seq = ?", "other"),
        straight("delete from tracking_param where run_seq = ?"),
        straight(
            "insert into tracking_tag (run_seq, key, value) select seq, 'k1', 'upserted' from tracking_run"
            " where seq = ? on conflict (run_seq, key) do update set value = excluded.value"
        ),
    ]  # fmt: skip
    create()
    for number in range(150):
        chance.choice(done)()
        assert lacking(ws) == [], number
    before = {word: found(ws, word.replace("\x1f", " ")) for word in (*WORDS[:6], "renamed", "other", "trial")}
    while ws.db.write(lambda c: refresh(c, 2000)):
        pass
    assert ws.db.read(lambda c: rows(c, "select count(*) from tracking_stale")) == [(0,)]
    assert lacking(ws) == []
    assert any(before.values())
    assert before == {word: found(ws, word) for word in before}


def test_no_word_is_found_across_two_values(any_ws: hs.Workspace):
    any_ws.tracking.create_run(id="r1", name="amber", params={"a": "x", "b": "y"}, tags={"t": "two words\x1fthree"})
    for refreshed in (False, True):
        if refreshed:
            assert any_ws.db.write(lambda c: refresh(c, 2000)) > 0
        assert found(any_ws, "two words three") == ["r1"]
        assert found(any_ws, "words\x1fthree") == ["r1"]
        assert [found(any_ws, f"x{between}y") for between in ("", " ", "\x1f", "\n")] == [[]] * 4
        assert found(any_ws, "AMBER") == ["r1"]


def test_many_are_made_anew_by_whoever_asks_for_a_word(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(texts, "_FEW", 3)
    monkeypatch.setattr(texts, "_AT_ONCE", dict.fromkeys(("sqlite", "postgresql"), 4))
    stale = lambda: any_ws.db.read(lambda c: rows(c, "select count(distinct run_seq) from tracking_stale"))[0][0]  # noqa: E731
    for number in range(6):
        any_ws.tracking.create_run(id=f"r{number}", name="fox" if number % 2 else "owl", tags={"team": "red"})
    assert len(any_ws.tracking.search_runs(query="run.name == 'fox'").runs) == 3
    assert stale() == 6  # nobody has asked for words yet
    assert any_ws.tracking.run_facets(query="fox").runs == 3
    assert stale() == 0
    assert [group.runs for group in any_ws.tracking.group_runs("red")] == [6]


def test_the_text_of_a_run_is_made_once_however_often_it_was_told_of(any_ws: hs.Workspace):
    for number in range(3):
        run = any_ws.tracking.create_run(name=f"fox {number}", params={"a": "x"}, tags={"t": "y"})
        any_ws.tracking.set_tags(run.id, {"t": "z"})
    stale = any_ws.db.read(lambda c: rows(c, "select count(*) from tracking_stale"))[0][0]
    assert stale > 3
    if any_ws.db.url.startswith("postgresql"):
        assert any_ws.db.write(lambda c: refresh(c, 1)) == stale // 3
        assert any_ws.db.read(lambda c: rows(c, "select distinct run_seq from tracking_stale order by 1")) == [
            (2,),
            (3,),
        ]
    while any_ws.db.write(lambda c: refresh(c, 2000)):
        pass
    assert lacking(any_ws) == []


def test_a_full_disk_takes_no_word_away(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    def full(_: sa.Connection, _at_once: int) -> int:
        raise StorageFull("no space is left", hint="")

    ws.tracking.create_run(id="r1", name="fox")
    monkeypatch.setattr(texts, "_FEW", 0)
    monkeypatch.setattr(texts, "refresh", full)
    assert found(ws, "fox") == ["r1"]


def test_a_server_makes_many_anew_now_and_then(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(texts, "_FEW", 3)
    due, now_s = StaleTexts(ws), time.monotonic()
    assert due.refresh_due(now_s) == 0  # nothing is stale
    for _ in range(3):
        ws.tracking.create_run(params={"a": 1})
    assert due.refresh_due(now_s + texts.LOOK_S / 2) == 0
    assert due.refresh_due(now_s + texts.LOOK_S) == 6
    assert lacking(ws) == []
