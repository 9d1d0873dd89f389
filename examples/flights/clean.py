"""From the published tables to tables one can reckon with: times true, keys unique, impossible values gone."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from clock import add_times

LATE_MINUTES = 15
STRONGEST_WIND_MPH = 200


def clean_tables(raw: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables the features are made from, by name."""
    return {
        "flights": clean_flights(raw["flights"], raw["airports"]),
        "weather": clean_weather(raw["weather"]),
        "planes": raw["planes"].unique("tailnum", keep="first", maintain_order=True),
        "airports": raw["airports"].unique("faa", keep="first", maintain_order=True),
        "airlines": raw["airlines"],
    }


def clean_flights(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """One row for each scheduled flight, in the order of the schedule, with its true times and its label.

    `flight_id` names the flight ("UA1545-EWR-20130101-0515"); `late` is true when it reached its gate more than 15
    minutes after schedule, missing when it never did (cancelled, diverted). An arrival that the clocks say came before
    the plane could have flown the way, or more than four hours after, is taken as unknown.
    """
    timed = add_times(flights.unique(maintain_order=True), airports)
    ground = (pl.col("arrived_ms") - pl.col("departed_ms")) / 60_000 - pl.col("air_time")
    timed = timed.with_columns(
        arrived_ms=pl.when(ground.is_between(0, 240) & pl.col("arr_delay").is_not_null()).then("arrived_ms"),
        flight_id=pl.format(
            "{}{}-{}-{}{}{}-{}",
            "carrier",
            "flight",
            "origin",
            "year",
            pl.col("month").cast(pl.String).str.zfill(2),
            pl.col("day").cast(pl.String).str.zfill(2),
            pl.col("sched_dep_time").cast(pl.String).str.zfill(4),
        ),
        late=pl.col("arr_delay") > LATE_MINUTES,
    )
    in_order = timed.sort("sched_dep_ms", "flight_id", maintain_order=True)
    return in_order.unique("flight_id", keep="first", maintain_order=True)


def clean_weather(weather: pl.DataFrame) -> pl.DataFrame:
    """One row for each airport and hour, known an hour later; a wind no airport has ever seen is taken as unknown."""
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms").dt.epoch("ms")
    wind = pl.col("wind_speed", "wind_gust")
    return (
        weather.with_columns(hour_ms=hour, known_ms=hour + 3_600_000)
        .with_columns(pl.when(wind <= STRONGEST_WIND_MPH).then(wind))
        .unique(["origin", "hour_ms"], keep="last", maintain_order=True)
        .sort("hour_ms", "origin")
    )
