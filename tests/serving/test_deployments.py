"""The deployment verbs on each database: generations, routes, going back, events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused
from homeostat.core.events import events_after
from homeostat.core.lineage_facts import record_read
from homeostat.serving import (
    BanditPolicy,
    CanaryPolicy,
    Route,
    deploy,
    deployment_history,
    get_deployment,
    list_deployments,
    rollback,
    set_routes,
    start_bandit,
    start_canary,
    undeploy,
)
from homeostat.serving.routes import RouteTable, check_routes, position
from tests.serving.models import COLUMNS, register_logistic


def versions(ws: hs.Workspace, scratch: Path, count: int, model: str = "delay") -> None:
    for at in range(count):
        register_logistic(ws, scratch, model, np.full(3, float(at)))


def test_generations_grow_and_what_is_the_same_changes_nothing(any_ws: hs.Workspace, tmp_path: Path) -> None:
    versions(any_ws, tmp_path, 2)
    first = deploy(any_ws, "delay", 1, key="flight", sticky="key")
    assert (first.generation, first.champion, first.key, first.time, first.sticky) == (1, 1, "flight", "time", "key")
    assert deploy(any_ws, "delay", 1) == first
    second = deploy(any_ws, "delay")
    assert (second.generation, second.champion, second.key, second.salt) == (2, 2, "flight", first.salt)
    assert get_deployment(any_ws, "delay") == second
    assert list_deployments(any_ws) == [second]
    routes = [Route(version=2, weight=0.9), Route(version=1, weight=0.1, role="canary")]
    third = set_routes(any_ws, "delay", routes, expect_generation=2)
    assert third.routes == routes
    assert set_routes(any_ws, "delay", routes) == third
    with pytest.raises(Conflict, match="at generation 3, not 2"):
        set_routes(any_ws, "delay", [Route(version=1)], expect_generation=2)
    assert [(c.generation, c.reason) for c in deployment_history(any_ws, "delay")] == [
        (3, "routes"), (2, "deploy"), (1, "deploy"),
    ]  # fmt: skip
    told = [e.payload["generation"] for e in events_after(any_ws, 0, names=["deployment_changed"])]
    assert told == [1, 2, 3]


def test_rollback_walks_back_step_by_step(any_ws: hs.Workspace, tmp_path: Path) -> None:
    versions(any_ws, tmp_path, 4)
    for version in (1, 2, 3):
        deploy(any_ws, "delay", version)
    assert rollback(any_ws, "delay").champion == 2
    assert rollback(any_ws, "delay").champion == 1
    with pytest.raises(Refused, match="no earlier deployment"):
        rollback(any_ws, "delay")
    deploy(any_ws, "delay", 4)
    assert rollback(any_ws, "delay").champion == 1
    assert get_deployment(any_ws, "delay").generation == 7


def test_what_cannot_be_deployed_is_told(any_ws: hs.Workspace, tmp_path: Path) -> None:
    versions(any_ws, tmp_path, 2)
    for call in (get_deployment, rollback, undeploy):
        with pytest.raises(NotFound, match="model 'delay' is not deployed"):
            call(any_ws, "delay")
    with pytest.raises(NotFound, match="not deployed"):
        set_routes(any_ws, "delay", [Route(version=1)])
    with pytest.raises(NotFound, match="9"):
        deploy(any_ws, "delay", 9)
    with pytest.raises(NotFound):
        deploy(any_ws, "nobody")
    with pytest.raises(InvalidInput, match="'wind' is an input of model 'delay'"):
        deploy(any_ws, "delay", 1, key="wind")
    deploy(any_ws, "delay", 1)
    with pytest.raises(NotFound):
        set_routes(any_ws, "delay", [Route(version=1), Route(version=9, role="shadow")])
    assert get_deployment(any_ws, "delay").generation == 1


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ([], "has one champion; 0 were given"),
        ([Route(version=1, weight=0.5), Route(version=2, weight=0.5)], "has one champion; 2 were given"),
        ([Route(version=1, role="canary")], "has one champion; 0 were given"),
        ([Route(version=1), Route(version=1, weight=0, role="canary")], "names one twice"),
        ([Route(version=1), Route(version=2, weight=0.1, role="canary")], "add up to 1.1, not 1"),
        ([Route(version=1, weight=0.5)], "add up to 0.5, not 1"),
        ([Route(version=1, weight=1.5), Route(version=2, weight=-0.5, role="canary")], "not between 0 and 1"),
        ([Route(version=1, weight=float("nan"))], "not between 0 and 1"),
    ],
)
def test_routes_that_make_no_sense_are_refused(routes: list[Route], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_routes(routes)


def test_of_writers_that_race_one_wins_each_generation(
    any_ws: hs.Workspace, reopen: Callable[[], hs.Workspace], tmp_path: Path
) -> None:
    versions(any_ws, tmp_path, 2)
    start = deploy(any_ws, "delay", 1).generation
    outcomes: list[str] = []

    def change(ws: hs.Workspace, share: float) -> None:
        routes = [Route(version=1, weight=1 - share), Route(version=2, weight=share, role="canary")]
        try:
            set_routes(ws, "delay", routes, expect_generation=start)
            outcomes.append("won")
        except Conflict:
            outcomes.append("lost")

    places = [any_ws, reopen(), reopen(), any_ws]
    threads = [threading.Thread(target=change, args=(ws, (at + 1) / 10)) for at, ws in enumerate(places)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost", "lost", "lost", "won"]
    assert get_deployment(any_ws, "delay").generation == start + 1


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_place_on_the_circle_depends_on_salt_and_key_alone(salt: str, key: str) -> None:
    assert position(salt, key) == position(salt, key)
    assert 0 <= position(salt, key) < 1 << 64


def test_places_are_those_of_every_release() -> None:
    # A replay of last year's requests must meet last year's routing: these numbers may never change.
    assert position("salt", "request-1") == 18250865497551164806
    assert position("", "") == 13020603013274838756


@given(st.floats(0.01, 0.98), st.floats(0.01, 1.0))
def test_raising_a_canarys_weight_keeps_those_who_had_it(share: float, growth: float) -> None:
    more = share + (0.99 - share) * growth
    ids = [str(at) for at in range(200)]

    def chosen(weight: float) -> set[str]:
        routes = [Route(version=1, weight=1 - weight), Route(version=2, weight=weight, role="canary")]
        table = RouteTable(routes, {1: 1, 2: 2}, "salt", 1)
        return {id for id in ids if table.choose(id) == (2, "canary")}

    assert chosen(share) <= chosen(more)


def test_what_is_served_is_not_deleted(any_ws: hs.Workspace, tmp_path: Path) -> None:
    versions(any_ws, tmp_path, 3)
    deploy(any_ws, "delay", 1)
    set_routes(any_ws, "delay", [Route(version=1, weight=0.9), Route(version=2, weight=0.1, role="canary")])
    for version, role in ((1, "champion"), (2, "canary")):
        with pytest.raises(Refused, match=f"version {version} of 'delay' is deployed, as {role}") as refused:
            any_ws.registry.delete_version("delay", version)
        assert "homeostat serving deploy delay" in refused.value.hint
    any_ws.registry.delete_version("delay", 3)
    for change in (any_ws.registry.delete_model, lambda name: any_ws.registry.rename_model(name, "other")):
        with pytest.raises(Refused, match="is deployed") as refused:
            change("delay")
        assert "homeostat serving undeploy delay" in refused.value.hint
    undeploy(any_ws, "delay")
    any_ws.registry.delete_version("delay", 2)
    any_ws.registry.delete_model("delay")


def test_a_versions_lineage_names_where_it_is_and_was_served(any_ws: hs.Workspace, tmp_path: Path) -> None:
    with hs.run("train", ws=any_ws):
        record_read(any_ws, "table", "flights", 3)
        register_logistic(any_ws, tmp_path, "delay", np.zeros(3))
    register_logistic(any_ws, tmp_path, "delay", np.ones(3))
    deploy(any_ws, "delay", 1)
    deploy(any_ws, "delay", 2)
    graph = any_ws.lineage.of("model", "delay", 1)
    assert [(n.kind, n.label, n.version) for n in graph.nodes if n.kind != "run"] == [
        ("table", "flights", "3"), ("model", "delay", "1"), ("deployment", "delay", "1"),
    ]  # fmt: skip
    assert [n.label for n in graph.nodes if n.kind == "run"] == ["train", "delay-deploy-1"]
    back = any_ws.lineage.of("deployment", "delay", 2, direction="up")
    assert [(n.kind, n.version) for n in back.nodes if n.kind != "run"] == [("model", "2"), ("deployment", "2")]
    undeploy(any_ws, "delay")
    assert len(any_ws.lineage.of("model", "delay", 2).nodes) == 3


def test_a_canary_that_nobody_would_judge_is_not_returned_to(any_ws: hs.Workspace, tmp_path: Path) -> None:
    versions(any_ws, tmp_path, 4)
    deploy(any_ws, "delay", 1)
    for other in (2, 3):  # the second ends the first
        start_canary(any_ws, "delay", other)
    assert rollback(any_ws, "delay").routes == [Route(version=1)]
    with pytest.raises(Refused, match="no earlier deployment"):
        rollback(any_ws, "delay")
    start_canary(any_ws, "delay", 2)
    deploy(any_ws, "delay", 4)
    assert rollback(any_ws, "delay").routes == [Route(version=1)]
    start_bandit(any_ws, "delay", [1, 2])
    set_routes(any_ws, "delay", [Route(version=3), Route(version=2, role="shadow")])
    assert rollback(any_ws, "delay").routes == [Route(version=1)]


def test_a_rollback_to_a_version_that_was_deleted_says_so(ws: hs.Workspace, tmp_path: Path) -> None:
    versions(ws, tmp_path, 3)
    for version in (2, 3):
        deploy(ws, "delay", version)
    ws.registry.delete_version("delay", 2)
    with pytest.raises(Refused, match="the routes before name version 2 of 'delay', which was deleted"):
        rollback(ws, "delay")
    set_routes(ws, "delay", [Route(version=3), Route(version=1, role="shadow")])
    with pytest.raises(Refused, match="version 1 of 'delay' is deployed, as shadow") as raised:
        ws.registry.delete_version("delay", 1)
    assert "set_routes without it" in raised.value.hint
    assert get_deployment(ws, "delay").champion == 3


def test_what_would_fail_the_clients_of_the_champion_is_no_canary(ws: hs.Workspace, tmp_path: Path) -> None:
    versions(ws, tmp_path, 1)
    register_logistic(ws, tmp_path, "delay", np.ones(4), [*COLUMNS, "rain"])
    register_logistic(ws, tmp_path, "delay", np.ones(2), COLUMNS[:2])
    deploy(ws, "delay", 1)
    for start in (lambda: start_canary(ws, "delay", 2), lambda: start_bandit(ws, "delay", [2])):
        with pytest.raises(Refused, match="version 2 of 'delay' takes 'rain', which version 1 does not"):
            start()
    assert start_canary(ws, "delay", 3).routes[1].version == 3
    by_hand = [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")]
    assert set_routes(ws, "delay", by_hand).routes == by_hand


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "policy",
    [CanaryPolicy(weights=[NAN, 1.0]), CanaryPolicy(weights=[0.1, NAN]), CanaryPolicy(slow_ratio=NAN),
     CanaryPolicy(hold_s=INF), CanaryPolicy(error_margin=NAN), BanditPolicy(window_s=NAN), BanditPolicy(hold_s=INF)],
)  # fmt: skip
def test_policies_with_numbers_that_are_none_are_refused(
    ws: hs.Workspace, tmp_path: Path, policy: CanaryPolicy | BanditPolicy
) -> None:
    versions(ws, tmp_path, 2)
    before = deploy(ws, "delay", 1)
    start = (
        partial(start_canary, version=2) if isinstance(policy, CanaryPolicy) else partial(start_bandit, versions=[2])
    )
    with pytest.raises(InvalidInput):
        start(ws, "delay", policy=policy)
    assert list_deployments(ws) == [before]
