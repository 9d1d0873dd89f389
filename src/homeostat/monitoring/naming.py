"""How a label names the prediction that it is about: by its key, by its key and time, or by its request and row.

All three are one text, kept in the labels' column `key`: a key stands for itself, the others begin with a control
character that no key begins with.
"""

from __future__ import annotations

import polars as pl

from homeostat.core.errors import InvalidInput

_MARK, _END = "\x1f", "\x1e"
_REQUEST, _AT = f"{_MARK}request{_END}", f"{_MARK}at{_END}"
# As much as the labels' table holds.
_LONGEST = 255


def of_request(request_id: pl.Expr, row: pl.Expr) -> pl.Expr:
    """The name of row `row`, counted from 0, of a request."""
    return pl.concat_str(pl.lit(_REQUEST), row.cast(pl.Int64).cast(pl.String), pl.lit(_END), request_id)


def of_key_at(key: pl.Expr, time_ms: pl.Expr) -> pl.Expr:
    """The name of the prediction about `key` whose own time is `time_ms`."""
    return pl.concat_str(pl.lit(_AT), time_ms.cast(pl.Int64).cast(pl.String), pl.lit(_END), key.cast(pl.String))


def is_exact(name: pl.Expr) -> pl.Expr:
    """Whether a name is of one prediction, not of all about a key."""
    return name.str.starts_with(_MARK)


def is_at(name: pl.Expr) -> pl.Expr:
    """Whether a name is a key and a time."""
    return name.str.starts_with(_AT)


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """Labels with the one column `key` for whatever they are named by: `request_id` (and `row`, or the first), else
    `key` and `time_ms`, else `key`.

    Raises: InvalidInput for a name that is too long, or a key that no prediction can have.
    """
    given = frame.columns
    if "request_id" in given:
        row = pl.col("row") if "row" in given else pl.lit(0)
        told = frame.with_columns(of_request(pl.col("request_id").cast(pl.String), row).alias("key"))
    elif "key" in given:
        keys = frame["key"].cast(pl.String)
        if keys.str.starts_with(_MARK).any():
            raise InvalidInput("a key begins with a control character", hint="such a key is none of the predictions'")
        if "time_ms" not in given:
            return frame
        told = frame.with_columns(of_key_at(pl.col("key"), pl.col("time_ms")).alias("key"))
    else:
        return frame
    longest = told["key"].str.len_chars().max()
    if isinstance(longest, int) and longest > _LONGEST:
        raise InvalidInput(f"a request_id or key is longer than {_LONGEST - 25} characters", hint="give a shorter one")
    return told


def shown(name: str) -> str:
    """A name as people read it.

    >>> shown("f-1"), shown("\\x1frequest\\x1e0\\x1er-1"), shown("\\x1fat\\x1e1000\\x1ef-1")
    ("'f-1'", "request 'r-1', row 0,", "'f-1' at 1000")
    """
    if not name.startswith(_MARK):
        return f"'{name[:80]}'"
    _, number, rest = name.split(_END, 2)
    if name.startswith(_AT):
        return f"'{rest[:80]}' at {number}"
    return f"request '{rest[:80]}', row {number},"
