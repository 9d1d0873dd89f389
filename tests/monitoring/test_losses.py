"""Calibration error, mean losses, shares and quantiles: no bias where nothing is wrong, and coverage as stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.monitoring.calibration import calibration_error
from homeostat.monitoring.isotonic import isotonic
from homeostat.monitoring.quantile import quantile_interval
from homeostat.monitoring.row_loss import LOSSES, mean_by_block
from homeostat.monitoring.share import share_interval


def test_a_perfectly_calibrated_model_shows_no_calibration_error_even_on_few_rows() -> None:
    rng = np.random.default_rng(21)
    squares: list[float] = []
    for _ in range(200):
        p = rng.beta(2, 6, 600)
        found = calibration_error(rng.random(600) < p, p, np.arange(600) // 30, resamples=20)
        squares.append(found.error.value)
        assert found.error.lo <= found.error.value <= found.error.hi
    # The plain estimate on 15 bins of 40 rows would be about 0.06 here.
    assert float(np.median(squares)) < 0.025


def test_calibration_error_sees_an_error_that_cancels_in_the_mean() -> None:
    rng = np.random.default_rng(22)
    p = rng.uniform(0.1, 0.9, 30000)
    y = rng.random(30000) < 0.5 + 0.7 * (p - 0.5)
    found = calibration_error(y, p, np.arange(30000) // 1000)
    assert abs(found.bias) < 0.02
    assert found.error.value == pytest.approx(0.3 * math.sqrt(0.64 / 12), abs=0.01)


def test_calibration_is_unknown_on_one_day() -> None:
    assert not calibration_error([0, 1] * 50, [0.5] * 100, [3] * 100).error.known


def test_the_mean_of_blocks_covers_the_truth_when_rows_of_a_day_move_together() -> None:
    rng = np.random.default_rng(23)
    day = np.repeat(np.arange(40), 50)
    covered = 0
    for _ in range(300):
        found = mean_by_block(rng.normal(size=40)[day] + rng.normal(size=day.size), day, level=0.90)
        covered += found.lo <= 0.0 <= found.hi
    assert 0.84 <= covered / 300 <= 0.95


def test_every_loss_is_least_for_the_right_answer() -> None:
    for name, loss in LOSSES.items():
        right, wrong = loss([1.0, 0.0], [1.0, 0.0]), loss([1.0, 0.0], [0.0, 1.0])
        assert (right < wrong).all(), name


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_share_lies_in_its_interval_and_the_interval_in_zero_to_one(hits: int, more: int) -> None:
    found = share_interval(hits, hits + more)
    assert 0.0 <= found.lo <= found.value <= found.hi <= 1.0


def test_a_quantile_interval_covers_the_true_quantile() -> None:
    rng = np.random.default_rng(24)
    truth = -math.log(0.05)
    intervals = [quantile_interval(rng.exponential(size=500), 0.95, level=0.90) for _ in range(300)]
    covered = [one.lo <= truth <= one.hi for one in intervals]
    assert 0.85 <= np.mean(covered) <= 0.97


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=60))
def test_isotonic_never_falls_and_keeps_the_mean(drawn: list[tuple[int, int]]) -> None:
    x, y = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))
    curve = isotonic(x, y)
    fitted = curve(x)
    assert (np.diff(curve(np.unique(x))) >= -1e-12).all()
    assert fitted.mean() == pytest.approx(y.mean())
