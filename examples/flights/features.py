"""What is known about a flight one hour before it should leave: 54 numbers, none of them from its future."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from clock import HOUR_MS, minute_of_day

from homeostat.features import FeatureSet, FeatureView, Latest, Windows, compute

ORIGINS = ["EWR", "JFK", "LGA"]
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
MAKERS = ["AIRBUS", "AIRBUS INDUSTRIE", "BOEING", "BOMBARDIER INC", "EMBRAER", "MCDONNELL DOUGLAS"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]

departures = FeatureView(
    name="recent-departures",
    description="Delays at the three airports, each known when the plane has left.",
    source="departures",
    known_at="departed_ms",
    features=[
        Windows(name="origin_delay", key=["origin"], value="dep_delay", over=["1h", "3h", "24h"]),
        Windows(name="origin_carrier_delay", key=["origin", "carrier"], value="dep_delay", over=["3h", "24h"]),
    ],
)
boards = FeatureView(
    name="departure-boards",
    description="Flights still not gone an hour after their time, cancelled or not: known at that hour.",
    source="boards",
    known_at="hour_after_ms",
    features=[Windows(name="origin_not_gone", key=["origin"], value="not_gone", over=["3h", "24h"])],
)
arrivals = FeatureView(
    name="recent-arrivals",
    description="Delays at the destinations, each known when the plane is at its gate.",
    source="arrivals",
    known_at="arrived_ms",
    features=[
        Windows(name="dest_delay", key=["dest"], value="arr_delay", over=["6h", "24h", "168h"]),
        Windows(name="carrier_delay", key=["carrier"], value="arr_delay", over=["24h", "168h"]),
        Windows(name="route_delay", key=["origin", "dest", "carrier"], value="arr_delay", over=["168h", "720h"]),
        Windows(name="tail_delay", key=["tailnum"], value="arr_delay", over=["24h"]),
    ],
)
weather = FeatureView(
    name="weather",
    description="The last hourly report of the airport, known an hour after its hour, at most six hours old.",
    source="weather",
    known_at="known_ms",
    features=[Latest(key=["origin"], values=WEATHER, within="6h")],
)
planes = FeatureView(
    name="planes",
    source="planes",
    features=[Latest(name="plane", key=["tailnum"], values=["year", "seats", "engines", "maker"])],
)
airports = FeatureView(
    name="airports",
    source="airports",
    features=[Latest(name="dest", key=["dest"], values=["lat", "lon", "alt", "tz"])],
)

FLIGHT_FEATURES = FeatureSet(
    name="flight-delay",
    description="Everything known one hour before the scheduled departure.",
    at="predict_ms",
    given=["dep_minute", "weekday", "arr_minute", "sched_minutes", "carrier_code", "origin_code", "distance"],
    views=[planes, airports, weather, departures, boards, arrivals],
)
FEATURES = FLIGHT_FEATURES.columns
# Numbers that name things rather than measure them.
CATEGORICAL = ["carrier_code", "origin_code", "plane_maker"]


def spine_of(flights: pl.DataFrame) -> pl.DataFrame:
    """One row for each flight of a cleaned table, in its order: the keys, the moment of prediction, the schedule."""
    return flights.select(
        "flight_id",
        "sched_dep_ms",
        "origin",
        "dest",
        "carrier",
        "tailnum",
        "sched_minutes",
        "distance",
        predict_ms=pl.col("sched_dep_ms") - HOUR_MS,
        dep_minute=minute_of_day("sched_dep_time"),
        arr_minute=minute_of_day("sched_arr_time"),
        weekday=pl.date("year", "month", "day").dt.weekday(),
        carrier_code=_code("carrier", CARRIERS),
        origin_code=_code("origin", ORIGINS),
    )


def sources_of(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables the views read, made from cleaned tables: each row with the moment at which it was known."""
    flights = tables["flights"]
    an_hour_after = pl.col("sched_dep_ms") + HOUR_MS
    return {
        "departures": flights.filter(pl.col("departed_ms").is_not_null()).select(
            "origin", "carrier", "dep_delay", "departed_ms"
        ),
        "boards": flights.select(
            "origin",
            hour_after_ms=an_hour_after,
            not_gone=(pl.col("departed_ms") > an_hour_after).fill_null(value=True),
        ),
        "arrivals": flights.filter(pl.col("arrived_ms").is_not_null()).select(
            "origin", "dest", "carrier", "tailnum", "arr_delay", "arrived_ms"
        ),
        "weather": tables["weather"].select("origin", "known_ms", *WEATHER),
        "planes": tables["planes"].select("tailnum", "year", "seats", "engines", maker=_code("manufacturer", MAKERS)),
        "airports": tables["airports"].select("lat", "lon", "alt", "tz", dest="faa"),
    }


def flight_features(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Spine, features and outcome of every flight that arrived, in the order of the schedule.

    Columns: flight_id, sched_dep_ms, predict_ms, origin, dest, carrier; the features; late (0 or 1); label_ms, the
    moment at which that was known. Flights that were cancelled or diverted are no examples, but what was known of
    them is in the features of the others.
    """
    flights = tables["flights"]
    spine = spine_of(flights)
    table = spine.select("flight_id", "sched_dep_ms", "predict_ms", "origin", "dest", "carrier").hstack(
        compute(FLIGHT_FEATURES, spine, sources_of(tables))
    )
    outcome = flights.select(late=pl.col("late").cast(pl.Int8), label_ms=pl.col("arrived_ms"))
    return table.hstack(outcome).filter(pl.col("late").is_not_null())


def _code(column: str, values: list[str]) -> pl.Expr:
    """The place of a text in a fixed list; one past its end for any other text, missing for missing."""
    place = pl.col(column).replace_strict(values, range(len(values)), default=len(values), return_dtype=pl.Int64)
    return pl.when(pl.col(column).is_not_null()).then(place)
