"""Applying cleaning rules to a frame, and saying what was found and changed."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from homeostat.core.errors import InvalidInput
from homeostat.core.frames import Frame, to_polars
from homeostat.data.cleaning_rules import (
    CleanRule,
    DropDuplicates,
    DropMissing,
    KeepNewest,
    NullImpossible,
    Trim,
)
from homeostat.data.model import CheckResult, CleanReport

_ROW = "__row__"


def clean(frame: Frame, rules: Sequence[CleanRule], table: str = "") -> tuple[pl.DataFrame, CleanReport]:
    """`frame` after `rules`, applied in order, and what each of them changed. Rows keep their order.

    Raises: InvalidInput for a column that does not exist or that a rule cannot be applied to.

    >>> cleaned, report = clean(pl.DataFrame({"late": [5, -9999, 7]}), [NullImpossible(column="late", low=-200)])
    >>> cleaned["late"].to_list(), report.findings[0].message
    ([5, None, 7], 'late: 1 impossible value (below -200) set to null')
    """
    rows = to_polars(frame)
    before = rows.height
    findings: list[CheckResult] = []
    for rule in rules:
        rows, finding = _apply(rows, rule)
        findings.append(finding)
    return rows, CleanReport(table=table, rows_in=before, rows_out=rows.height, findings=findings)


def _apply(rows: pl.DataFrame, rule: CleanRule) -> tuple[pl.DataFrame, CheckResult]:
    if isinstance(rule, DropDuplicates):
        kept = rows.unique(keep="first", maintain_order=True)
        return kept, _dropped("drop_duplicates", None, rows, kept, "equal in every column to an earlier row")
    if isinstance(rule, KeepNewest):
        kept = _newest(rows, rule)
        return kept, _dropped("keep_newest", None, rows, kept, f"with a newer row of the same {', '.join(rule.key)}")
    if isinstance(rule, DropMissing):
        _require_columns(rows, rule.columns)
        kept = rows.drop_nulls(rule.columns)
        return kept, _dropped("drop_missing", None, rows, kept, f"without {' or '.join(rule.columns)}")
    if isinstance(rule, NullImpossible):
        return _null_impossible(rows, rule)
    return _trim(rows, rule)


def _require_columns(rows: pl.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in rows.columns:
            raise InvalidInput(
                f"a cleaning rule names the column '{column}', which is not there",
                hint=f"the columns are {', '.join(rows.columns)}",
                column=column,
            )


def _newest(rows: pl.DataFrame, rule: KeepNewest) -> pl.DataFrame:
    _require_columns(rows, [*rule.key, *([rule.by] if rule.by else [])])
    if rule.by is None:
        return rows.unique(rule.key, keep="last", maintain_order=True)
    # Ties go to the later row, and a row without time is older than any with one.
    numbered = rows.with_row_index(_ROW)
    order = numbered.sort([rule.by, _ROW], nulls_last=False)
    return order.unique(rule.key, keep="last", maintain_order=True).sort(_ROW).drop(_ROW)


def _null_impossible(rows: pl.DataFrame, rule: NullImpossible) -> tuple[pl.DataFrame, CheckResult]:
    _require_columns(rows, [rule.column])
    dtype = rows.schema[rule.column]
    if not dtype.is_numeric():
        raise InvalidInput(f"column '{rule.column}' is {dtype}, not numeric: it has no range", column=rule.column)
    value = pl.col(rule.column)
    impossible = value.is_nan() if dtype.is_float() else pl.lit(False)
    bounds: list[str] = []
    if rule.low is not None:
        impossible |= value < rule.low
        bounds.append(f"below {rule.low:g}")
    if rule.high is not None:
        impossible |= value > rule.high
        bounds.append(f"above {rule.high:g}")
    found = int(rows.select(impossible.fill_null(False).sum()).item())
    cleaned = rows.with_columns(pl.when(impossible).then(None).otherwise(value).alias(rule.column))
    meant = f" ({' or '.join(bounds)})" if bounds else ""
    plural = "" if found == 1 else "s"
    message = f"{rule.column}: {found:,} impossible value{plural}{meant} set to null"
    return cleaned, CheckResult(
        check="null_impossible", column=rule.column, passed=not found, severity="info", rows=found, message=message,
        observed=f"{found} values", expected="none" + meant,
    )  # fmt: skip


def _trim(rows: pl.DataFrame, rule: Trim) -> tuple[pl.DataFrame, CheckResult]:
    names = rule.columns if rule.columns is not None else [n for n, t in rows.schema.items() if t == pl.String]
    _require_columns(rows, names)
    if wrong := [name for name in names if rows.schema[name] != pl.String]:
        raise InvalidInput(f"column '{wrong[0]}' is {rows.schema[wrong[0]]}, not text: it cannot be trimmed")
    trimmed = rows.with_columns(pl.col(name).str.strip_chars().replace("", None) for name in names)
    changed = sum(int(rows[name].ne_missing(trimmed[name]).sum()) for name in names)
    plural = "" if changed == 1 else "s"
    return trimmed, CheckResult(
        check="trim", passed=not changed, severity="info", rows=changed, observed=f"{changed} values", expected="none",
        message=f"{changed:,} text value{plural} with white space around or empty",
    )  # fmt: skip


def _dropped(check: str, column: str | None, before: pl.DataFrame, after: pl.DataFrame, which: str) -> CheckResult:
    count = before.height - after.height
    return CheckResult(
        check=check, column=column, passed=not count, severity="info", rows=count, observed=f"{count} rows",
        expected="none", message=f"{count:,} row{'' if count == 1 else 's'} dropped {which}",
    )  # fmt: skip
