"""Confidence sequences under daily looks: the promise is about all looks together."""

from __future__ import annotations

import numpy as np

from homeostat.monitoring.interval import z
from homeostat.monitoring.sequence import mean_sequence, sequence_width

RUNS, LOOKS, ROWS = 600, 40, 60


def ever_excluded(width_at: list[float], seed: int) -> float:
    """Share of runs in which some look excludes the true difference (zero)."""
    rng = np.random.default_rng(seed)
    sums = rng.normal(size=(RUNS, LOOKS, ROWS)).sum(axis=2).cumsum(axis=1)
    n = ROWS * np.arange(1, LOOKS + 1)
    return float((np.abs(sums) / np.sqrt(n) > np.asarray(width_at)).any(axis=1).mean())


def test_forty_looks_exclude_the_truth_in_five_runs_of_a_hundred_at_most() -> None:
    n = [ROWS * k for k in range(1, LOOKS + 1)]
    ours = ever_excluded([sequence_width(k, tuned_for=n[-1]) for k in n], seed=51)
    naive = ever_excluded([z(0.95)] * LOOKS, seed=51)
    assert ours <= 0.05
    assert naive > 0.25  # the same looks without a sequence: the reason it is here


def test_the_sequence_is_tightest_where_it_was_tuned() -> None:
    half_width = [sequence_width(n, 1000) for n in (100, 500, 1000, 5000)]
    assert min(half_width) == half_width[2]


def test_rows_of_one_block_count_as_one_observation() -> None:
    rng = np.random.default_rng(52)
    day = np.repeat(np.arange(30), 100)
    together = rng.normal(size=30)[day]
    assert mean_sequence(together, 3000, blocks=day).se > 5 * mean_sequence(together, 3000).se
    assert not mean_sequence(together[:50], 3000, blocks=day[:50]).known
