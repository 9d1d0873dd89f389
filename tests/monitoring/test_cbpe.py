"""Estimated quality: right when only the rows changed, blind (and known to be) when their meaning did."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.monitoring.auc import auc
from homeostat.monitoring.cbpe import calibrator, expected_auc, expected_quality


def test_expected_auc_is_the_mean_of_drawn_ones() -> None:
    rng = np.random.default_rng(61)
    p = rng.beta(1, 2, 400).round(2)  # with ties
    drawn = [auc(rng.random(400) < p, p) for _ in range(800)]
    assert expected_auc(p, p) == pytest.approx(np.mean(drawn), abs=0.003)


def test_easier_rows_are_foreseen_and_an_uncalibrated_score_is_put_right() -> None:
    rng = np.random.default_rng(62)
    p = rng.beta(1.5, 3, 20000)
    score = p**2  # says too little, in the right order
    curve = calibrator(rng.random(20000) < p, score)
    easy = np.concatenate([rng.uniform(0, 0.1, 5000), rng.uniform(0.8, 0.95, 2000)])
    label = rng.random(easy.size) < easy
    guess = expected_quality(easy**2, curve)
    assert guess.auc == pytest.approx(auc(label, easy), abs=0.02)
    assert guess.positive_share == pytest.approx(label.mean(), abs=0.02)


def test_a_change_of_meaning_cannot_be_seen_without_labels() -> None:
    rng = np.random.default_rng(63)
    p = rng.beta(1.5, 3, 10000)
    curve = calibrator(rng.random(10000) < p, p)
    turned = rng.random(10000) < rng.permutation(p)
    assert expected_quality(p, curve).auc - auc(turned, p) > 0.15


def test_no_rows_no_estimate() -> None:
    assert np.isnan(expected_quality([], calibrator([0, 1], [0.1, 0.9])).auc)
