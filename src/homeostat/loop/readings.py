"""How each essential variable stands at a moment, with its interval and its state."""

from __future__ import annotations

import math
from functools import cached_property

import polars as pl

from homeostat.core.errors import HomeostatError
from homeostat.core.records import finite
from homeostat.loop.hold import MEASURES, Variable
from homeostat.loop.model import State, VariableStatus
from homeostat.loop.subject import Subject
from homeostat.loop.words import count, span
from homeostat.monitoring import (
    SCORES,
    Interval,
    Latency,
    auc_by_slice,
    column_by_key,
    freshness,
    latency_of,
    level_names,
    measured,
    sequence_width,
    with_truth,
)
from homeostat.serving import predictions

# Intervals of what is watched continually: a confidence sequence where it is tightest (2.8 standard errors, not 1.6).
LEVEL = 0.90
WIDTH = sequence_width(1.0, 1.0, LEVEL)
# Of a limit without sampling error, so much may be used up before it is at risk.
_NEAR = 0.8


class Readings:
    """Reads the variables of one subject; the log is read once for all of them."""

    def __init__(self, subject: Subject) -> None:
        self._s = subject
        self._rows: pl.DataFrame | None = None
        self._mature = 1.0

    @cached_property
    def _log(self) -> pl.DataFrame:
        """The log as far back as any variable looks, with the columns they name; read once."""
        s = self._s
        held = s.config.variables
        starts = [s.matured_ms - (v.window_ms or 0) for v in held if MEASURES[v.measure].needs == "labels"]
        starts += [s.at_ms - (v.window_ms or 0) for v in held if MEASURES[v.measure].needs == "log"]
        columns = {*SCORES, *(v.by for v in held if v.by), *(v.of for v in held if v.of)}
        log: pl.DataFrame = predictions(  # pyright: ignore[reportAssignmentType]
            s.ws, s.model, min(starts, default=s.at_ms), s.at_ms, sorted(columns)
        )
        return log

    def read(self, variable: Variable) -> tuple[VariableStatus, float]:
        """The variable's status, and the share of its predictions whose truth can be known by now."""
        needs = MEASURES[variable.measure].needs
        if needs == "labels":
            return self._of_labels(variable)
        if needs == "table":
            return self._of_table(variable), 1.0
        return self._of_log(variable), 1.0

    def _of_labels(self, v: Variable) -> tuple[VariableStatus, float]:
        rows = self._labelled(v)
        if v.by is not None:
            return self._by_slice(v, rows), self._mature
        found = measured(rows, v.measure, WIDTH) if rows.height >= 2 else unknown(rows.height)
        if found.n < v.min_n or not found.known:
            return status(
                v, unknown(found.n), "unknown", f"{count(found.n, 'row')} of {v.min_n:,} have their truth"
            ), self._mature
        return status(v, found, state_of(v, found)), self._mature

    def _labelled(self, v: Variable) -> pl.DataFrame:
        """The champion's matured, labelled rows of the variable's window, with the slicing columns of all variables."""
        s = self._s
        if self._rows is None:
            held = [one for one in s.config.variables if MEASURES[one.measure].needs == "labels"]
            longest = max(one.window_ms or 0 for one in held)
            columns = sorted({one.by for one in held if one.by})
            first = s.matured_ms - longest
            found = with_truth(s.ws, s.model, self._log, first, s.matured_ms, s.at_ms, s.config.within_ms)
            self._mature = found.mature
            rows = found.labelled().filter(pl.col("version") == s.champion)
            for column in columns:
                if column not in rows.columns and s.config.training is not None:
                    rows = rows.join(column_by_key(s.ws, s.config.training, column), on="key", how="left")
            self._rows = rows
        return self._rows.filter(pl.col("time_ms") >= s.matured_ms - (v.window_ms or 0))

    def _by_slice(self, v: Variable, rows: pl.DataFrame) -> VariableStatus:
        """The slice in the worst state, the lowest of those; every slice with enough rows counts."""
        assert v.by is not None
        if v.by not in rows.columns:
            return status(v, unknown(rows.height), "unknown", f"no column '{v.by}' is logged or found by key")
        y, score, by = rows["label"].to_numpy(), rows["score"].to_numpy(), level_names(rows[v.by])
        slices = auc_by_slice(y, score, by, min_rows=v.min_n, level=LEVEL) if rows.height else []
        if not slices:
            return status(v, unknown(rows.height), "unknown", f"no {v.by} has {v.min_n:,} rows with their truth yet")
        order = {"out": 0, "at_risk": 1, "within": 2}
        worst = min(slices, key=lambda one: (order[state_of(v, one.value)], one.value.value))
        return status(v, worst.value, state_of(v, worst.value), f"{v.by} {worst.level}, of {len(slices)}")

    def _of_log(self, v: Variable) -> VariableStatus:
        s = self._s
        log = self._log.filter(pl.col("time_ms") >= s.at_ms - (v.window_ms or 0))
        if v.measure == "missing":
            return _missing(v, log)
        n, value, lo, hi = _of_latency(v.measure, latency_of(s.model, log))
        if n < v.min_n or value is None:
            return status(v, unknown(n), "unknown", f"{count(n, 'request')} of {v.min_n:,} needed")
        found = Interval(value, lo or 0.0, hi if hi is not None else math.inf, math.nan, n)
        return status(v, found, limit_state(v, found))

    def _of_table(self, v: Variable) -> VariableStatus:
        s = self._s
        assert v.of is not None
        source = s.config.sources.get(v.of)
        column = source.time if source else None
        if column is None and s.config.data is not None and s.config.data.table == v.of:
            column = s.config.data.time
        try:
            found = freshness(s.ws, v.of, column, s.at_ms)
        except HomeostatError as error:
            return status(v, unknown(0), "unknown", error.message)
        if found.age_ms is None:
            return status(v, unknown(0), "unknown", f"nothing of {v.of} was there by then")
        age = float(found.age_ms)
        return status(
            v, Interval(age, age, age, 0.0, 1), limit_state(v, Interval(age, age, age, 0.0, 1)), f"{span(age)} old"
        )


