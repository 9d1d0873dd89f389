from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.context import acting_as
from homeostat.core.errors import Conflict, InvalidInput, PermissionDenied, Refused
from homeostat.registry import GateResult, store

Put = Callable[..., str]


@pytest.fixture
def model(any_ws: hs.Workspace, package: Put) -> hs.Workspace:
    """A workspace with model `m` of two versions; `champion` at 1 moves only when two of ann, bob and eve agree."""
    for content in "ab":
        any_ws.registry.register("m", package(any_ws, content))
    any_ws.registry.set_alias("m", "champion", 1)
    any_ws.registry.set_rule("m", "champion", 2, approvers=["ann", "bob", "eve"])
    return any_ws


def agree(ws: hs.Workspace, actor: str, id: str):
    with acting_as(actor):
        return ws.registry.approve(id, reason="looked at it")


def test_enough_approvals_move_the_alias(model: hs.Workspace):
    asked = model.registry.request_alias("m", "champion", 2, reason="auc +0.02")
    assert (asked.status, asked.missing) == ("open", "2 more approvals, of ann, bob, eve")
    assert agree(model, "ann", asked.id).missing == "1 more approval, of bob, eve"
    assert agree(model, "ann", asked.id).status == "open"  # twice is once
    assert model.registry.get_model("m").aliases == {"champion": 1}
    assert agree(model, "eve", asked.id).status == "moved"
    assert model.registry.get_model("m").aliases == {"champion": 2}
    actions = [(e.action, e.actor) for e in model.registry.history("m")[:5]]
    assert actions == [
        ("alias_approved", "eve"), ("alias_moved", "eve"), ("alias_approved", "ann"), ("alias_approved", "ann"),
        ("alias_requested", "local"),
    ]  # fmt: skip
    with pytest.raises(Conflict, match="has ended: moved"):
        agree(model, "bob", asked.id)


def test_without_approval_nothing_moves_the_alias(model: hs.Workspace):
    with pytest.raises(Refused, match="moves only with approval: 2 of ann, bob, eve"):
        model.registry.set_alias("m", "champion", 2)
    for attempt in (
        lambda: model.registry.delete_alias("m", "champion"),
        lambda: model.registry.delete_version("m", 1),
        lambda: model.registry.delete_model("m"),
    ):
        with pytest.raises(Refused, match="only with approval"):
            attempt()
    assert not model.registry.set_alias("m", "champion", 1).moved
    assert model.registry.set_alias("m", "canary", 2).moved
    model.registry.set_rule("m", "champion", 0)
    assert model.registry.set_alias("m", "champion", 2).moved


def test_who_may_vote(model: hs.Workspace):
    with acting_as("ann"):
        asked = model.registry.request_alias("m", "champion", 2, reason="better")
        assert asked.missing == "2 more approvals, of bob, eve"
        with pytest.raises(PermissionDenied, match="asked for this move"):
            model.registry.approve(asked.id)
    with pytest.raises(PermissionDenied, match="has no vote"):
        agree(model, "mallory", asked.id)
    with pytest.raises(InvalidInput, match="needs a reason"):
        model.registry.reject(asked.id, reason=" ")
    with acting_as("bob"):
        assert model.registry.reject(asked.id, reason="latency").status == "rejected"
    assert [r.status for r in model.registry.list_requests("m")] == ["rejected"]
    assert model.registry.list_requests("m", status="open") == []


def test_requests_end_with_time_and_with_the_world(model: hs.Workspace):
    model.registry.set_rule("m", "canary", 1, own=True)
    late = model.registry.request_alias("m", "canary", 2, reason="try it")
    first = model.registry.request_alias("m", "canary", 1, reason="or this one")
    assert model.registry.approve(first.id).status == "moved"
    with pytest.raises(Conflict, match="has ended: overtaken"):
        model.registry.approve(late.id)
    old = model.registry.request_alias("m", "canary", None, reason="no longer used")

    def age(c: sa.Connection) -> None:
        text = c.execute(sa.select(store.request.c.record).where(store.request.c.id == old.id)).scalar_one()
        aged = text.replace(f'"expires_ms":{old.expires_ms}', '"expires_ms":1')
        c.execute(sa.update(store.request).where(store.request.c.id == old.id).values(record=aged))

    model.db.write(age)
    with pytest.raises(Conflict, match="has ended: expired"):
        model.registry.approve(old.id)


def test_a_refused_version_is_not_approved_either(model: hs.Workspace):
    model.registry.record_gates("m", 2, [GateResult(gate="auc", passed=False, reason="too low")])
    asked = model.registry.request_alias("m", "champion", 2, reason="hope")
    agree(model, "ann", asked.id)
    with pytest.raises(Refused, match="refused by its gates: too low"):
        agree(model, "bob", asked.id)
    assert [len(r.votes) for r in model.registry.list_requests("m")] == [1]


def test_rules_that_cannot_be_met(model: hs.Workspace):
    for needed, approvers, expires_s in ((3, ["a", "b"], 3600), (-1, [], 3600), (1, [], 5)):
        with pytest.raises(InvalidInput, match="no rule that can be met"):
            model.registry.set_rule("m", "champion", needed, approvers, expires_s)
    with pytest.raises(InvalidInput, match="moves without approval"):
        model.registry.request_alias("m", "other", 1, reason="x")


def test_an_altered_history_shows(model: hs.Workspace):
    assert model.registry.verify_history("m").intact
    first = min(entry.id for entry in model.registry.history("m"))
    model.db.write(
        lambda c: c.execute(sa.update(store.history).where(store.history.c.id == first).values(actor="nobody"))
    )
    check = model.registry.verify_history("m")
    assert not check.intact and check.broken_at == first
