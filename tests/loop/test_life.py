"""The whole loop in simulated time, with real models, a real log, real pipelines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.loop.canary import CanaryRule
from homeostat.loop.facts import CanaryFacts
from homeostat.loop.model import Decision
from homeostat.loop.rollout import move_on
from homeostat.serving import get_deployment
from tests.loop.conftest import CONFIG, PIPELINE, Life
from tests.monitoring.world import DAY, START, World, log_rows

ALL_PAST = CONFIG.replace("windows: [all, last-20d]", "windows: [all]")
HASTY = -3  # a first model of three days only: anything that learns from all history is better


def test_a_steady_world_is_left_alone(live: Callable[..., Life], ws: hs.Workspace) -> None:
    made = live(World(-40, 70, per_day=130)).days(0, 22)
    assert [d.kind for d in made] == ["wait"] * 3
    assert [(d.at_ms - START) // DAY for d in made] == [7, 14, 21]
    assert get_deployment(ws, "m").champion == 1
    assert ws.loop.status("m").state == "holding"


def test_a_turned_world_is_learnt_again_let_in_by_steps_and_better_after(
    live: Callable[..., Life], ws: hs.Workspace
) -> None:
    life = live(World(-40, 80, per_day=130, turn_day=6))
    made = life.days(0, 36)
    kinds = [d.kind for d in made]
    assert kinds[:5] == ["wait", "wait", "retrain", "promote", "canary"], [(d.kind, d.headline) for d in made]
    assert made[1].headline == "AUC is out of its limit, but a new model would not help."  # it has seen too little yet
    retrain, promote, canary = made[2:5]
    assert "learning again is expected to help" in retrain.headline
    assert promote.challenger == 2
    assert promote.expected is not None
    assert promote.expected.lo is not None and promote.expected.lo > 0
    assert canary.headline == "v2 serves everything now."
    assert get_deployment(ws, "m").champion == 2
    assert ws.registry.get_version("m", alias="champion").version == 2

    # What it brought is measured on days that nobody had seen.
    told = next(d for d in ws.loop.decisions("m") if d.id == promote.id)
    assert told.realised is not None
    assert told.realised.lo is not None and told.realised.lo > 0

    weeks = ws.loop.quality_history("m")
    assert len(weeks) == 5
    assert weeks[0].live == weeks[0].frozen
    last = weeks[-1]
    assert last.live is not None and last.frozen is not None
    assert last.live > last.frozen + 0.1

    for decision in ws.loop.decisions("m"):
        found = ws.loop.why(decision.id)
        assert found.recomputed
        assert found.same, decision

    status = ws.loop.status("m")
    assert status.champion == 2
    assert [s.name for s in status.stages] == ["data", "features", "train", "validate", "serve", "watch"]
    assert len(status.variables[0].history) == 36
    names = [row.name for row in ws.db.read(lambda c: c.exec_driver_sql("select name from core_event").all())]
    assert names.count("decision_made") == len(ws.loop.decisions("m"))
    assert "variable_changed" in names


def test_a_look_again_changes_nothing_and_the_past_is_not_rewritten(
    live: Callable[..., Life], ws: hs.Workspace
) -> None:
    life = live(World(-40, 60, per_day=130))
    made = life.days(0, 8)
    events = ws.db.read(lambda c: c.exec_driver_sql("select count(*) from core_event").scalar())
    assert life.look(6) == made
    assert ws.db.read(lambda c: c.exec_driver_sql("select count(*) from core_event").scalar()) == events
    with pytest.raises(Refused, match="would rewrite"):
        ws.loop.review("m", at_ms=START + 7 * DAY + 5)


def test_broken_inputs_stop_the_learning_and_are_named(live: Callable[..., Life], ws: hs.Workspace) -> None:
    import polars as pl

    world = World(-60, 90, turn_day=2)
    life = live(world)
    world.rows = world.rows.with_columns(rain=pl.when(pl.col("time_ms") >= START).then(None).otherwise(pl.col("rain")))
    made = life.days(0, 8)
    assert [d.kind for d in made] == ["fix_data"]
    assert made[0].headline == "Rain is broken: mend it before anything learns from it."


def test_a_worse_version_offered_is_refused_by_the_same_rule(live: Callable[..., Life], ws: hs.Workspace) -> None:
    life = live(World(-40, 60, per_day=130))
    life.days(0, 9)
    poor = life.world.learn(ws, "m", 0, since_day=-3)
    at = START + 9 * DAY + 1
    refused = ws.loop.offer("m", poor, at_ms=at)
    assert refused.kind == "refuse"
    assert ws.loop.offer("m", poor, at_ms=at) == refused
    assert ws.loop.why(refused.id).same
    assert get_deployment(ws, "m").champion == 1
    with pytest.raises(Refused, match="is the champion"):
        ws.loop.offer("m", 1, at_ms=at)


def test_a_failed_training_is_told_and_the_champion_stays(
    live: Callable[..., Life], ws: hs.Workspace, project: Path
) -> None:
    life = live(World(-40, 60, per_day=130), ALL_PAST, HASTY)
    broken = PIPELINE.replace('rows = ws.data.read_table("examples")', "raise ValueError('no such examples')")
    (project / "project.py").write_text(broken)
    made = life.days(0, 8)
    assert [d.kind for d in made] == ["retrain", "refuse"]
    assert made[1].headline == "Learning again failed; the champion stays."
    assert get_deployment(ws, "m").champion == 1
    assert ws.loop.why(made[1].id).same


def test_a_person_must_agree_where_one_is_named(live: Callable[..., Life], ws: hs.Workspace) -> None:
    life = live(
        World(-40, 60, per_day=130), ALL_PAST.replace("step_rows: 150", "step_rows: 150, approve: [Ada]"), HASTY
    )
    made = life.days(0, 8)
    assert [d.kind for d in made] == ["retrain", "wait"]
    assert "waits for a yes from Ada" in made[1].headline
    assert get_deployment(ws, "m").routes[0].weight == 1.0
    agreed = ws.loop.approve("m", 2, at_ms=START + 8 * DAY + 1)
    assert agreed.kind == "promote"
    assert [r.weight for r in get_deployment(ws, "m").routes] == [0.9, 0.1]


def test_a_rule_on_the_champion_makes_the_loop_ask_and_go_on(live: Callable[..., Life], ws: hs.Workspace) -> None:
    life = live(World(-40, 60, per_day=130), ALL_PAST, HASTY)
    ws.registry.set_alias("m", "champion", 1)
    ws.registry.set_rule("m", "champion", needed=1, approvers=["ada"])
    made = life.days(0, 8)
    assert [d.kind for d in made] == ["retrain", "wait"]
    assert "waits for a yes from 1 of ada" in made[1].headline
    (asked,) = ws.registry.list_requests("m")
    assert (asked.status, asked.version, asked.actor, asked.reason) == ("open", 2, "loop", made[1].headline)
    assert ws.loop.approve("m", 2, at_ms=START + 8 * DAY + 1).kind == "wait"
    assert len(ws.registry.list_requests("m")) == 1
    assert ws.loop.review("m", at_ms=START + 8 * DAY + 2) == []
    with acting_as("ada"):
        assert ws.registry.approve(asked.id).status == "moved"
    (let_in,) = ws.loop.review("m", at_ms=START + 8 * DAY + 3)
    assert (let_in.kind, let_in.challenger) == ("promote", 2) and ws.loop.why(let_in.id).same
    assert [r.weight for r in get_deployment(ws, "m").routes] == [0.9, 0.1]
    assert ws.registry.get_model("m").aliases == {"champion": 2}
    # What goes back asks as well, and does not wait with the routes.
    back = Decision(
        id="back", model="m", kind="roll_back", at_ms=START, headline="worse", reason="", evidence=[],
        rule=let_in.rule, alternatives=[], champion=1, challenger=2, expected=None, realised=None, next_review_ms=0,
    )  # fmt: skip
    facts = CanaryFacts(
        model="m", at_ms=START, champion=1, canary=2, step=0, step_since_ms=0, started_ms=0, since=None, together=None,
        served=0, failed=0, champion_served=0, champion_failed=0, p99=None, champion_p99=None,
    )  # fmt: skip
    move_on(ws, back, facts, CanaryRule(steps=[0.1, 1.0]))
    assert [r.version for r in get_deployment(ws, "m").routes] == [1]
    assert ws.registry.list_requests("m", "open")[0].version == 1
    for version, why in ((1, "is deployed, as champion"), (2, "which the loop holds")):
        with pytest.raises(Refused, match=why):
            ws.registry.delete_version("m", version)


def test_nothing_declared_and_nothing_deployed(ws: hs.Workspace) -> None:
    with pytest.raises(NotFound, match="not declared"):
        ws.loop.review("m")
    ws.loop.apply("model: m\nhold: [auc >= 0.7 over 14d]")
    with pytest.raises(NotFound, match="not deployed"):
        ws.loop.review("m")
    assert ws.loop.list_models()[0].state == "unknown"
    from homeostat.loop import run_due

    assert run_due(ws) == 0


def test_a_moment_still_to_come_is_refused_and_later_looks_are_not_forbidden(
    live: Callable[..., Life], ws: hs.Workspace
) -> None:
    live(World(-40, 60, per_day=130), CONFIG.replace("clock: replay", ""))
    for at in (2**47, 2**63 - 1, -1):
        with pytest.raises(InvalidInput, match="no time"):
            ws.loop.review("m", at_ms=at)
    for ask in (lambda at: ws.loop.review("m", at_ms=at), lambda at: ws.loop.offer("m", 1, at_ms=at)):
        with pytest.raises(InvalidInput, match="still to come"):
            ask(2**47 - 1)
    assert ws.loop.review("m", at_ms=START + DAY) == []


def test_one_prediction_with_an_odd_time_does_not_make_weeks_of_nothing(
    live: Callable[..., Life], ws: hs.Workspace
) -> None:
    life = live(World(-40, 60, per_day=130))
    old = life.world.between(0, 1).head(1).with_columns(time_ms=pl.lit(3 * DAY), id=pl.lit("odd"))
    log_rows(ws, "m", 1, old, np.zeros(1), plane="odd")
    life.answer(0)
    ws.loop.review("m", at_ms=START + 15 * DAY)
    odd, real = ws.loop.quality_history("m")
    assert (odd.at_ms, odd.n) == (10 * DAY, 0)
    assert real.n > 50
