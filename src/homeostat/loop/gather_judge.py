"""What a challenger is judged on: the paired gap, slices, calibration, latency, size, explanation, gates."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.core.errors import HomeostatError
from homeostat.explain import importance
from homeostat.loop.facts import Guard, JudgeFacts, SliceGap
from homeostat.loop.quick_challenger import gap_on, judged_rows
from homeostat.loop.record import decisions_of
from homeostat.loop.subject import Subject
from homeostat.loop.words import listed
from homeostat.monitoring import (
    auc_gap_by_slice,
    calibration_error,
    column_by_key,
    days_of,
    fitted_until,
    level_names,
)
from homeostat.registry import load_model

_MIN_SLICE = 300
_TOP_SHARE = 0.9
_TIMED_ROWS = 50


def gather_judge(subject: Subject, challenger: int, learnt: str, approved_by: str | None = None) -> JudgeFacts:
    """Both versions on the rows of the judging window that neither learnt from, and everything the guards read."""
    s = subject
    version = s.version(challenger)
    champion = s.champion
    rows, from_ms = judged_rows(s, champion, challenger)
    gap, slices, calibration = None, [], None
    if rows.height >= 2 and rows["label"].n_unique() == 2:
        old, new = s.scores(champion, rows), s.scores(challenger, rows)
        gap = gap_on(s, rows, old, new, from_ms, f"v{challenger}")
        slices = _slices(s, rows, old, new)
        calibration = _calibration(s, rows, old, new)
    failed = [gate.gate for gate in version.gates if not gate.passed]
    explained, top = _explained(s, challenger)
    return JudgeFacts(
        model=s.model, at_ms=s.at_ms, champion=champion, challenger=challenger, learnt=learnt, gap=gap, slices=slices,
        calibration=calibration, latency=_latency(s, champion, challenger, rows),
        size=Guard(name="size", old=float(s.version(champion).size), new=float(version.size)),
        explained=explained, top_feature=top,
        gates_failed=failed or (["validation"] if version.status == "refused" else []),
        offers_before=offers_before(s), fitted_until_ms=fitted_until(version), run_id=version.run_id,
        approved_by=approved_by,
        data=[f"{s.model}/{champion}", f"{s.model}/{challenger}", *(f"{d.table}/{d.version}" for d in version.data)],
    )  # fmt: skip


def training_failed(subject: Subject, reason: str, learnt: str) -> JudgeFacts:
    """The facts of a retraining that gave no challenger."""
    s = subject
    return JudgeFacts(
        model=s.model, at_ms=s.at_ms, champion=s.champion, challenger=None, learnt=learnt, gap=None, slices=[],
        calibration=None, latency=None, size=None, explained=None, top_feature=None, gates_failed=[],
        offers_before=offers_before(s), failed=reason,
    )  # fmt: skip


def offers_before(s: Subject) -> int:
    """How many challengers this champion has met before this moment, promoted ones (taken back since) included."""
    judged = decisions_of(s.ws, s.model, limit=10_000, before_ms=s.at_ms, kinds=["promote", "refuse"])
    return sum(1 for d in judged if d.champion == s.champion and d.challenger is not None)


def _slices(s: Subject, rows: pl.DataFrame, old: NDArray[np.float64], new: NDArray[np.float64]) -> list[SliceGap]:
    found: list[SliceGap] = []
    for column in s.config.sliced_by:
        if column in rows.columns:
            by = rows[column]
        elif s.config.training is not None:
            by = rows.select("key").join(column_by_key(s.ws, s.config.training, column), on="key", how="left")[column]
        else:
            continue
        cut = auc_gap_by_slice(
            rows["label"].to_numpy(), old, new, level_names(by), days_of(rows), min_rows=_MIN_SLICE, level=0.95
        )
        found += [
            SliceGap(column=column, level=o.level, value=o.value.value, lo=o.value.lo, hi=o.value.hi, n=o.value.n)
            for o in cut
        ]
    return found


def _calibration(s: Subject, rows: pl.DataFrame, old: NDArray[np.float64], new: NDArray[np.float64]) -> Guard:
    limit = next((v.limit for v in s.config.variables if v.measure == "calibration_error"), None)
    y, days = rows["label"].to_numpy(), days_of(rows)
    before, after = calibration_error(y, old, days).error, calibration_error(y, new, days).error
    if not (before.known and after.known):
        return Guard(name="calibration_error", old=None, new=None, limit=limit)
    return Guard(name="calibration_error", old=before.value, new=after.value, new_lo=after.lo, limit=limit)


def _latency(s: Subject, champion: int, challenger: int, rows: pl.DataFrame) -> Guard | None:
    """The time of one row, in milliseconds, of both; None where no latency is held."""
    limit = next((v.limit for v in s.config.variables if v.measure.startswith("latency")), None)
    if limit is None or rows.is_empty():
        return None
    return Guard(
        name="latency_p99", old=_one_row_ms(s, champion, rows), new=_one_row_ms(s, challenger, rows), limit=limit
    )


def _one_row_ms(s: Subject, number: int, rows: pl.DataFrame) -> float:
    model = load_model(s.ws, s.model, number)
    asked = rows.head(_TIMED_ROWS).select(pl.col(s.features(number)).cast(pl.Float32)).to_numpy()
    taken: list[float] = []
    for row in asked:
        started = time.perf_counter()
        model.predict(row.reshape(1, -1))
        taken.append((time.perf_counter() - started) * 1000)
    return float(np.median(taken))


def _explained(s: Subject, challenger: int) -> tuple[str | None, str | None]:
    """What the challenger listens to, in words, and the one feature it hangs on, if it does."""
    try:
        found = importance(s.ws, s.model, challenger)
    except HomeostatError:
        return None, None
    total = sum(one.permutation for one in found)
    if not found or total <= 0:
        return None, None
    top = found[0]
    said = f"It listens most to {listed([one.feature for one in found[:3]])}"
    return said, top.feature if len(found) > 2 and top.permutation > _TOP_SHARE * total else None
