"""CSV as a frame. Cut-off and ragged files are refused with the line; a short row never becomes a row of nulls.

Polars reads; it fills short rows with nulls and does not say where a file is wrong. So a quick look by NumPy counts the
fields of every row first, and what it finds odd is judged, exactly and slowly, by Python's own reader.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.data.schema import type_of_name

NULL_VALUES = ("", "NA")


class _Misfit(Exception):
    """A value that is not of the type its column was given: which, where (data rows count from 0)."""

    def __init__(self, column: str, row: int, value: str) -> None:
        super().__init__(column, row, value)
        self.column, self.row, self.value = column, row, value


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
    (int64, date, datetime[UTC] …). `null_values` are read as null in every column, "" and "NA" by default. Blank lines
    are passed over (in a file of one column they are nulls); a column without name is called "column_1" by its place.

    Raises: InvalidInput for a file that is empty, cut off, ragged or not in `encoding`, and for a value that is not of
    the declared type; the message names the line.
    """
    if len(separator.encode()) != 1 or separator in '\r\n"':
        raise InvalidInput(f"{separator!r} is not a separator", hint="one character, such as ',' or ';' or '\\t'")
    data = _utf8(data, name, encoding)
    raw, names = _header(data, name, separator)
    wanted = {column: type_of_name(kind) for column, kind in (types or {}).items()}
    for column in wanted:
        if column not in names:
            raise InvalidInput(f"{name} has no column '{column}' to give a type", hint=f"it has {', '.join(names)}")
    nulls = list(NULL_VALUES if null_values is None else null_values)
    text = {raw[names.index(column)]: pl.String() for column in wanted}
    rows = _rows(data, name, separator, len(raw), nulls, text)
    rows.columns = names
    try:
        return rows.with_columns(_typed(rows.get_column(column), kind) for column, kind in wanted.items())
    except _Misfit as misfit:
        line = _line_of(data, separator, len(raw), misfit.row)
        raise InvalidInput(
            f"{name} line {line}: {misfit.value!r} in column '{misfit.column}' is not {(types or {})[misfit.column]}",
            hint="correct it, add it to null_values, or leave the column's type out",
            file=name,
            line=line,
            column=misfit.column,
        ) from None


def _rows(
    data: bytes, name: str, separator: str, width: int, nulls: list[str], text: dict[str, pl.String]
) -> pl.DataFrame:
    def parse(content: bytes) -> pl.DataFrame:
        return pl.read_csv(
            content, separator=separator, null_values=nulls, infer_schema_length=None, schema_overrides=text
        )

    if _looks_even(data, separator, width):
        try:
            return parse(data)
        except pl.exceptions.PolarsError:
            pass  # a misplaced quote: the exact reader knows where it is, or how to take it
    try:
        return parse(_rewritten(data, name, separator, width))
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"{name} is not CSV that can be read: {error}", file=name) from error


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
    except ValueError as error:  # codecs of something else than files, such as names of hosts
        raise InvalidInput(f"{name} cannot be read as {encoding!r}: {error}", hint="such as 'utf-8'") from error
    if not text.strip("\ufeff \t\r\n"):
        raise InvalidInput(f"{name} is empty", hint="there should be a header line", file=name)
    data = data if encoding.replace("_", "-").lower() in ("utf-8", "utf8") else text.encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data if b"\n" in data else data.replace(b"\r", b"\n")  # line ends of old Macs


def _header(data: bytes, name: str, separator: str) -> tuple[list[str], list[str]]:
    """The column names as written, and as we call them."""
    try:
        line, raw = next(_records(data, separator))
    except (csv.Error, StopIteration) as error:
        raise InvalidInput(f"{name} has no header line that can be read: {error}", file=name) from error
    names = [column or f"column_{place}" for place, column in enumerate(raw, start=1)]
    twice = [column for place, column in enumerate(names) if column in names[:place]]
    if twice:
        raise InvalidInput(
            f"{name} line {line}: the column '{twice[0]}' occurs twice", hint="rename one", file=name, line=line
        )
    return raw, names


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
    fields = np.diff(np.searchsorted(np.flatnonzero(marks), ends), prepend=0) + 1
    return bool((fields == width).all()) and data[:1] not in (b"\n", b"\r")


def _records(data: bytes, separator: str, width: int = 2) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins, exactly; blank lines only where they are the one column's nulls."""
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator, strict=True)
    line, begun = 1, False
    for record in reader:
        if record or (width == 1 and begun):
            begun = True
            yield line, record
        line = reader.line_num + 1


def _line_of(data: bytes, separator: str, width: int, row: int) -> int:
    """The line on which a data row (from 0) begins."""
    return next(line for place, (line, _) in enumerate(_records(data, separator, width)) if place == row + 1)


def _rewritten(data: bytes, name: str, separator: str, width: int) -> bytes:
    """The same records without blank lines and with quotes where they belong; InvalidInput for one that is ragged."""
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=separator, lineterminator="\n")
    last = data.rstrip(b"\r\n").count(b"\n") + 1
    line = 0
    try:
        for line, record in _records(data, separator, width):
            if len(record) != width and record:
                raise _ragged(name, line, len(record), width, is_last=line >= last)
            writer.writerow(record or [""])
    except csv.Error as error:
        raise InvalidInput(
            f"{name} after line {line}: {error}: a quote is misplaced, or opened and never closed",
            hint="get the file again; or correct the quote",
            file=name,
            line=line,
        ) from error
    return sink.getvalue().encode()


def _ragged(name: str, line: int, found: int, width: int, is_last: bool) -> InvalidInput:
    cut = found < width and is_last
    why = "the file ends in the middle of a row" if cut else "a separator or a quote is missing"
    if found > width:
        why = "a text with a separator in it needs quotes"
    return InvalidInput(
        f"{name} line {line} has {found} fields where the header has {width}: {why}",
        hint="get the file again, or remove that line" if cut else "correct that line",
        file=name,
        line=line,
    )


def _typed(column: pl.Series, kind: pl.DataType) -> pl.Series:
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
        raise _Misfit(column.name, row, column[row])
    return typed
