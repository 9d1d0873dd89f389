"""The canary: steps when harm is excluded, comes back when it is shown, and does neither in between."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.core.errors import InvalidInput
from homeostat.core.records import from_json, to_json
from homeostat.loop.canary import CanaryRule, decide_canary, move, read_steps
from homeostat.loop.facts import CanaryFacts
from homeostat.loop.model import Decision
from homeostat.monitoring.sequence import mean_sequence
from tests.loop.facts_of import DAY, NOW, canary_facts, paired

RULE = CanaryRule()


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, "step"),
        ({"together": paired(0.0, 0.01)}, "hold"),  # cannot tell
        ({"since": paired(-0.01, n=200)}, "hold"),  # too few for a step
        ({"step_since_ms": NOW - 60_000}, "hold"),  # too soon
        ({"since": None, "together": None}, "hold"),
        ({"since": paired(0.08)}, "roll_back"),
        ({"served": 100, "failed": 10}, "roll_back"),
        ({"served": 100, "failed": 2}, "step"),
        ({"served": 300, "p99": 900.0}, "roll_back"),
        ({"served": 300, "p99": 150.0}, "step"),  # a busy machine is no reason
        ({"together": paired(0.0, 0.01), "started_ms": NOW - 15 * DAY}, "roll_back"),
    ],
)
def test_hold_step_and_roll_back(changes: dict[str, object], action: str) -> None:
    assert move(canary_facts(**changes), RULE).action == action


def test_a_step_and_a_return_are_told() -> None:
    step = decide_canary(canary_facts(), RULE)
    assert step is not None
    assert (step.kind, step.headline) == ("canary", "v2 now takes 25% of the traffic.")
    last = decide_canary(canary_facts(step=1, since=paired(-0.01, n=700)), RULE)
    assert last is not None
    assert last.headline == "v2 serves everything now."
    back = decide_canary(canary_facts(served=100, failed=10), RULE)
    assert back is not None
    assert (back.kind, back.headline) == ("roll_back", "v2 is taken back; v1 serves everything again.")
    assert "10 of its 100 answers were errors" in back.reason
    assert decide_canary(canary_facts(since=paired(0.0, n=100)), RULE) is None


def test_a_canary_decision_is_a_function_of_its_recorded_facts() -> None:
    facts = canary_facts()
    again = decide_canary(from_json(to_json(facts), CanaryFacts), from_json(to_json(RULE), CanaryRule))
    assert again == from_json(to_json(decide_canary(facts, RULE)), Decision)


def test_steps_are_read_or_refused() -> None:
    assert read_steps("canary 10% 100%") == [0.1, 1.0]
    for wrong in ("canary 5% 25%", "canary 25% 5% 100%", "canry 5% 100%", "canary 0% 100%"):
        with pytest.raises(InvalidInput, match=r"promote\.by"):
            read_steps(wrong)


def walk(seed: int, drift: float) -> str:
    """A canary looked at after every ninety rows until it steps three times, returns, or two weeks are over."""
    rng = np.random.default_rng(seed)
    differences = rng.normal(drift, 0.15, 60 * 14 * 3)
    step = 0
    for n in range(90, differences.size, 90):
        seen = mean_sequence(differences[:n], RULE.tuned_rows)
        at = NOW + n * 4 * 60_000
        found = paired(seen.value, seen.se, n, 400)
        facts = canary_facts(at_ms=at, step=step, step_since_ms=at - DAY, started_ms=NOW, since=found, together=found)
        done = move(facts, RULE).action
        if done == "roll_back":
            return "back"
        step += done == "step"
        if step == len(RULE.steps) - 1:
            return "in"
    return "between"


def test_equal_canaries_are_not_thrown_out_and_harmful_ones_are_not_let_in() -> None:
    equal = [walk(seed, 0.0) for seed in range(100)]
    harmful = [walk(seed, 0.03) for seed in range(100)]
    assert equal.count("back") <= 5
    assert harmful.count("in") <= 5
    assert harmful.count("back") >= 80
    assert [walk(seed, -0.02) for seed in range(30)].count("in") >= 29
