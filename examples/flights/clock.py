"""True times from the clocks on the wall: the table has local hours and minutes, and planes cross time zones."""

from __future__ import annotations

import polars as pl

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

# Destinations that the airports table does not have; none of them changes its clocks in summer.
ELSEWHERE = {
    "SJU": "America/Puerto_Rico",
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}


def minute_of_day(column: str) -> pl.Expr:
    """Minutes since midnight of a clock written as the number hhmm; 2400 is midnight, 0."""
    return (pl.col(column) // 100 * 60 + pl.col(column) % 100) % 1440


def add_times(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """`flights` with the moments (ms UTC) of schedule, departure and arrival, and the scheduled length in minutes.

    `sched_dep_ms` is always there, `departed_ms` where the flight left, `arrived_ms` where it reached its gate.
    The arrival is the first moment after departure at which the clock at the destination shows `arr_time`; taking
    "departure + air time + taxi" instead would be too early for one flight in eight, and so leak its delay.
    """
    zones = airports.select("faa", zone=pl.col("tzone")).filter(pl.col("zone").is_not_null())
    zones = pl.concat([zones, pl.DataFrame({"faa": list(ELSEWHERE), "zone": list(ELSEWHERE.values())})])
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms").dt.epoch("ms")
    timed = flights.with_columns(sched_dep_ms=hour + pl.col("minute") * MINUTE_MS).with_columns(
        departed_ms=pl.col("sched_dep_ms") + pl.col("dep_delay") * MINUTE_MS
    )
    timed = timed.join(
        zones.unique("faa", keep="first"), left_on="dest", right_on="faa", how="left", maintain_order="left"
    )
    # Clocks change on some nights: at landing, the destination's clock is the one of that moment. What the schedule
    # says must not depend on how the flight went.
    landing = pl.col("departed_ms") + pl.col("air_time").fill_null(0) * MINUTE_MS
    timed = timed.with_columns(
        offset=_utc_offset_minutes(timed.select("zone", moment=landing)),
        planned_offset=_utc_offset_minutes(timed.select("zone", moment="sched_dep_ms")),
    )
    flown = (minute_of_day("arr_time") - pl.col("offset") - pl.col("departed_ms") // MINUTE_MS) % 1440
    planned = (minute_of_day("sched_arr_time") - pl.col("planned_offset") - pl.col("sched_dep_ms") // MINUTE_MS) % 1440
    return timed.with_columns(
        arrived_ms=pl.col("departed_ms") + flown * MINUTE_MS,
        sched_minutes=planned,
    ).drop("zone", "offset", "planned_offset")


def _utc_offset_minutes(moments: pl.DataFrame) -> pl.Series:
    """Minutes to add to UTC for the local clock of each row's zone; null without a zone."""
    moment = pl.from_epoch("moment", time_unit="ms").dt.replace_time_zone("UTC")
    offset = pl.lit(None, dtype=pl.Int64)
    for zone in moments["zone"].drop_nulls().unique().sort():
        local = moment.dt.convert_time_zone(zone)
        there = (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_minutes()
        offset = pl.when(pl.col("zone") == zone).then(there).otherwise(offset)
    return moments.select(offset.alias("offset")).to_series()
