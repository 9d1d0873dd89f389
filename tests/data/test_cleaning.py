"""Cleaning: only what the rules say changes, and the report says how much."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.data import CleanRule, DropDuplicates, DropMissing, KeepNewest, NullImpossible, Trim, clean

FRAME = pl.DataFrame(
    {
        "id": [1, 1, 2, 2, 3],
        "at": [5, 5, 9, 7, None],
        "late": [3.0, 3.0, -9999.0, float("nan"), None],
        "name": [" ann", " ann", "", "bob", None],
    }
)


@pytest.mark.parametrize(
    ("rule", "column", "left", "message"),
    [
        (DropDuplicates(), "id", [1, 2, 2, 3], "1 row dropped equal in every column to an earlier row"),
        (KeepNewest(key=["id"], by="at"), "at", [5, 9, None], "2 rows dropped with a newer row of the same id"),
        (KeepNewest(key=["id"]), "at", [5, 7, None], "2 rows dropped with a newer row of the same id"),
        (DropMissing(columns=["at", "name"]), "id", [1, 1, 2, 2], "1 row dropped without at or name"),
        (NullImpossible(column="late", low=-200, high=100), "late", [3.0, 3.0, None, None, None],
         "late: 2 impossible values (below -200 or above 100) set to null"),
        (NullImpossible(column="id", high=2), "id", [1, 1, 2, 2, None], "id: 1 impossible value (above 2) set to null"),
        (Trim(), "name", ["ann", "ann", None, "bob", None], "3 text values with white space around or empty"),
    ],
)  # fmt: skip
def test_each_rule(rule: CleanRule, column: str, left: list[object], message: str) -> None:
    cleaned, report = clean(FRAME, [rule], table="t")
    assert cleaned[column].to_list() == left
    [finding] = report.findings
    assert finding.message == message
    assert not finding.passed
    assert (report.rows_in, report.rows_out) == (5, cleaned.height)
    again, second = clean(cleaned, [rule])
    assert again.equals(cleaned)
    assert second.findings[0].rows == 0
    assert second.findings[0].passed


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (NullImpossible(column="no"), "names the column 'no', which is not there"),
        (NullImpossible(column="name", low=0), "not numeric"),
        (Trim(columns=["id"]), "not text"),
        (KeepNewest(key=["id"], by="no"), "names the column 'no'"),
        (DropMissing(columns=["no"]), "names the column 'no'"),
    ],
)
def test_rules_that_cannot_apply_are_refused(rule: CleanRule, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        clean(FRAME, [rule])


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 5)), max_size=20))
def test_the_newest_row_of_each_key_stays(rows: list[tuple[int, int | None]]) -> None:
    frame = pl.DataFrame(
        [(k, at, n) for n, (k, at) in enumerate(rows)],
        schema={"k": pl.Int64, "at": pl.Int64, "n": pl.Int64},
        orient="row",
    )
    model: dict[int, tuple[int, int]] = {}
    for n, (key, at) in enumerate(rows):
        rank = (-1 if at is None else at, n)
        if key not in model or rank > model[key]:
            model[key] = rank
    cleaned, _ = clean(frame, [KeepNewest(key=["k"], by="at")])
    assert {row[0]: row[2] for row in cleaned.rows()} == {key: n for key, (_, n) in model.items()}
    assert cleaned["n"].is_sorted()


def test_the_report_is_kept_with_the_version(any_ws: hs.Workspace) -> None:
    version = any_ws.data.write_table("t", FRAME, clean=[DropDuplicates(), Trim(columns=["name"])])
    assert version.clean is not None
    assert (version.rows, version.clean.rows_in, version.clean.rows_out) == (4, 5, 4)
    assert any_ws.data.get_table_version("t").clean == version.clean
    assert [f.check for f in version.clean.findings] == ["drop_duplicates", "trim"]
