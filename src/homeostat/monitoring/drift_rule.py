"""Which columns moved: an effect with a lower bound, a false-discovery rate, a floor learnt from the reference itself.

A p-value asks whether the difference is exactly zero; with a million rows it never is. PSI asks nothing about luck or
season. So a column has moved here only when all of these hold:

1. the share of rows that would have to change, luck subtracted, is at least `min_effect` (3 %);
2. the test survives Benjamini and Hochberg at 1 % over all columns;
3. the effect is 1.25 times larger than any between a window of the reference, as long as the current one, and the
rest of
   the reference: a weekly rhythm, or one month's ordinary weather, is not drift.

What total variation dilutes is tested apart, with the same floor: mass beyond the reference's outer 1/128 on either
side, levels never seen, and the share of missing values; each must move by `min_sharp` (0.75 % of rows) at least.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeostat.core.records import Record
from homeostat.monitoring.benjamini_hochberg import benjamini_hochberg
from homeostat.monitoring.chi_square import chi_square_tail
from homeostat.monitoring.profile import OTHER, ColumnProfile, Profile
from homeostat.monitoring.psi import psi
from homeostat.monitoring.total_variation import Effect, effect, total_variation

Counts = NDArray[np.float64]

RULE = "effect-floor"
VERSION = 1


class DriftRule(Record):
    """Parameters of the rule; the defaults called nothing in 1,020 columns without drift (0.3 % at most, 95 % sure)."""

    min_effect: float = 0.03
    min_sharp: float = 0.0075
    sureness: float = 2.33
    false_rate: float = 0.01
    floor_factor: float = 1.25


class ColumnDrift(Record):
    """What happened to one column, and by which of the tests it counts as moved (`why`, empty when it did not).

    `effect` is the share of rows that would have to change and `effect_lo` its lower bound; `floor` what the
    reference's own windows reach, times the factor. `missing_change` and `tail_change` are differences of shares.
    """

    name: str
    effect: float
    effect_lo: float
    floor: float
    p: float
    psi: float
    missing: float
    missing_change: float
    tail_change: float
    new_levels: float
    importance: float | None = None
    drifted: bool = False
    why: str = ""


class _Sides(NamedTuple):
    """A column's totals on both sides, and per reference window of the right length."""

    reference: Counts
    current: Counts
    window_counts: Counts
    missing: tuple[float, float]
    window_missing: Counts
    rows: tuple[float, float]


def compare(
    reference: Profile, current: Profile, rule: DriftRule | None = None, importance: dict[str, float] | None = None
) -> list[ColumnDrift]:
    """Every column of `current` (made by `recount`) against the `reference`, most important movement first.

    `importance` (column to a share of the model's total) only orders the answer. A column without rows on one side is
    reported as not moved, unless its values are now wholly missing.
    """
    rule = rule or DriftRule()
    weights = importance or {}
    sides = [_sides(reference, old, new) for old, new in zip(reference.columns, current.columns, strict=True)]
    shape_p = [_shape_p(one) for one in sides]
    missing_p = [_missing_p(one) for one in sides]
    tests = benjamini_hochberg([*shape_p, *missing_p], rule.false_rate)
    believed = list(zip(tests[: len(sides)], tests[len(sides) :], strict=True))
    found = [
        _judge(column, one, p, ok, rule, weights.get(column.name))
        for column, one, p, ok in zip(reference.columns, sides, shape_p, believed, strict=True)
    ]
    return sorted(found, key=lambda c: (not c.drifted, -(c.effect_lo * (c.importance or 0.0)), -c.effect_lo, c.name))


