"""Profiles: figures that equal a plain recomputation, for every type of column."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.records import to_json
from homeostat.data.profile import profile


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_numbers_are_counted_once(values: list[float | None]) -> None:
    [column] = profile(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}))
    finite = [v for v in values if v is not None and abs(v) < float("inf")]
    assert (column.count, column.nulls) == (len(values), sum(v is None for v in values))
    assert sum(b.count for b in column.histogram) == len(finite)
    if finite:
        assert column.histogram[0].low == min(finite)
        assert all(b.low <= b.high for b in column.histogram)
    else:
        assert (column.min, column.max, column.mean, column.histogram) == (None, None, None, [])
    to_json(column)


def test_every_kind_of_column(ws: hs.Workspace) -> None:
    ws.data.write_table(
        "t",
        pl.DataFrame(
            {
                "n": [1, 2, 2, None], "same": [7, 7, 7, 7], "text": ["b", "a", "a", None],
                "flag": [True, False, True, None], "day": [date(2013, 1, d) for d in (1, 2, 3, 4)],
                "at": [datetime(2013, 1, 1, h, tzinfo=UTC) for h in (1, 2, 3, 4)], "list": [[1], [1], [2], None],
                "bytes": [b"a", b"b", b"b", None], "none": pl.Series([None] * 4, dtype=pl.Float64),
            }
        ),
    )  # fmt: skip
    columns = {c.name: c for c in ws.data.profile_table("t").columns}
    n = columns["n"]
    assert (n.type, n.nulls, n.distinct, n.min, n.max) == ("int64", 1, 2, "1", "2")
    assert n.mean is not None
    assert abs(n.mean - 5 / 3) < 1e-12
    assert [(b.low, b.high, b.count) for b in columns["same"].histogram] == [(7, 7, 4)]
    assert [(lv.value, lv.count) for lv in columns["text"].levels] == [("a", 2), ("b", 1)]
    assert [(lv.value, lv.count) for lv in columns["flag"].levels] == [("True", 2), ("False", 1)]
    assert (columns["day"].min, columns["day"].max) == ("2013-01-01", "2013-01-04")
    assert columns["at"].histogram[0].low == datetime(2013, 1, 1, 1, tzinfo=UTC).timestamp() * 1000
    assert columns["list"].distinct == 2
    assert columns["bytes"].distinct == 2
    assert (columns["none"].count, columns["none"].nulls, columns["none"].histogram) == (4, 4, [])
    empty = ws.data.write_table("empty", pl.DataFrame({"x": pl.Series([], dtype=pl.Int64)}))
    assert empty.rows == 0
    assert ws.data.profile_table("empty").columns[0].count == 0
