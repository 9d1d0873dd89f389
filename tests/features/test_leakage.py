"""No leakage: nothing that becomes known after a moment changes a feature computed for that moment or before.

On the published tables of the flights example, through its own cleaning and features, compared to the last bit. When a
value becomes known: the schedule of a flight an hour before it should leave; its departure when it leaves; its arrival
at its gate; a weather report an hour after its hour. A changed value must become known after the moment as well: that
a plane had landed yesterday would be news of yesterday.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.flights import ROW, cleaned, features_until, published

HOUR_MS, MINUTE = 3_600_000, dt.timedelta(minutes=1)
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


# Which moments a value moves: its own first, the arrival last.
MOVES = {"schedule": ["asked", "departed", "arrived"], "departure": ["departed", "arrived"], "arrival": ["arrived"],
         "report": ["reported"]}  # fmt: skip


def moved_by(table: str, column: str) -> list[str]:
    """The moments at which the value, and what hangs on it, becomes known."""
    if table == "weather":
        return MOVES["report"]
    return MOVES["departure" if column in DEPARTURE else "arrival" if column in ARRIVAL else "schedule"]


def moments_of(row: dict[str, Any], zones: dict[str, ZoneInfo]) -> dict[str, dt.datetime | None]:
    """When the parts of a published row become known, worked out without the example's help; None is never."""
    hour = dt.datetime.fromisoformat(row["time_hour"])
    if "visib" in row:
        return {"reported": hour + dt.timedelta(hours=1)}
    if row["minute"] is None:
        return {"asked": None, "departed": None, "arrived": None}
    planned = hour + dt.timedelta(minutes=row["minute"])
    left = None if row["dep_delay"] is None else planned + dt.timedelta(minutes=row["dep_delay"])
    return {"asked": planned - dt.timedelta(hours=1), "departed": left, "arrived": arrival(row, left, zones)}


def arrival(row: dict[str, Any], left: dt.datetime | None, zones: dict[str, ZoneInfo]) -> dt.datetime | None:
    """The first moment after departure at which the clock at the destination shows the time of arrival."""
    zone = zones.get(row["dest"])
    if left is None or zone is None or row["arr_time"] is None or row["arr_delay"] is None:
        return None
    landing = left + dt.timedelta(minutes=row["air_time"] or 0)
    offset = landing.astimezone(zone).utcoffset() or dt.timedelta()
    clock = row["arr_time"] // 100 * 60 + row["arr_time"] % 100
    return left + dt.timedelta(minutes=(clock - offset // MINUTE - left.hour * 60 - left.minute) % 1440)


@cache
def zones_of_airports() -> dict[str, ZoneInfo]:
    there = {row["faa"]: ZoneInfo(row["tzone"]) for row in published()["airports"].to_dicts() if row["tzone"]}
    return there | {name: ZoneInfo("America/Puerto_Rico") for name in ("SJU", "BQN", "PSE", "STT")}


def rows_after(cut: int, table: pl.DataFrame, moments: list[str]) -> list[int]:
    """The rows of which all `moments` lie after `cut`, or never come."""
    zones, limit = zones_of_airports(), dt.datetime.fromtimestamp(cut / 1000, dt.UTC)

    def after(row: dict[str, Any]) -> bool:
        found = moments_of(row, zones)
        return all((moment := found[name]) is None or moment > limit for name in moments)

    return [row[ROW] for row in table.iter_rows(named=True) if after(row)]


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
    old, moments = raw[table], moved_by(table, column)
    open_ = pl.col(ROW).is_in(rows_after(cut, old, moments[:1]))
    new = old.with_columns(pl.when(open_).then(other_values(old[column], rng)).otherwise(column).alias(column))
    # What would now have been known by the moment is put back: that would be another past, not another future.
    still = pl.col(ROW).is_in(rows_after(cut, new.filter(open_), moments))
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


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(CHANGES), moments, st.integers(0, 2**32))
def test_no_column_reaches_back_from_any_moment(change: tuple[str, str], cut: int, seed: int) -> None:
    changed, _ = altered(*change, cut, np.random.default_rng(seed))
    assert_same_past(changed, cut)


def without_later(table: pl.DataFrame, later: list[int], rng: np.random.Generator) -> pl.DataFrame:
    gone = [row for row in later if rng.random() < 0.5]
    return table.filter(~pl.col(ROW).is_in(gone))


def with_more_later(table: pl.DataFrame, later: list[int], rng: np.random.Generator) -> pl.DataFrame:
    extra = table.filter(pl.col(ROW).is_in(later)).with_columns(pl.col(ROW) + 1_000_000)
    if "flight" in table.columns:
        extra = extra.with_columns(pl.col("flight") + 10_000)
    return pl.concat([extra, table]) if rng.random() < 0.5 else pl.concat([table, extra])


def in_another_order(table: pl.DataFrame, later: list[int], rng: np.random.Generator) -> pl.DataFrame:
    return table.gather(rng.permutation(table.height))


@pytest.mark.parametrize("change", [without_later, with_more_later, in_another_order])
@pytest.mark.parametrize("table", ["flights", "weather"])
def test_rows_that_come_or_go_later_do_not_reach_back(
    table: str, change: Callable[[pl.DataFrame, list[int], np.random.Generator], pl.DataFrame]
) -> None:
    rng = np.random.default_rng(11)
    cut = int(dt.datetime(2013, 3, 10, 15, tzinfo=dt.UTC).timestamp()) * 1000
    later = rows_after(cut, published()[table], moved_by(table, "origin")[:1])
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