def _sides(reference: Profile, old: ColumnProfile, new: ColumnProfile) -> _Sides:
    counts, now = np.asarray(old.counts, float), np.asarray(new.counts, float)
    rows, gone = np.asarray(old.rows, float), np.asarray(old.missing, float)
    # Windows as long as the current side, but never fewer than four of them.
    length = max(1, min(len(new.rows), len(reference.starts_ms) // 4))
    cuts = np.arange(0, len(rows) - length + 1, length)
    enough = len(rows) >= 2
    windowed = np.stack([counts[c : c + length].sum(axis=0) for c in cuts]) if enough else counts[:0]
    lost = (
        np.asarray([gone[c : c + length].sum() / max(rows[c : c + length].sum(), 1) for c in cuts])
        if enough
        else rows[:0]
    )
    total, total_now = max(float(rows.sum()), 1.0), max(float(np.sum(new.rows)), 1.0)
    missing = (float(gone.sum()) / total, float(np.sum(new.missing)) / total_now)
    return _Sides(
        counts.sum(axis=0), now.sum(axis=0) if len(now) else counts[0] * 0, windowed, missing, lost, (total, total_now)
    )


def _shape_p(one: _Sides) -> float:
    """Chi-square of the two samples on bins with at least five rows expected on both sides; the others are pooled."""
    n, m = float(one.reference.sum()), float(one.current.sum())
    if n == 0 or m == 0:
        return 1.0
    both = one.reference + one.current
    small = both * min(n, m) / (n + m) < 5.0
    old = np.append(one.reference[~small], one.reference[small].sum())
    new = np.append(one.current[~small], one.current[small].sum())
    both = old + new
    old, new, both = old[both > 0], new[both > 0], both[both > 0]
    if both.size < 2:
        return 1.0
    statistic = float((np.square(old * math.sqrt(m / n) - new * math.sqrt(n / m)) / both).sum())
    return chi_square_tail(statistic, both.size - 1)


def _missing_p(one: _Sides) -> float:
    n, m = one.rows
    p = (one.missing[0] * n + one.missing[1] * m) / (n + m)
    if p <= 0.0 or p >= 1.0:
        return 1.0
    return chi_square_tail((one.missing[1] - one.missing[0]) ** 2 / (p * (1 - p) * (1 / n + 1 / m)), 1)


def _floor(one: _Sides) -> float:
    """The largest effect between a reference window and the rest of the reference."""
    return max((total_variation(one.reference - w, w) for w in one.window_counts), default=0.0)


def _tails(counts: Counts) -> float:
    total = float(counts.sum())
    return float(counts[0] + counts[-2]) / total if total else 0.0  # the last bin is the unseen one, empty for numbers


def _judge(
    column: ColumnProfile,
    one: _Sides,
    p: float,
    believed: tuple[bool, bool],
    rule: DriftRule,
    importance: float | None,
) -> ColumnDrift:
    moved: Effect = effect(one.reference, one.current, rule.sureness)
    floor = rule.floor_factor * _floor(one)
    m = float(one.current.sum())
    tail = (_tails(one.current) - _tails(one.reference)) if column.numeric and m else 0.0
    tail_floor = max((abs(_tails(w) - _tails(one.reference)) for w in one.window_counts), default=0.0)
    unseen = float(one.current[-1]) / m if m and OTHER not in column.levels else 0.0
    missing = one.missing[1] - one.missing[0]
    missing_floor = max((abs(float(w) - one.missing[0]) for w in one.window_missing), default=0.0)
    luck = 3.0 * math.sqrt(0.25 / 16 / m) if m else math.inf  # three deviations of a share near 1/64
    why: list[str] = []
    if moved.lower >= rule.min_effect and believed[0] and moved.observed > floor:
        why.append(f"{moved.observed:.0%} of rows would have to change")
    if abs(tail) >= max(rule.min_sharp, luck, rule.floor_factor * tail_floor) and believed[0]:
        why.append(f"{tail:+.1%} beyond the usual extremes")
    if unseen >= rule.min_sharp:
        why.append(f"{unseen:.1%} levels never seen before")
    if abs(missing) >= max(rule.min_sharp, rule.floor_factor * missing_floor) and believed[1]:
        why.append(f"missing values {one.missing[0]:.1%} → {one.missing[1]:.1%}")
    elif one.missing[1] >= 1.0 and one.missing[0] < 1.0:
        why.append("every value is missing")
    return ColumnDrift(
        name=column.name,
        effect=moved.observed,
        effect_lo=moved.lower,
        floor=floor,
        p=p,
        psi=psi(one.reference, one.current),
        missing=one.missing[1],
        missing_change=missing,
        tail_change=tail,
        new_levels=unseen,
        importance=importance,
        drifted=bool(why),
        why="; ".join(why),
    )
