"""A column of a table or a spine, found or complained about."""

from __future__ import annotations

import difflib

import polars as pl

from homeostat.core.errors import InvalidInput


def column(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    """The column of that name. Raises InvalidInput, with what it may have been meant to be, when there is none."""
    if name not in frame.columns:
        near = difflib.get_close_matches(name, frame.columns, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(frame.columns[:20])}"
        raise InvalidInput(f"{where} has no column '{name}'", hint=hint, column=name)
    return frame[name]


def number(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    """As `column`, of numbers or booleans."""
    found = column(frame, name, where)
    if not (found.dtype.is_numeric() or found.dtype == pl.Boolean):
        raise InvalidInput(
            f"'{name}' of {where} is {found.dtype}, and a feature is a number",
            hint="turn text into a number first, by a list of its values that is fixed",
            column=name,
        )
    return found
