"""Evaluating expectations: every measure of every expectation in one pass over the rows, then one verdict each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from homeostat.core.clock import iso
from homeostat.core.errors import NotFound
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.data_files import collect, scan
from homeostat.data.expectations import (
    Expectation,
    Fresh,
    HasType,
    InRange,
    InSet,
    Matches,
    NotNull,
    References,
    RowCount,
    Unique,
)
from homeostat.data.model import CheckReport, CheckResult
from homeostat.data.schema import type_name

# A verdict: (passed, observed, expected, rows in which it does not hold, message).
_Verdict = tuple[bool, str, str, int, str]
# What to measure (aggregates by name), and the verdict once they are known (with "rows", the number of rows).
_Question = tuple[dict[str, pl.Expr], Callable[[dict[str, Any]], _Verdict]]


def evaluate(
    ws: Workspace, table: str, version: int, rows: pl.LazyFrame, expectations: Sequence[Expectation], at_ms: int
) -> CheckReport:
    """The report of `expectations` on `rows`. What cannot be asked (a column that is not there, a range of text) fails.

    `at_ms` is the time from which freshness counts.
    """
    schema = rows.collect_schema()
    questions = [_question(ws, expectation, schema, at_ms) for expectation in expectations]
    measures: dict[str, pl.Expr] = {"rows": pl.len()}
    for position, question in enumerate(questions):
        if not isinstance(question, str):
            measures |= {f"{position}:{name}": expression for name, expression in question[0].items()}
    found = rows.select(**measures).collect().row(0, named=True)
    results: list[CheckResult] = []
    for position, (expectation, question) in enumerate(zip(expectations, questions, strict=True)):
        if isinstance(question, str):
            verdict: _Verdict = (False, "cannot be checked", "", 0, question)
        else:
            own = {name: found[f"{position}:{name}"] for name in question[0]}
            verdict = question[1](own | {"rows": found["rows"]})
        results.append(_result(expectation, verdict))
    passed = all(result.passed or result.severity != "error" for result in results)
    return CheckReport(table=table, version=version, passed=passed, at_ms=at_ms, results=results)


def _result(expectation: Expectation, verdict: _Verdict) -> CheckResult:
    passed, observed, expected, rows, message = verdict
    column = getattr(expectation, "column", None)
    if isinstance(expectation, Unique):
        column = ", ".join(expectation.columns)
    return CheckResult(
        check=str(expectation.__struct_config__.tag), column=column, passed=passed, severity=expectation.severity,
        observed=observed, expected=expected, rows=rows, message=message,
    )  # fmt: skip


def _question(ws: Workspace, expectation: Expectation, schema: pl.Schema, at_ms: int) -> _Question | str:
    if isinstance(expectation, RowCount):
        return _row_count(expectation)
    columns = expectation.columns if isinstance(expectation, Unique) else [expectation.column]
    for column in columns:
        if column not in schema:
            return f"{column}: there is no such column"
    if isinstance(expectation, Unique):
        return _unique(expectation)
    dtype = schema[expectation.column]
    if isinstance(expectation, HasType):
        return _has_type(expectation, dtype)
    if isinstance(expectation, NotNull):
        return _not_null(expectation)
    if isinstance(expectation, InRange):
        return _in_range(expectation, dtype)
    if isinstance(expectation, InSet):
        return _in_set(expectation, dtype)
    if isinstance(expectation, Matches):
        return _matches(expectation, dtype)
    if isinstance(expectation, Fresh):
        return _fresh(expectation, dtype, at_ms)
    return _references(ws, expectation, dtype)


def _row_count(e: RowCount) -> _Question:
    expected = f"{e.low:,} to {e.high:,} rows" if e.high is not None else f"at least {e.low:,} rows"

    def judge(m: dict[str, Any]) -> _Verdict:
        passed = m["rows"] >= e.low and (e.high is None or m["rows"] <= e.high)
        return passed, f"{m['rows']:,} rows", expected, 0, f"{m['rows']:,} rows, expected {expected}"

    return {}, judge


def _has_type(e: HasType, dtype: pl.DataType) -> _Question:
    found = type_name(dtype)
    return {}, lambda m: (found == e.type, found, e.type, 0, f"{e.column}: type {found}, expected {e.type}")


def _not_null(e: NotNull) -> _Question:
    expected = "no nulls" if e.max_share == 0 else f"at most {e.max_share:.2%} nulls"

    def judge(m: dict[str, Any]) -> _Verdict:
        share = m["nulls"] / m["rows"] if m["rows"] else 0.0
        message = f"{e.column}: {m['nulls']:,} of {m['rows']:,} values missing ({share:.2%}), expected {expected}"
        return share <= e.max_share, f"{share:.2%} nulls", expected, m["nulls"], message

    return {"nulls": pl.col(e.column).null_count()}, judge


def _unique(e: Unique) -> _Question:
    names = ", ".join(e.columns)
    value = pl.col(e.columns[0]) if len(e.columns) == 1 else pl.struct(e.columns)

    def judge(m: dict[str, Any]) -> _Verdict:
        more = m["rows"] - m["distinct"]
        return more == 0, f"{more:,} repeated", "every row different", more, f"{names}: {more:,} rows repeat a key"

    return {"distinct": value.n_unique()}, judge


def _in_range(e: InRange, dtype: pl.DataType) -> _Question | str:
    if not dtype.is_numeric():
        return f"{e.column}: {type_name(dtype)} has no numeric range"
    value = pl.col(e.column)
    outside = value.is_nan() if dtype.is_float() else pl.lit(False)
    if e.low is not None:
        outside |= value < e.low
    if e.high is not None:
        outside |= value > e.high
    expected = f"{'−∞' if e.low is None else f'{e.low:g}'} to {'∞' if e.high is None else f'{e.high:g}'}"

    def judge(m: dict[str, Any]) -> _Verdict:
        observed = f"{_number(m['min'])} to {_number(m['max'])}"
        message = f"{e.column}: {m['outside']:,} values outside {expected} (found {observed})"
        return m["outside"] == 0, observed, expected, m["outside"], message

    # The constant False needs the column's length, or its sum would be that of one row.
    counted = pl.when(value.is_not_null()).then(outside).otherwise(False).sum()
    return {"outside": counted, "min": value.min(), "max": value.max()}, judge


def _number(value: Any) -> str:
    return "none" if value is None else f"{value:g}"


def _in_set(e: InSet, dtype: pl.DataType) -> _Question | str:
    try:
        allowed = pl.Series(e.values, dtype=dtype, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return f"{e.column}: the allowed values are not of type {type_name(dtype)}"
    value = pl.col(e.column)
    other = value.is_not_null() & ~value.is_in(allowed.implode())
    expected = ", ".join(str(v) for v in e.values[:10]) + (" …" if len(e.values) > 10 else "")

    def judge(m: dict[str, Any]) -> _Verdict:
        sample = ", ".join(str(v) for v in m["sample"])
        message = f"{e.column}: {m['other']:,} values are not allowed" + (f" (such as {sample})" if sample else "")
        return m["other"] == 0, f"{m['other']:,} others", expected, m["other"], message

    return {"other": other.sum(), "sample": _some(value, other)}, judge


def _some(value: pl.Expr, where: pl.Expr) -> pl.Expr:
    return value.filter(where).unique(maintain_order=True).head(3).implode()


def _matches(e: Matches, dtype: pl.DataType) -> _Question | str:
    if dtype != pl.String:
        return f"{e.column}: {type_name(dtype)} is not text"
    try:
        pl.Series([""]).str.contains(e.pattern)
    except pl.exceptions.PolarsError as error:
        return f"{e.column}: {e.pattern!r} is not a regular expression: {error}"
    value = pl.col(e.column)
    other = value.is_not_null() & ~value.str.contains(e.pattern)

    def judge(m: dict[str, Any]) -> _Verdict:
        sample = ", ".join(repr(v) for v in m["sample"])
        such = f" (such as {sample})" if sample else ""
        message = f"{e.column}: {m['other']:,} values do not match {e.pattern}{such}"
        return m["other"] == 0, f"{m['other']:,} others", e.pattern, m["other"], message

    return {"other": other.sum(), "sample": _some(value, other)}, judge


def _fresh(e: Fresh, dtype: pl.DataType, at_ms: int) -> _Question | str:
    if not isinstance(dtype, (pl.Datetime, pl.Date)):
        return f"{e.column}: {type_name(dtype)} is not a time"

    def judge(m: dict[str, Any]) -> _Verdict:
        expected = f"at most {_span(e.within_s)} old"
        if m["newest"] is None:
            return False, "no time at all", expected, 0, f"{e.column}: no time at all, expected {expected}"
        age = (at_ms - m["newest"]) / 1000
        message = f"{e.column}: newest is {iso(m['newest'])}, {_span(max(age, 0))} old, expected {expected}"
        return age <= e.within_s, iso(m["newest"]), expected, 0, message

    return {"newest": pl.col(e.column).max().cast(pl.Datetime("ms")).dt.timestamp("ms")}, judge


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _references(ws: Workspace, e: References, dtype: pl.DataType) -> _Question | str:
    try:
        snap = ws.db.read(lambda connection: store.snapshot(connection, e.to_table))
    except NotFound as error:
        return f"{e.column}: {error.message}"
    other = scan(ws, snap)
    if e.to_column not in other.collect_schema():
        return f"{e.column}: table '{e.to_table}' has no column '{e.to_column}'"
    known = collect(ws, snap, other.select(pl.col(e.to_column).unique())).get_column(e.to_column)
    if known.dtype != dtype:
        return f"{e.column}: {type_name(dtype)} cannot refer to {e.to_table}.{e.to_column}, {type_name(known.dtype)}"
    value = pl.col(e.column)
    lost = value.is_not_null() & ~value.is_in(known.implode())
    target = f"{e.to_table}.{e.to_column}"

    def judge(m: dict[str, Any]) -> _Verdict:
        sample = ", ".join(str(v) for v in m["sample"])
        message = f"{e.column}: {m['lost']:,} values are not in {target}" + (f" (such as {sample})" if sample else "")
        return m["lost"] == 0, f"{m['lost']:,} unknown", f"in {target}", m["lost"], message

    return {"lost": lost.sum(), "sample": _some(value, lost)}, judge
