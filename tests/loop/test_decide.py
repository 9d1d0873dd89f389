"""The decision table: what is decided on what evidence, and that it is said in words with the numbers in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.core.records import from_json, to_json
from homeostat.loop.decide import ReviewRule, decide
from homeostat.loop.facts import Estimated, Fault, Labels, Moved, ReviewFacts
from homeostat.loop.model import Decision
from tests.loop.facts_of import DAY, NOW, gap, review_facts, variable

RULE = ReviewRule()
NINE = [Moved(name=f"x{i}", effect=0.2, importance=0.1, why="20% of rows would have to change") for i in range(9)]


def test_a_quiet_month_with_nine_moved_inputs_is_waited_through() -> None:
    made = decide(review_facts(moved=NINE), RULE)
    assert made.kind == "wait"
    assert made.headline == "Nine inputs moved, the model did not suffer."
    assert "AUC 0.763 ± 0.009 against 0.72 over 14 days" in made.reason
    assert "gains nothing worth having" in made.reason
    assert made.next_review_ms == NOW + 14 * DAY


def test_drift_alone_never_retrains_however_strong() -> None:
    everything = [Moved(name=f"x{i}", effect=1.0, importance=0.02, why="all of it") for i in range(54)]
    assert decide(review_facts(moved=everything, gap=None), RULE).kind == "wait"


@pytest.mark.parametrize(
    ("state", "found", "kind"),
    [
        ("within", gap(0.020), "retrain"),  # holds, but a challenger pays
        ("within", gap(0.007), "wait"),  # surely a gain, but less than is worth it
        ("within", gap(0.020, half=0.03), "wait"),  # a gain within its uncertainty
        ("at_risk", gap(0.020), "retrain"),
        ("at_risk", gap(0.020, half=0.03), "wait"),
        ("at_risk", None, "wait"),
        ("out", gap(0.028, half=0.03), "retrain"),  # out: a likely gain is enough
        ("out", gap(0.010, half=0.03), "wait"),  # out, and the gain may be luck
        ("out", gap(-0.01), "wait"),  # out, and a new model would not help
        ("out", None, "retrain"),  # nothing to ask, but fresh labels
    ],
)
def test_limits_and_gap_together_decide_on_retraining(state: str, found: object, kind: str) -> None:
    facts = review_facts(variables=[variable(state=state, value=0.728)], gap=found)
    assert decide(facts, RULE).kind == kind


def test_retraining_is_told_with_the_limit_the_gap_and_the_drift_behind_it() -> None:
    moved = [Moved(name=n, effect=0.3, importance=0.1, why="moved") for n in ("temp", "dewp", "route delay")]
    made = decide(
        review_facts(variables=[variable(state="at_risk", value=0.728)], gap=gap(0.027, 0.005), moved=moved), RULE
    )
    assert made.headline == "AUC is at risk, and learning again is expected to help."
    assert made.reason == (
        "AUC is at risk: 0.728 ± 0.009 against 0.72 over 14 days. Inputs are sound. A quick challenger on all history "
        "gains +0.022 to +0.032 AUC. Drift behind it: temp, dewp and route delay."
    )
    assert made.expected is not None
    assert made.expected.lo == pytest.approx(0.022)
    assert [a.kind for a in made.alternatives] == ["wait"]


def test_out_without_a_challenger_and_without_fresh_labels_waits() -> None:
    labels = Labels(matured=12000, since=100, overdue=0.0, predictions=12500)
    assert (
        decide(review_facts(variables=[variable(state="out", value=0.6)], gap=None, labels=labels), RULE).kind == "wait"
    )


def test_broken_inputs_come_before_everything_and_name_source_and_version() -> None:
    fault = Fault(source="weather", what="temp: every value is missing", version="weather/12")
    made = decide(review_facts(variables=[variable(state="out", value=0.6)], gap=gap(0.05), faults=[fault]), RULE)
    assert made.kind == "fix_data"
    assert "Weather is broken" in made.headline
    assert "since weather/12" in made.reason
    assert any(e.kind == "input" and e.data == ["weather/12"] for e in made.evidence)


def test_the_budget_holds_retraining_back_and_says_so() -> None:
    made = decide(review_facts(gap=gap(0.03), retrains_ms=[NOW - 3 * DAY]), RULE)
    assert made.kind == "wait"
    assert "It last learnt 3 days ago, and may do so once in 7 days" in made.reason
    assert decide(review_facts(gap=gap(0.03), retrains_ms=[NOW - 7 * DAY]), RULE).kind == "retrain"
    assert decide(review_facts(gap=gap(0.03), pipeline=None), RULE).kind == "wait"


def test_overdue_labels_are_asked_for_young_ones_are_waited_for() -> None:
    unknown = [variable(state="unknown", value=None, n=10)]
    overdue = Labels(matured=10, since=10, overdue=0.97, predictions=5000, asked=["f1", "f2"])
    made = decide(review_facts(variables=unknown, gap=None, labels=overdue), RULE)
    assert made.kind == "collect"
    assert "f1 and f2" in made.reason
    young = Labels(matured=10, since=10, overdue=0.0, predictions=5000)
    estimate = [Estimated(measure="auc", value=0.741, n=5000, track=0.006, tracked=4)]
    made = decide(review_facts(variables=unknown, gap=None, labels=young, estimated=estimate), RULE)
    assert made.kind == "wait"
    assert "AUC should be 0.741 if the scores still mean what they meant" in made.reason
    assert "off by 0.006 on average in four windows" in made.reason


def test_latency_out_of_its_limit_is_told_but_is_no_reason_to_learn() -> None:
    slow = variable("latency_p99", state="out", value=40.0)
    made = decide(review_facts(variables=[variable(), slow], gap=gap(0.0)), RULE)
    assert made.kind == "wait"
    assert made.headline == "Quality holds; latency p99 is out of its limit."


def test_a_canary_on_its_way_is_let_finish() -> None:
    assert decide(review_facts(canary=2, gap=gap(0.05)), RULE).headline == "v2 is being let in; one change at a time."


some_facts = st.builds(
    lambda state, value, half, moved, overdue, canary, retrain: review_facts(
        variables=[variable(state=state, value=None if state == "unknown" else 0.72)],
        gap=None if value is None else gap(value, half),
        moved=NINE[:moved],
        labels=Labels(matured=900, since=5000, overdue=overdue, predictions=5000),
        canary=canary,
        retrains_ms=[NOW - retrain * DAY],
    ),
    st.sampled_from(["unknown", "within", "at_risk", "out"]),
    st.none() | st.floats(-0.1, 0.1),
    st.floats(0.0001, 0.05),
    st.integers(0, 9),
    st.floats(0, 1),
    st.none() | st.just(2),
    st.integers(0, 30),
)


@settings(max_examples=200)
@given(some_facts)
def test_a_decision_is_a_function_of_its_recorded_facts(facts: ReviewFacts) -> None:
    made = decide(facts, RULE)
    again = decide(from_json(to_json(facts), ReviewFacts), from_json(to_json(RULE), ReviewRule))
    assert again == from_json(to_json(made), Decision)
    assert made.headline.endswith(".")
    assert made.reason
    assert made.alternatives
