"""`homeostat.yaml`: the design's own example is read, and every mistake is named with the nearest right word."""

from __future__ import annotations

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.loop.applied import applied
from homeostat.loop.config import read_config

DAY = 86_400_000
DESIGN = """
model: flight-delay
predict: late
pipeline: pipeline:train
data: {table: flights, time: sched_dep, key: flight_id}
features: [calendar, plane, weather, recent_delays]
labels: {from: arrivals, within: 24h}
hold:
  - auc >= 0.72 over 14d
  - calibration_error <= 0.03 over 14d
  - auc[carrier] >= 0.65 over 28d
  - latency_p99 <= 20ms over 1h
  - errors <= 0.1% over 1h
  - freshness(weather) <= 2h
learn:
  windows: [all, since-change, last-60d]
  tune: {trials: 20, budget: 10m}
  at_most: 1 per 7d
promote:
  when: [better, no_slice_worse_by 0.02, explained]
  by: canary 5% 25% 100%
  approve: []
notify: ["${SLACK_WEBHOOK}"]
"""


def test_the_designs_example_is_read_with_its_rules() -> None:
    config = read_config(DESIGN)
    assert [v.measure for v in config.variables][:2] == ["auc", "calibration_error"]
    assert config.review_rule().at_most_per_ms == 7 * DAY
    assert config.judge_rule().slice_worse_by == 0.02
    assert config.canary_rule().steps == [0.05, 0.25, 1.0]
    assert config.sliced_by == ["carrier"]
    assert config.training is not None
    assert config.training.target == "late"
    assert config.notify == ["${SLACK_WEBHOOK}"]


def test_model_and_hold_are_enough() -> None:
    config = read_config("model: m\nhold: [auc >= 0.7 over 14d]")
    assert config.clock == "real"
    assert config.judge_ms == 14 * DAY


@pytest.mark.parametrize(
    ("change", "says", "hint"),
    [
        ("modle: x", "no key 'modle'", "did you mean 'model'?"),
        ("learn: {at_mots: 1 per 7d}", "no key 'learn.at_mots'", "'at_most'"),
        ("labels: {form: x}", "no key 'labels.form'", "'from'"),
        ("learn: {at_most: often}", "learn.at_most: 'often'", "1 per 7d"),
        ("learn: {windows: [last-60]}", "'60' is not a length of time", "14d"),
        ("learn: {windows: [recent]}", "'recent' is not a window", "last-60d"),
        ("learn: {review: soon}", "learn.review: 'soon'", "14d"),
        ("learn: {quick_rows: 10}", "learn.quick_rows: 10 rows", "1000 or more"),
        ("promote: {by: canary 5% 25%}", "promote.by", "canary 5% 25% 100%"),
        ("promote: {when: [nicer]}", "promote.when: 'nicer'", "better"),
        ("pipeline: train", "names no function", "module:function"),
        ("clock: fast", "clock", ""),
        ("hold: []", "hold: is empty", "auc"),
        ("hold: [acu >= 0.7 over 14d]", "no measure 'acu'", "'auc'"),
        ("data: {table: flights}", "time", ""),
    ],
)
def test_every_mistake_is_named(change: str, says: str, hint: str) -> None:
    base = {"model": "model: m", "hold": "hold: [auc >= 0.7 over 14d]"}
    base[change.partition(":")[0]] = change
    with pytest.raises(InvalidInput) as refused:
        read_config("\n".join(base.values()))
    assert says in refused.value.message
    assert hint in refused.value.hint


def test_what_is_no_configuration_is_refused() -> None:
    for text, says in (("", "is empty"), ("[1]", "no keys"), ("a: [", "not YAML"), ("hold: [x]", "no 'model'")):
        with pytest.raises(InvalidInput, match=says):
            read_config(text)


def test_plan_shows_and_apply_makes_it_so(any_ws: hs.Workspace) -> None:
    text = "model: m\nhold: [auc >= 0.70 over 14d, errors <= 1% over 1h]\nlearn: {review: 7d}"
    planned = any_ws.loop.plan(text)
    assert (planned.applied, planned.version) == (False, 1)
    with pytest.raises(NotFound, match="not declared"):
        applied(any_ws, "m")
    assert any_ws.loop.apply(text).version == 1
    assert any_ws.loop.apply(text).changes == []
    stricter = any_ws.loop.plan(text.replace("0.70", "0.72").replace("7d", "14d"))
    assert [(c.what, c.was, c.becomes) for c in stricter.changes] == [
        ("hold: auc >= 0.72 over 14d", "", "held"),
        ("learn.review", "7d", "14d"),
        ("hold: auc >= 0.70 over 14d", "held", ""),
    ]
    assert any_ws.loop.apply(text.replace("0.70", "0.72")).version == 2
    assert applied(any_ws, "m").config.variables[0].limit == 0.72


@pytest.mark.parametrize("span", ["99999999999999999999d", "9" * 400 + "d", "5300w"])
def test_a_window_longer_than_a_century_is_refused(span: str) -> None:
    with pytest.raises(InvalidInput, match="longer than a century"):
        read_config(f"model: m\nhold: [auc >= 0.7 over {span}]")


def test_a_file_that_holds_no_keys_or_no_bottom_is_refused() -> None:
    for text, said in (("", "is empty"), ("[1, 2]", "holds no keys"), ("model: " + "[" * 3000, "nested too deep")):
        with pytest.raises(InvalidInput, match=said):
            read_config(text)
