"""Expectations: what holds and what does not, said with a version and told as an event."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.core.events import events_after
from homeostat.data import (
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

FRAME = pl.DataFrame(
    {
        "id": [1, 2, 2, None],
        "code": ["AA", "BB", "cc", None],
        "late": [1.0, -500.0, float("nan"), None],
        "n": [1, 2, 3, 4],
        "at": [datetime(2013, 1, 1, h, tzinfo=UTC) for h in (1, 2, 3, 4)],
    }
)
FOUR = int(datetime(2013, 1, 1, 4, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expectation", "passed", "rows", "message"),
    [
        (HasType(column="id", type="int64"), True, 0, "id: type int64, expected int64"),
        (HasType(column="at", type="date"), False, 0, "at: type datetime[UTC], expected date"),
        (NotNull(column="n"), True, 0, "n: 0 of 4 values missing (0.00%), expected no nulls"),
        (NotNull(column="id"), False, 1, "id: 1 of 4 values missing (25.00%), expected no nulls"),
        (NotNull(column="id", max_share=0.25), True, 1,
         "id: 1 of 4 values missing (25.00%), expected at most 25.00% nulls"),
        (Unique(columns=["n"]), True, 0, "n: 0 rows repeat a key"),
        (Unique(columns=["id"]), False, 1, "id: 1 rows repeat a key"),
        (Unique(columns=["id", "code"]), True, 0, "id, code: 0 rows repeat a key"),
        (InRange(column="n", low=1, high=4), True, 0, "n: 0 values outside 1 to 4 (found 1 to 4)"),
        (InRange(column="n", high=3), False, 1, "n: 1 values outside −∞ to 3 (found 1 to 4)"),
        (InRange(column="late", low=-100), False, 2, "late: 2 values outside -100 to ∞ (found -500 to 1)"),
        (InRange(column="n"), True, 0, "n: 0 values outside −∞ to ∞ (found 1 to 4)"),
        (InRange(column="code", low=1), False, 0, "code: string has no numeric range"),
        (InSet(column="code", values=["AA", "BB", "cc"]), True, 0, "code: 0 values are not allowed"),
        (InSet(column="code", values=["AA"]), False, 2, "code: 2 values are not allowed (such as BB, cc)"),
        (InSet(column="id", values=[1, 2]), True, 0, "id: 0 values are not allowed"),
        (InSet(column="id", values=["x"]), False, 0, "id: the allowed values are not of type int64"),
        (Matches(column="code", pattern="^[A-Za-z]{2}$"), True, 0, "code: 0 values do not match ^[A-Za-z]{2}$"),
        (Matches(column="code", pattern="^[A-Z]"), False, 1, "code: 1 values do not match ^[A-Z] (such as 'cc')"),
        (Matches(column="n", pattern="x"), False, 0, "n: int64 is not text"),
        (RowCount(low=4, high=4), True, 0, "4 rows, expected 4 to 4 rows"),
        (RowCount(low=5), False, 0, "4 rows, expected at least 5 rows"),
        (Fresh(column="at", within_s=3600), True, 0,
         "at: newest is 2013-01-01T04:00:00Z, 60 min old, expected at most 60 min old"),
        (Fresh(column="at", within_s=60), False, 0,
         "at: newest is 2013-01-01T04:00:00Z, 60 min old, expected at most 60 s old"),
        (Fresh(column="n", within_s=60), False, 0, "n: int64 is not a time"),
        (NotNull(column="no"), False, 0, "no: there is no such column"),
        (References(column="id", to_table="known", to_column="id"), False, 2,
         "id: 2 values are not in known.id (such as 2)"),
        (References(column="n", to_table="known", to_column="all"), True, 0, "n: 0 values are not in known.all"),
        (References(column="id", to_table="no", to_column="id"), False, 0, "id: there is no table 'no'"),
        (References(column="id", to_table="known", to_column="no"), False, 0, "id: table 'known' has no column 'no'"),
        (References(column="code", to_table="known", to_column="id"), False, 0,
         "code: string cannot refer to known.id, int64"),
    ],
)  # fmt: skip
def test_each_expectation(ws: hs.Workspace, expectation: Expectation, passed: bool, rows: int, message: str) -> None:
    ws.data.write_table("known", pl.DataFrame({"id": [1, 7, 8, 9], "all": [1, 2, 3, 4]}))
    ws.data.set_expectations("t", [expectation])
    report = ws.data.write_table("t", FRAME, at_ms=FOUR + 3_600_000).check
    assert report is not None
    [result] = report.results
    assert (result.passed, result.rows, result.message) == (passed, rows, message)
    assert report.passed is passed


def test_an_unreadable_pattern_fails_its_check_only(ws: hs.Workspace) -> None:
    ws.data.set_expectations("t", [Matches(column="code", pattern="("), NotNull(column="n")])
    report = ws.data.write_table("t", FRAME).check
    assert report is not None
    assert "is not a regular expression" in report.results[0].message
    assert report.results[1].passed


def test_the_report_is_kept_with_its_version_and_failure_is_an_event(any_ws: hs.Workspace) -> None:
    data = any_ws.data
    assert data.set_expectations("t", [NotNull(column="id"), InRange(column="n", high=3, severity="warn")]) == 2
    assert data.list_tables() == []  # declared, not written
    bad = data.write_table("t", FRAME)
    good = data.write_table("t", FRAME.head(3), mode="overwrite")
    warned = data.write_table("t", FRAME.filter(pl.col("n") != 4), mode="overwrite")
    assert bad.check is not None
    assert not bad.check.passed
    assert good.check is not None
    assert good.check.passed
    assert [v.check for v in data.list_versions("t")] == [warned.check, good.check, bad.check]
    [event] = events_after(any_ws, 0, names=["check_failed"])
    assert event.payload == {
        "table": "t", "version": 1, "failed": ["id: 1 of 4 values missing (25.00%), expected no nulls"],
    }  # fmt: skip


def test_a_warning_does_not_fail_a_version(ws: hs.Workspace) -> None:
    ws.data.set_expectations("t", [InRange(column="n", high=3, severity="warn")])
    report = ws.data.write_table("t", FRAME).check
    assert report is not None
    assert (report.passed, report.results[0].passed) == (True, False)
    assert events_after(ws, 0, names=["check_failed"]) == []


def test_old_versions_can_be_checked_against_new_expectations(any_ws: hs.Workspace) -> None:
    any_ws.data.write_table("t", FRAME)
    any_ws.data.write_table("t", FRAME.head(1), mode="overwrite")
    any_ws.data.set_expectations("t", [NotNull(column="id")])
    assert any_ws.data.get_expectations("t") == [NotNull(column="id")]
    assert not any_ws.data.check_table("t", version=1).passed
    assert any_ws.data.check_table("t").passed
    [newest, oldest] = any_ws.data.list_versions("t")
    assert newest.check is not None
    assert oldest.check is not None
    assert (newest.check.passed, oldest.check.passed) == (True, False)


def test_checks_see_the_whole_version_not_only_the_new_rows(ws: hs.Workspace) -> None:
    ws.data.set_expectations("t", [Unique(columns=["n"]), RowCount(high=4)])
    first = ws.data.write_table("t", FRAME)
    assert first.check is not None
    assert first.check.passed
    second = ws.data.write_table("t", FRAME.head(1))
    assert second.check is not None
    assert [r.passed for r in second.check.results] == [False, False]


def test_an_empty_table_can_be_checked(ws: hs.Workspace) -> None:
    every = [
        NotNull(column="n"),
        Unique(columns=["n"]),
        InRange(column="late", low=0),
        InSet(column="code", values=["x"]),
    ]
    ws.data.set_expectations("t", [*every, Fresh(column="at", within_s=1)])
    report = ws.data.write_table("t", FRAME.head(0)).check
    assert report is not None
    assert [r.passed for r in report.results] == [True, True, True, True, False]
    assert report.results[-1].message == "at: no time at all, expected at most 1 s old"


def test_expectations_that_cannot_be_meant_are_refused(ws: hs.Workspace) -> None:
    with pytest.raises(InvalidInput, match="not_nul"):
        ws.data.set_expectations("t", [{"check": "not_nul", "column": "x"}])
    ws.data.set_expectations("t", [{"check": "not_null", "column": "x"}])
    assert ws.data.get_expectations("t") == [NotNull(column="x")]
