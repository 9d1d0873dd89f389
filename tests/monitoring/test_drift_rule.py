"""The drift rule: quiet without drift and under a weekly rhythm, awake to what was planted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from homeostat.monitoring.chi_square import chi_square_tail
from homeostat.monitoring.drift_rule import ColumnDrift, compare
from homeostat.monitoring.profile import profile, recount

DAY = 86_400_000
PER_DAY = 400


def days(rng: np.random.Generator, first: int, count: int, **planted: float) -> tuple[pl.DataFrame, np.ndarray]:
    """Numbers, a weekly rhythm, a skewed and a rounded column, categories and gaps; `planted` moves some of them."""
    day = np.repeat(np.arange(first, first + count), PER_DAY)
    n = day.size
    level = rng.choice(["a", "b", "c", "d"], n, p=[0.4, 0.3, 0.2, 0.1]).astype(object)
    level[rng.random(n) < planted.get("new_level", 0.0)] = "unheard of"
    plain = rng.normal(planted.get("shift", 0.0), planted.get("scale", 1.0), n)
    heavy = rng.random(n) < planted.get("tail", 0.0)
    frame = pl.DataFrame(
        {
            "plain": np.where(heavy, plain * 6, plain),
            "weekly": rng.normal(size=n) + 1.5 * np.sin(2 * np.pi * day / 7),
            "skewed": rng.exponential(size=n),
            "rounded": rng.integers(0, 5, n),
            "level": level.astype(str),
            "gappy": np.where(rng.random(n) < 0.02 + planted.get("missing", 0.0), np.nan, rng.normal(size=n)),
        }
    )
    return frame, day * DAY


def moved(seed: int, current_days: int = 14, **planted: float) -> dict[str, ColumnDrift]:
    rng = np.random.default_rng(seed)
    frame, times = days(rng, 0, 56)
    reference = profile(frame, times, frame.columns, DAY)
    later, later_times = days(rng, 60, current_days, **planted)
    return {one.name: one for one in compare(reference, recount(reference, later, later_times))}


def test_nothing_is_called_without_drift_not_even_one_day_of_a_weekly_rhythm() -> None:
    called = [
        (seed, span, name)
        for seed in range(12)
        for span in (1, 3, 14)
        for name, one in moved(seed, span).items()
        if one.drifted
    ]
    assert called == []  # 216 column decisions


@pytest.mark.parametrize(
    ("column", "planted"),
    [
        ("plain", {"shift": 0.3}),
        ("plain", {"scale": 1.3}),
        ("plain", {"tail": 0.04}),
        ("level", {"new_level": 0.02}),
        ("gappy", {"missing": 0.05}),
    ],
)
def test_what_was_planted_is_found_and_nothing_else(column: str, planted: dict[str, float]) -> None:
    for seed in (31, 32, 33):
        found = moved(seed, **planted)
        assert [name for name, one in found.items() if one.drifted] == [column]
        assert found[column].why


def test_a_shift_too_small_to_matter_is_not_called() -> None:
    assert not moved(41, shift=0.02)["plain"].drifted


def test_a_column_that_vanished_is_called_missing() -> None:
    rng = np.random.default_rng(42)
    frame, times = days(rng, 0, 28)
    reference = profile(frame, times, frame.columns, DAY)
    later, later_times = days(rng, 30, 7)
    found = {one.name: one for one in compare(reference, recount(reference, later.drop("plain"), later_times))}
    assert found["plain"].drifted
    assert found["plain"].missing == 1.0
    assert "missing" in found["plain"].why


def test_the_most_important_movement_comes_first() -> None:
    rng = np.random.default_rng(43)
    frame, times = days(rng, 0, 56)
    reference = profile(frame, times, frame.columns, DAY)
    later, later_times = days(rng, 60, 14, shift=0.5, missing=0.2)
    later = later.with_columns(pl.col("skewed") + 1.0)
    order = compare(reference, recount(reference, later, later_times), importance={"plain": 0.9, "skewed": 0.05})
    assert [one.name for one in order[:2]] == ["plain", "skewed"]


def test_chi_square_tail_agrees_with_the_table() -> None:
    for statistic, degrees, tail in [(2.706, 1, 0.1), (23.685, 14, 0.05), (63.691, 40, 0.01), (149.449, 100, 0.001)]:
        assert chi_square_tail(statistic, degrees) == pytest.approx(tail, rel=2e-3)
    assert chi_square_tail(1e6, 3) == 0.0
