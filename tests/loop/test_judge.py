"""Promotion and refusal: the conditions one by one, and how often an equal model gets through."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.core.errors import InvalidInput
from homeostat.core.records import from_json, to_json
from homeostat.loop.facts import Gap, Guard, JudgeFacts, SliceGap
from homeostat.loop.judge import JudgeRule, judge, lower_bound, read_conditions
from homeostat.loop.model import Decision
from homeostat.monitoring.auc_gap import auc_gap
from tests.loop.facts_of import DAY, NOW, gap, judge_facts

RULE = JudgeRule()


def test_a_better_challenger_is_promoted_and_the_record_says_on_what() -> None:
    slices = [SliceGap(column="carrier", level="YV", value=-0.005, lo=-0.03, hi=0.02, n=400)]
    made = judge(judge_facts(slices=slices), RULE)
    assert made.kind == "promote"
    assert made.headline == "v2 is better where it counts, and nowhere worse."
    assert "+0.027 AUC on 12,000 rows of the last 14 days, which neither has learnt from" in made.reason
    assert made.expected is not None


def test_a_worse_challenger_is_refused_in_plain_words() -> None:
    made = judge(judge_facts(gap=gap(-0.021, 0.006), learnt="the last 60 days only"), RULE)
    assert made.kind == "refuse"
    assert made.headline == "Learnt from the last 60 days only, v2 is worse than v1."
    assert "(95 %: −0.027 to −0.015)" in made.reason
    assert made.expected is None


def test_a_gain_whose_plain_interval_lies_above_zero_is_doubted_aloud() -> None:
    seen = gap(0.018, 0.0088)
    assert seen.lo > 0.0
    made = judge(judge_facts(gap=seen, offers_before=9), JudgeRule())
    assert made.kind == "refuse"
    assert made.headline.endswith("is not surely better than v1.")
    assert "and for nine earlier challengers, only a gain above −0.0" in made.reason
    assert "Allowing" not in judge(judge_facts(gap=gap(0.004, 0.006)), JudgeRule()).reason


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gap": gap(0.004, 0.0037)}, "not surely better"),
        ({"gap": None}, "too few to judge on"),
        ({"gap": gap(0.03, n=500)}, "too few to judge on"),
        ({"gates_failed": ["leakage"]}, "the gate 'leakage' failed"),
        ({"explained": None}, "nothing explains"),
        ({"top_feature": "arr_delay"}, "hangs on arr_delay"),
        ({"slices": [SliceGap(column="carrier", level="YV", value=-0.05, lo=-0.08, hi=-0.02, n=900)]}, "YV is worse"),
        ({"calibration": Guard(name="calibration_error", old=0.02, new=0.06, new_lo=0.05, limit=0.03)}, "off by 0.060"),
        ({"latency": Guard(name="latency_p99", old=5.0, new=90.0, limit=20.0)}, "it answers in"),
        ({"size": Guard(name="size", old=1e6, new=9e8)}, "it weighs 900 MB"),
    ],
)  # fmt: skip
def test_each_condition_alone_refuses(changes: dict[str, object], says: str) -> None:
    made = judge(judge_facts(**changes), RULE)
    assert made.kind == "refuse"
    assert any(says in a.why_not for a in made.alternatives), made.alternatives


def test_guards_forgive_what_is_not_worse_than_before_or_not_certain() -> None:
    calibration = Guard(name="calibration_error", old=0.07, new=0.06, new_lo=0.05, limit=0.03)
    slices = [SliceGap(column="carrier", level="YV", value=-0.05, lo=-0.2, hi=0.1, n=60)]
    latency = Guard(name="latency_p99", old=30.0, new=50.0, limit=20.0)
    assert judge(judge_facts(calibration=calibration, slices=slices, latency=latency), RULE).kind == "promote"


def test_a_person_must_agree_where_one_is_named() -> None:
    rule = JudgeRule(approve="Ada")
    assert judge(judge_facts(), rule).kind == "wait"
    assert judge(judge_facts(approved_by="Ada"), rule).kind == "promote"


def test_every_challenger_met_before_raises_the_bar() -> None:
    bounds = [lower_bound(gap(0.01), k, RULE) for k in range(5)]
    assert bounds == sorted(bounds, reverse=True)


def test_a_verdict_is_a_function_of_its_recorded_facts() -> None:
    for facts in (judge_facts(), judge_facts(gap=gap(-0.02)), judge_facts(gap=None)):
        made = judge(facts, RULE)
        again = judge(from_json(to_json(facts), JudgeFacts), from_json(to_json(RULE), JudgeRule))
        assert again == from_json(to_json(made), Decision)


def test_conditions_are_read_or_refused_with_what_to_write() -> None:
    rule = read_conditions(["better", "no_slice_worse_by 0.03", "explained"], RULE)
    assert (rule.min_gain, rule.slice_worse_by, rule.explained) == (0.0, 0.03, True)
    assert read_conditions(["better"], RULE).slice_worse_by is None
    for wrong in ("beter", "no_slice_worse_by", "explained 3"):
        with pytest.raises(InvalidInput, match=r"promote\.when"):
            read_conditions([wrong], RULE)


def test_equal_models_offered_every_day_for_two_months_are_promoted_in_five_runs_of_a_hundred_at_most() -> None:
    """Two models that err alike, a new look each day at the last fortnight; days are easier or harder together."""
    rng = np.random.default_rng(71)
    runs, days, rows, window = 60, 60, 60, 14
    promoted = 0
    for _ in range(runs):
        day = np.repeat(np.arange(days), rows)
        y = rng.random(day.size) < np.clip(0.25 + 0.1 * rng.normal(size=days), 0.05, 0.9)[day]
        signal = rng.normal(size=day.size) + y
        old, new = (signal + 0.6 * rng.normal(size=day.size) for _ in range(2))
        for look, last in enumerate(range(window, days + 1)):
            here = (day >= last - window) & (day < last)
            found = auc_gap(y[here], old[here], new[here], day[here], resamples=200, seed=0)
            at = NOW + last * DAY
            seen = Gap(
                champion=found.champion, challenger=found.challenger, value=found.gap.value, lo=found.gap.lo,
                hi=found.gap.hi, se=found.gap.se, n=found.gap.n, days=found.blocks, from_ms=at - 14 * DAY, to_ms=at,
            )  # fmt: skip
            if judge(judge_facts(gap=seen, at_ms=at, offers_before=look), JudgeRule(min_n=100)).kind == "promote":
                promoted += 1
                break
    assert promoted / runs <= 0.05
