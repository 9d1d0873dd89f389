"""No leakage: nothing that becomes known after a moment changes a feature computed for that moment or before.

On the published tables of the flights example, through its own cleaning and features, compared to the last bit. When a
value becomes known: the schedule of a flight an hour before it should leave; its departure when it leaves; its arrival
at its gate; a weather report an hour after its hour. A changed value must become known after the moment as well: that
a plane had landed yesterday would be news of yesterday.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.flights import ROW, cleaned, features_until, published

HOUR_MS = 3_600_000
SCHEDULE = (
    *("year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum", "origin", "dest"),
    *("distance", "hour", "minute", "time_hour"),
)
DEPARTURE = ("dep_time", "dep_delay")
ARRIVAL = ("arr_time", "arr_delay", "air_time")
REPORT = ("year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
          "pressure", "visib", "time_hour")  # fmt: skip
DATES = {"year": (2012, 2015), "month": (1, 13), "day": (1, 29)}
CHANGES = [("flights", column) for column in (*SCHEDULE, *DEPARTURE, *ARRIVAL)] + [
    ("weather", column) for column in ("origin", *REPORT)
]
FIRST, LAST = dt.datetime(2013, 3, 4, tzinfo=dt.UTC), dt.datetime(2013, 3, 16, tzinfo=dt.UTC)
moments = st.integers(int(FIRST.timestamp()) * 1000, int(LAST.timestamp()) * 1000)


# What a changed value moves along with it, last of all the arrival.
MOVES = {"schedule": ["asked_ms", "departed_ms", "arrived_ms"], "departure": ["departed_ms", "arrived_ms"],
         "arrival": ["arrived_ms"], "report": ["known_ms"]}  # fmt: skip


def moved_by(table: str, column: str) -> list[str]:
    """The columns of the cleaned table that say when the value, and what hangs on it, became known; its own first."""
    if table == "weather":
        return MOVES["report"]
    return MOVES["departure" if column in DEPARTURE else "arrival" if column in ARRIVAL else "schedule"]


def rows_after(cut: int, table: pl.DataFrame, times: list[str]) -> pl.Series:
    """The rows of which all `times` lie after `cut`, or never come."""
    asked = table.with_columns(asked_ms=pl.col("sched_dep_ms") - HOUR_MS) if "sched_dep_ms" in table.columns else table
    return asked.filter(pl.all_horizontal((pl.col(times) > cut).fill_null(value=True)))[ROW]


def other_values(column: pl.Series, rng: np.random.Generator) -> pl.Series:
    """Values of the same type, some of them plausible, some absurd, some missing."""
    n = len(column)
    seen = column.gather(rng.integers(0, n, n))
    if column.name in DATES:
        return pl.Series(column.name, rng.integers(*DATES[column.name], n))
    if column.name == "time_hour":
        moved = column.str.to_datetime("%Y-%m-%dT%H:%M:%SZ") + pl.Series(rng.integers(-48, 49, n) * HOUR_MS).cast(
            pl.Duration("ms")
        )
        return moved.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if column.dtype == pl.String:
        absurd = pl.Series([f"{text}?" if text else "Q" for text in column])
    else:
        absurd = pl.Series(rng.integers(-100_000, 100_000, n)).cast(column.dtype)
    choice = pl.Series("choice", rng.integers(0, 3, n))
    picked = pl.select(pl.when(choice == 0).then(seen).when(choice == 1).then(absurd)).to_series()
    return picked.alias(column.name)


def altered(table: str, column: str, cut: int, rng: np.random.Generator) -> tuple[dict[str, pl.DataFrame], int]:
    """The tables with every later value of a column changed; and how many values that were."""
    raw = published()
    old, times = raw[table], moved_by(table, column)
    open_ = pl.col(ROW).is_in(rows_after(cut, cleaned(raw)[table], times[:1]).implode())
    new = old.with_columns(pl.when(open_).then(other_values(old[column], rng)).otherwise(column).alias(column))
    # What would now have been known by the moment is put back: that would be another past, not another future.
    still = pl.col(ROW).is_in(rows_after(cut, cleaned({**raw, table: new})[table], times).implode())
    new = new.with_columns(pl.when(still).then(column).otherwise(old[column]).alias(column))
    return {**raw, table: new}, int((new[column].ne_missing(old[column])).sum())


def assert_same_past(changed: dict[str, pl.DataFrame], cut: int) -> None:
    before = features_until(cleaned(published()), cut)
    after = features_until(cleaned(changed), cut)
    assert before.height > 500
    assert before.equals(after, null_equal=True), differing(before, after)


def differing(before: pl.DataFrame, after: pl.DataFrame) -> str:
    if before.height != after.height:
        return f"{before.height} flights before, {after.height} after"
    return ", ".join(name for name in before.columns if not before[name].equals(after[name], null_equal=True))


@pytest.mark.parametrize(("table", "column"), CHANGES, ids=[f"{table}.{column}" for table, column in CHANGES])
def test_no_column_reaches_back(table: str, column: str) -> None:
    rng = np.random.default_rng([len(table), *column.encode()])
    cut = int(rng.integers(int(FIRST.timestamp()), int(LAST.timestamp()))) * 1000
    changed, values = altered(table, column, cut, rng)
    assert values > (50 if table == "weather" else 500), "the test must change something"
    assert_same_past(changed, cut)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(CHANGES), moments, st.integers(0, 2**32))
def test_no_column_reaches_back_from_any_moment(change: tuple[str, str], cut: int, seed: int) -> None:
    changed, _ = altered(*change, cut, np.random.default_rng(seed))
    assert_same_past(changed, cut)


def without_later(table: pl.DataFrame, later: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    gone = later.filter(pl.Series(rng.random(len(later)) < 0.5))
    return table.filter(~pl.col(ROW).is_in(gone.implode()))


def with_more_later(table: pl.DataFrame, later: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    extra = table.filter(pl.col(ROW).is_in(later.implode())).with_columns(pl.col(ROW) + 1_000_000)
    if "flight" in table.columns:
        extra = extra.with_columns(pl.col("flight") + 10_000)
    return pl.concat([extra, table]) if rng.random() < 0.5 else pl.concat([table, extra])


def in_another_order(table: pl.DataFrame, later: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    return table.gather(rng.permutation(table.height))


@pytest.mark.parametrize("change", [without_later, with_more_later, in_another_order])
@pytest.mark.parametrize("table", ["flights", "weather"])
def test_rows_that_come_or_go_later_do_not_reach_back(
    table: str, change: Callable[[pl.DataFrame, pl.Series, np.random.Generator], pl.DataFrame]
) -> None:
    rng = np.random.default_rng(11)
    cut = int(dt.datetime(2013, 3, 10, 15, tzinfo=dt.UTC).timestamp()) * 1000
    later = rows_after(cut, cleaned(published())[table], moved_by(table, "origin")[:1])
    assert 100 < len(later) < published()[table].height
    assert_same_past({**published(), table: change(published()[table], later, rng)}, cut)


def test_a_leak_would_be_seen() -> None:
    """The same comparison with the arrival taken as known at departure: it must fail."""
    cut = int(dt.datetime(2013, 3, 10, 15, tzinfo=dt.UTC).timestamp()) * 1000
    changed, _ = altered("flights", "arr_delay", cut, np.random.default_rng(1))

    def too_early(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        return {**tables, "flights": tables["flights"].with_columns(arrived_ms="departed_ms")}

    before = features_until(too_early(cleaned(published())), cut)
    after = features_until(too_early(cleaned(changed)), cut)
    assert not before.equals(after, null_equal=True)
