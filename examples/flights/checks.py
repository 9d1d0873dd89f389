"""What must be true of the tables as published, and what is put right in them. Read by `pipeline.collect`."""

from __future__ import annotations

from homeostat.data import (
    CleanRule,
    DropDuplicates,
    DropMissing,
    Expectation,
    Fresh,
    HasType,
    InRange,
    InSet,
    KeepNewest,
    NotNull,
    NullImpossible,
    References,
    RowCount,
    Trim,
    Unique,
)

ORIGINS: list[str | int | float | bool] = ["EWR", "JFK", "LGA"]

CLEANING: dict[str, list[CleanRule]] = {
    "flights": [
        Trim(columns=["carrier", "tailnum", "origin", "dest"]),
        DropDuplicates(),
        NullImpossible(column="air_time", low=10, high=1000),
        NullImpossible(column="dep_delay", low=-120, high=2000),
        NullImpossible(column="arr_delay", low=-180, high=2000),
        NullImpossible(column="dep_time", low=1, high=2400),
        NullImpossible(column="arr_time", low=1, high=2400),
    ],
    "weather": [
        KeepNewest(key=["origin", "time_hour"]),
        NullImpossible(column="wind_speed", low=0, high=200),
        NullImpossible(column="wind_gust", low=0, high=250),
        NullImpossible(column="temp", low=-60, high=130),
        NullImpossible(column="pressure", low=900, high=1100),
    ],
    "planes": [DropDuplicates(), NullImpossible(column="year", low=1940, high=2013), DropMissing(columns=["tailnum"])],
    "airports": [KeepNewest(key=["faa"]), NullImpossible(column="alt", low=-100, high=15000)],
    "airlines": [Trim(), DropDuplicates()],
}

EXPECTATIONS: dict[str, list[Expectation]] = {
    "flights": [
        RowCount(low=300_000),
        HasType(column="sched_dep_time", type="int64"),
        NotNull(column="carrier"),
        NotNull(column="sched_dep_time"),
        NotNull(column="tailnum", max_share=0.01, severity="warn"),
        NotNull(column="arr_delay", max_share=0.05, severity="warn"),
        InRange(column="month", low=1, high=12),
        InRange(column="distance", low=10, high=6000),
        InSet(column="origin", values=ORIGINS),
        Unique(columns=["year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"]),
        References(column="carrier", to_table="airlines", to_column="carrier"),
        References(column="dest", to_table="airports", to_column="faa", severity="warn"),
        References(column="tailnum", to_table="planes", to_column="tailnum", severity="warn"),
    ],
    "weather": [
        RowCount(low=20_000),
        NotNull(column="temp", max_share=0.01),
        NotNull(column="wind_gust", max_share=0.5, severity="info"),
        InSet(column="origin", values=ORIGINS),
        Unique(columns=["origin", "time_hour"]),
        InRange(column="visib", low=0, high=20),
    ],
    "planes": [Unique(columns=["tailnum"]), NotNull(column="year", max_share=0.05, severity="warn"),
               InRange(column="seats", low=1, high=600)],
    "airports": [Unique(columns=["faa"]), InRange(column="lat", low=-90, high=90),
                 InRange(column="lon", low=-180, high=180), NotNull(column="tzone", max_share=0.01, severity="warn")],
    "airlines": [Unique(columns=["carrier"]), RowCount(low=16, high=16)],
    "flight_features": [
        RowCount(low=1000),
        Unique(columns=["flight_id"]),
        NotNull(column="late"),
        InSet(column="late", values=[0, 1]),
        Fresh(column="known_at", within_s=3 * 86_400, severity="warn"),
    ],
}  # fmt: skip
