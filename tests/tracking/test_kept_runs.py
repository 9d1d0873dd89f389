"""Runs kept in memory: a search answers as if nothing were kept, whatever was done to runs, and in whatever process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

import homeostat as hs
from homeostat.core.foreign import Args
from homeostat.tracking.changes import Mark
from homeostat.tracking.mlflow import kept, runs, shapes
from homeostat.tracking.mlflow.kept import KeptRuns
from homeostat.tracking.mlflow.search import search
from tests.tracking.test_changes import doings

PAGES = (
    {"filter": "metrics.loss > 0.2", "order_by": ["metrics.auc DESC"]},
    {"order_by": ["params.k1 ASC"], "max_results": 5},
    {"run_view_type": "ALL"},
)


def answered(ws: hs.Workspace) -> list[Any]:
    """The answers to some searches, lists in the order of their keys."""
    experiments = [str(each.id) for each in ws.tracking.list_experiments()]
    found = [json.loads(search(ws, Args({"experiment_ids": experiments, **page}))) for page in PAGES]
    for run in [run for answer in found for run in answer.get("runs", [])]:
        for entries in run["data"].values():
            entries.sort(key=lambda entry: entry["key"])
    return found


def test_a_search_answers_as_if_nothing_were_kept(any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace]):
    chance, other = random.Random(7), reopen()
    done = doings(any_ws, chance) + doings(other, chance)
    any_ws.tracking.create_run()
    for number in range(30):
        for _ in range(chance.randint(1, 3)):
            chance.choice(done)()
        expected = any_ws.db.write(lambda _: answered(any_ws))  # of what may be taken back, nothing is kept
        assert answered(any_ws) == expected, number
        assert answered(other) == expected, number
        assert answered(any_ws) == expected, number  # as it is kept by now
    assert len(expected[2]["runs"]) > 3


def test_a_run_is_made_once_until_it_changes(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    whole = shapes.encoded

    def counted(c: Any, seqs: Sequence[int]) -> dict[int, bytes]:
        made.append(len(seqs))
        return whole(c, seqs)

    monkeypatch.setattr(shapes, "encoded", counted)
    for number in range(5):
        any_ws.tracking.create_run(id=f"r{number}", name="first")
    args = Args({"experiment_ids": ["0"]})
    assert len(json.loads(search(any_ws, args))["runs"]) == 5
    assert search(any_ws, args) == search(any_ws, args)
    any_ws.tracking.set_tags("r1", {"a": "b"})
    assert b'"value":"b"' in search(any_ws, args)
    assert json.loads(bytes(runs.get(any_ws, Args({"run_id": "r1"}))["run"]))["info"]["run_id"] == "r1"
    assert made == [5, 1]


class World:
    """What a database would say: changes of runs one after another, seen by snapshots up to a number."""

    class Snapshot(NamedTuple):
        at: int

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.changes = chance, list[int]()
        self.kept, self.depth, self.found = KeptRuns(most_bytes=6 * 160), 0, 0

    def changed_ahead(self, c: Snapshot, since: Mark | None) -> Callable[[], tuple[Mark, set[int] | None]]:
        def changed() -> tuple[Mark, set[int] | None]:
            unknown = since is None or self.chance.random() < 0.05
            told = Mark(c.at, c.at), None if unknown else set(self.changes[since.low : c.at])
            self.meanwhile()
            return told

        self.meanwhile()
        return changed

    def encoded(self, c: Snapshot, seqs: Sequence[int]) -> dict[int, bytes]:
        seen = self.changes[: c.at]
        made = {seq: f"{seq}, {seen.count(seq)} times changed".encode() for seq in seqs}
        self.meanwhile()
        return made

    def meanwhile(self) -> None:
        """What other threads may do: change runs, and ask for some."""
        if self.depth < 3:
            self.depth += 1
            for _ in range(self.chance.randint(0, 2)):
                self.step()
            self.depth -= 1

    def step(self) -> None:
        if self.chance.random() < 0.4:
            self.changes.append(self.chance.randrange(8))
            return
        c = self.Snapshot(max(0, len(self.changes) - self.chance.choice((0, 0, 1, 3))))
        self.meanwhile()
        seqs = self.chance.sample(range(8), 5)
        seen = self.changes[: c.at]
        expected = [f"{seq}, {seen.count(seq)} times changed".encode() for seq in seqs]
        assert self.kept.ahead(c)(seqs) == expected  # type: ignore[arg-type]
        assert 0 <= self.kept.bytes <= 6 * 180
        self.found += 1


@pytest.mark.parametrize("seed", range(20))
def test_each_gets_what_its_own_snapshot_sees(seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "_REMEMBERED", 4)
    world = World(random.Random(seed))
    monkeypatch.setattr(kept, "changed_ahead", world.changed_ahead)
    monkeypatch.setattr(shapes, "encoded", world.encoded)
    for _ in range(150):
        world.step()
    assert world.found > 200
