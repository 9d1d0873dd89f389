"""AUC against its definition, its intervals against simulation, the block bootstrap against a naive one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.monitoring.auc import auc, auc_interval
from homeostat.monitoring.auc_gap import auc_by_block, auc_gap
from homeostat.monitoring.blocks import block_weights
from homeostat.monitoring.concordance import concordance


def by_definition(labels: np.ndarray, scores: np.ndarray) -> float:
    up, down = scores[labels > 0.5], scores[labels <= 0.5]
    above = (up[:, None] > down[None, :]).mean()
    return float(above + 0.5 * (up[:, None] == down[None, :]).mean())


rows = st.lists(st.tuples(st.booleans(), st.integers(-3, 3), st.integers(0, 4)), min_size=2, max_size=60)


@given(rows)
def test_auc_counts_pairs_and_ties_as_the_definition_says(drawn: list[tuple[bool, int, int]]) -> None:
    y, s, block = (np.array(column) for column in zip(*drawn, strict=True))
    if y.all() or not y.any():
        assert np.isnan(auc(y, s))
        return
    truth = by_definition(y, s.astype(float))
    assert auc(y, s) == pytest.approx(truth)
    assert concordance(y, s, block).auc() == pytest.approx(truth)


@settings(max_examples=30)
@given(rows, st.integers(0, 1000))
def test_a_resample_is_what_repeating_the_rows_of_its_blocks_gives(
    drawn: list[tuple[bool, int, int]], seed: int
) -> None:
    y, s, block = (np.array(column) for column in zip(*drawn, strict=True))
    counted = concordance(y, s, block)
    weights = block_weights(int(block.max()) + 1, 3, seed)
    for weight, value in zip(weights, counted.resampled(weights), strict=True):
        taken = np.repeat(np.arange(y.size), weight[block].astype(int))
        expected = auc(y[taken], s[taken])
        assert value == pytest.approx(expected, nan_ok=True)


def test_the_chunked_count_equals_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y, s, block = rng.random(500) < 0.4, rng.normal(size=500), rng.integers(0, 20, 500)
    whole = concordance(y, s, block)
    monkeypatch.setattr("homeostat.monitoring.concordance._CELLS", 1500)
    assert np.array_equal(concordance(y, s, block).pairs, whole.pairs)


def test_delong_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        y = rng.random(400) < 0.3
        found = auc_interval(y, rng.normal(size=400) + y, level=0.90)
        covered += found.lo <= 0.76025 <= found.hi
    assert 0.86 <= covered / 400 <= 0.94


def test_the_gap_of_equal_models_is_covered_when_days_share_a_fate() -> None:
    """A day effect moves both the difficulty and the gap; rows taken as independent would be far too sure."""
    rng = np.random.default_rng(12)
    covered, trials = 0, 200
    for _ in range(trials):
        day = np.repeat(np.arange(28), 60)
        y = rng.random(day.size) < np.clip(0.25 + 0.15 * rng.normal(size=28), 0.05, 0.9)[day]
        signal = rng.normal(size=day.size) + y
        favour = rng.normal(size=28)[day]  # a day on which one model happens to read the weather better
        old = signal + 0.5 * rng.normal(size=day.size) + 0.4 * favour * y
        new = signal + 0.5 * rng.normal(size=day.size) - 0.4 * favour * y
        found = auc_gap(y, old, new, day, level=0.90, resamples=400)
        covered += found.gap.lo <= 0.0 <= found.gap.hi
    assert 0.82 <= covered / trials <= 0.97


def test_the_gap_is_the_same_every_time_and_unknown_without_two_days() -> None:
    rng = np.random.default_rng(13)
    y = rng.random(1000) < 0.3
    old, new, day = rng.normal(size=1000), rng.normal(size=1000) + y, np.arange(1000) // 100
    assert auc_gap(y, old, new, day, seed=5) == auc_gap(y, old, new, day, seed=5)
    assert not auc_gap(y, old, new, np.zeros(1000)).gap.known
    assert not auc_gap(np.zeros(1000), old, new, day).gap.known
    assert not auc_by_block(np.zeros(1000), old, day).known
