"""CSV as a frame. Cut-off and ragged files are refused with the line; a short row never becomes a row of nulls."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.data.schema import type_of_name

NULL_VALUES = ("", "NA")


def read_csv(
    data: bytes,
    name: str,
    *,
    separator: str = ",",
    null_values: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> pl.DataFrame:
    """The rows of a CSV file with a header line. `name` stands in errors.

    Types are inferred from every row (integers, floats, booleans, else text), except for the columns in `types`
    (int64, date, datetime[UTC] …). `null_values` are read as null in every column, "" and "NA" by default.

    Raises: InvalidInput for a file that is empty, cut off, ragged or not in `encoding`, and for a value that is not of
    the declared type; the message names the line.
    """
    data = _utf8(data, name, encoding)
    _check_rows(data, name, separator)
    wanted = {column: type_of_name(kind) for column, kind in (types or {}).items()}
    nulls = list(NULL_VALUES if null_values is None else null_values)
    try:
        rows = pl.read_csv(
            data,
            separator=separator,
            null_values=nulls,
            infer_schema_length=None,
            schema_overrides=dict.fromkeys(wanted, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"{name} is not CSV that can be read: {error}", file=name) from error
    for column in wanted:
        if column not in rows.columns:
            raise InvalidInput(
                f"{name} has no column '{column}' to give a type", hint=f"it has {', '.join(rows.columns)}"
            )
    return rows.with_columns(_typed(rows.get_column(column), kind, name) for column, kind in wanted.items())


def _utf8(data: bytes, name: str, encoding: str) -> bytes:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") and encoding == "utf-8":
        encoding = "utf-16"
    try:
        text = data.decode(encoding)
    except LookupError:
        raise InvalidInput(f"{encoding!r} is not an encoding", hint="such as 'utf-8', 'latin-1', 'utf-16'") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{name} line {line}: byte 0x{data[error.start]:02x} is not {encoding}",
            hint="encoding='latin-1' reads any bytes; is it really a CSV file?",
            file=name,
            line=line,
        ) from error
    if not text.strip():
        raise InvalidInput(f"{name} is empty", hint="there should be a header line", file=name)
    data = data if encoding.replace("_", "-").lower() in ("utf-8", "utf8") else text.encode()
    return data.removeprefix(b"\xef\xbb\xbf")


def _check_rows(data: bytes, name: str, separator: str) -> None:
    """Refuse rows with another number of fields than the header, and an unclosed quote."""
    if len(separator.encode()) != 1:
        raise InvalidInput(f"{separator!r} is not a separator", hint="one character, such as ',' or ';' or '\\t'")
    header = next(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator))
    twice = [column for i, column in enumerate(header) if column in header[:i]]
    if twice:
        raise InvalidInput(f"{name} line 1: the column '{twice[0]}' occurs twice", hint="rename one", file=name, line=1)
    if not _looks_even(data, separator, len(header)):
        # The quick look found something odd, or quotes that it cannot judge: the exact, slow reading decides.
        _check_exactly(data, name, separator, len(header))


def _looks_even(data: bytes, separator: str, width: int) -> bool:
    """Whether every row has `width` fields, by counting separators and line ends outside quotes."""
    raw = np.frombuffer(data, dtype=np.uint8)
    at_end = raw == ord("\n")
    marks = raw == ord(separator)
    if b'"' in data:
        # Wraps at 256, which keeps the parity that is asked for.
        inside = np.cumsum(raw == ord('"'), dtype=np.uint8) & 1
        if inside[-1]:
            return False
        at_end &= inside == 0
        marks &= inside == 0
    ends = np.flatnonzero(at_end)
    if not len(ends) or ends[-1] != len(raw) - 1:
        ends = np.append(ends, len(raw))
    places = np.flatnonzero(marks)
    fields = np.diff(np.searchsorted(places, ends), prepend=0) + 1
    if width > 1:
        return bool((fields == width).all())
    return bool((fields == 1).all())


def _check_exactly(data: bytes, name: str, separator: str, width: int) -> None:
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator, strict=True)
    before = 0
    try:
        for row in reader:
            line, before = before + 1, reader.line_num
            if row and len(row) != width:
                _refuse_row(data, name, line, len(row), width, last=reader.line_num)
    except csv.Error as error:
        raise InvalidInput(
            f"{name} line {before + 1}: {error}: a quote is opened and not closed, or the file ends inside a row",
            hint="get the file again; or close the quote",
            file=name,
            line=before + 1,
        ) from error


def _refuse_row(data: bytes, name: str, line: int, found: int, width: int, last: int) -> None:
    cut = found < width and last >= data.rstrip(b"\r\n").count(b"\n") + 1
    why = "the file ends in the middle of a row" if cut else "a separator is missing or a quote is"
    if found > width:
        why = "a text with a separator in it needs quotes"
    raise InvalidInput(
        f"{name} line {line} has {found} fields where the header has {width}: {why}",
        hint="get the file again, or remove that line" if cut else "correct that line",
        file=name,
        line=line,
    )


def _typed(column: pl.Series, kind: pl.DataType, name: str) -> pl.Series:
    if column.dtype == kind:
        return column
    if kind == pl.Boolean():
        low = column.str.to_lowercase()
        typed = low.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    elif isinstance(kind, pl.Datetime):
        typed = column.str.to_datetime(time_unit="us", time_zone=kind.time_zone, strict=False)
    elif kind == pl.Date():
        typed = column.str.to_date(strict=False)
    else:
        typed = column.cast(kind, strict=False)
    wrong = typed.is_null() & column.is_not_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise InvalidInput(
            f"{name} line {row + 2}: {column[row]!r} in column '{column.name}' is not {kind}",
            hint="correct it, add it to null_values, or leave the column's type out",
            file=name,
            line=row + 2,
            column=column.name,
        )
    return typed