def status(v: Variable, found: Interval, state: State, detail: str = "") -> VariableStatus:
    """A reading as the record that is kept and shown."""
    return VariableStatus(
        variable=v.text, label=v.label, measure=v.measure, by=v.by, of=v.of, value=finite(found.value),
        lo=finite(found.lo), hi=finite(found.hi), limit=v.limit, comparison=v.comparison, window_ms=v.window_ms,
        n=found.n, min_n=v.min_n, state=state, detail=detail,
    )  # fmt: skip


def state_of(v: Variable, found: Interval) -> State:
    """Within when the whole interval is on the good side of the limit, out when none of it is, else at risk."""
    if not found.known:
        return "unknown"
    if v.comparison == ">=":
        return "within" if found.lo >= v.limit else "out" if found.hi < v.limit else "at_risk"
    return "within" if found.hi <= v.limit else "out" if found.lo > v.limit else "at_risk"


def limit_state(v: Variable, found: Interval) -> State:
    """The same for what is counted: at risk from four fifths of the limit on, out when surely over it."""
    if found.lo > v.limit:
        return "out"
    return "at_risk" if found.value > _NEAR * v.limit else "within"


def _of_latency(measure: str, found: Latency) -> tuple[int, float | None, float | None, float | None]:
    if measure == "errors":
        return found.n, found.errors, found.errors_lo, found.errors_hi
    if measure == "latency_p99":
        return found.n, found.p99, found.p99_lo, found.p99_hi
    value = found.p50 if measure == "latency_p50" else found.p95
    return found.n, value, value, value


def _missing(v: Variable, log: pl.DataFrame) -> VariableStatus:
    if v.of not in log.columns:
        return status(v, unknown(log.height), "unknown", f"no input '{v.of}' is logged")
    column = log[v.of]
    empty = column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()
    if log.height < v.min_n:
        return status(v, unknown(log.height), "unknown", f"{count(log.height, 'row')} of {v.min_n:,} needed")
    share = float(empty.mean() or 0.0)  # pyright: ignore[reportArgumentType]
    found = Interval(share, share, share, 0.0, log.height)
    return status(v, found, limit_state(v, found))


def unknown(n: int) -> Interval:
    """The interval of a reading that could not be taken."""
    return Interval(math.nan, -math.inf, math.inf, math.inf, n)
