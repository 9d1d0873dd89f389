from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.context import acting_as
from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused
from homeostat.core.events import events_after
from homeostat.registry import GateResult

Put = Callable[..., str]


@pytest.fixture
def model(any_ws: hs.Workspace, package: Put) -> hs.Workspace:
    digest = package(any_ws)
    for _ in range(4):
        any_ws.registry.register("m", digest)
    return any_ws


def test_an_alias_points_and_every_move_is_kept(model: hs.Workspace):
    with acting_as("ann"):
        model.registry.set_alias("m", "champion", 1, expect=0)
    model.registry.set_alias("m", "champion", 2, expect=1, reason="auc +0.02")
    assert model.registry.get_version("m", alias="champion").version == 2
    assert model.registry.get_version("m", 2).aliases == ["champion"]
    assert model.registry.list_models()[0].aliases == {"champion": 2}
    moves = model.registry.alias_history("m", "champion")
    assert [(m.previous, m.version, m.actor, m.reason) for m in moves] == [
        (1, 2, "local", "auc +0.02"),
        (None, 1, "ann", ""),
    ]
    told = [e.payload for e in events_after(model, 0) if e.name == "alias_moved"]
    assert told[-1] == {"model": "m", "alias": "champion", "version": 2, "previous": 1}


def test_a_move_may_be_repeated(model: hs.Workspace):
    assert model.registry.set_alias("m", "champion", 2).moved
    assert not model.registry.set_alias("m", "champion", 2, expect=1).moved
    assert len(model.registry.alias_history("m")) == 1


def test_a_move_on_an_outdated_view_is_a_conflict(model: hs.Workspace):
    model.registry.set_alias("m", "champion", 2)
    with pytest.raises(Conflict, match="points at version 2, not at 1"):
        model.registry.set_alias("m", "champion", 3, expect=1)
    with pytest.raises(Conflict, match="points at version 2, not at 0"):
        model.registry.set_alias("m", "champion", 3, expect=0)
    with pytest.raises(Conflict, match="points at nothing, not at 1"):
        model.registry.set_alias("m", "canary", 3, expect=1)


def test_a_refused_version_gets_no_alias(model: hs.Workspace):
    model.registry.record_gates("m", 3, [GateResult(gate="auc", passed=False, reason="auc 0.61 < 0.70")])
    with pytest.raises(Refused, match=r"refused by its gates: auc 0\.61 < 0\.70"):
        model.registry.set_alias("m", "champion", 3)


def test_removing_an_alias_is_a_move(model: hs.Workspace):
    model.registry.set_alias("m", "old", 1)
    assert model.registry.delete_alias("m", "old").previous == 1
    assert not model.registry.delete_alias("m", "old").moved
    assert [m.version for m in model.registry.alias_history("m")] == [None, 1]


def test_names_with_a_meaning_are_no_aliases(model: hs.Workspace):
    for name in ("latest", "v3", "a/b", ""):
        with pytest.raises(InvalidInput):
            model.registry.set_alias("m", name, 1)
    with pytest.raises(NotFound, match="has no version 9"):
        model.registry.set_alias("m", "champion", 9)
    with pytest.raises(NotFound, match="'x' is not registered"):
        model.registry.set_alias("x", "champion", 1)


# Each thread follows its own plan of versions; a move that finds another state looks again. Whatever the order, the
# kept moves form one chain: no move is lost, none happens on an outdated view.
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(plans=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=5), min_size=2, max_size=4))
def test_concurrent_moves_form_one_chain(model: hs.Workspace, plans: list[list[int]]):
    model.registry.delete_alias("m", "champion")
    before = len(model.registry.alias_history("m", limit=1_000_000))
    won: list[tuple[int | None, int]] = []

    def follow(plan: list[int]) -> None:
        for target in plan:
            while True:
                now = model.registry.list_models()[0].aliases.get("champion", 0)
                try:
                    move = model.registry.set_alias("m", "champion", target, expect=now)
                except Conflict:
                    continue
                if move.moved:
                    won.append((move.previous, target))
                break

    threads = [threading.Thread(target=follow, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moves = model.registry.alias_history("m", limit=1_000_000)[::-1][before:]
    chain = [(move.previous, move.version) for move in moves]
    assert sorted(chain, key=str) == sorted(won, key=str)
    at = None
    for previous, version in chain:
        assert previous == at
        at = version
    assert model.registry.get_version("m", alias="champion").version == at
