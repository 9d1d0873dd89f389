"""The engine against a row-by-row oracle, and its promises: rows out = rows in, ties, tolerance, bits."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.features import FeatureSet, FeatureView, Latest, Windows, compute
from tests.features.oracle import slow_features

SOURCE_SCHEMA = {"a": pl.String, "b": pl.Int64, "t": pl.Int64, "whole": pl.Int64, "part": pl.Float64}
SPINE_SCHEMA = {"a": pl.String, "b": pl.Int64, "at": pl.Int64, "own": pl.Float64}

letters = st.sampled_from(["x", "y", "z", None])
times = st.integers(-20_000, 20_000)
parts = st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6, width=32))
source_rows = st.tuples(letters, st.integers(0, 2), st.one_of(st.none(), times), st.integers(-500, 500), parts)
spine_rows = st.tuples(letters, st.integers(0, 3), times, st.floats(-10, 10, width=32))

EVENTS = FeatureView(
    name="events",
    source="events",
    known_at="t",
    features=[
        Windows(name="whole", key=["a"], value="whole", over=["1s", "7s"], what=["mean", "sum", "count"]),
        Windows(name="part", key=["a", "b"], value="part", over=["3s", "900ms"], what=["sum", "mean", "count"]),
        Windows(name="all", key=[], value="part", over=["5s"]),
        Latest(name="last", key=["a"], values=["whole", "part"], within="4s"),
        Latest(name="ever", key=["b"], values=["part"]),
    ],
)
ALWAYS = FeatureView(name="always", source="events", features=[Latest(name="ref", key=["b"], values=["whole"])])
SET = FeatureSet(name="set", at="at", given=["own"], views=[EVENTS, ALWAYS])


def frame(rows: list[Any], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


@settings(max_examples=150, deadline=None)
@given(st.lists(source_rows, max_size=30), st.lists(spine_rows, max_size=12))
def test_equals_the_oracle_and_gives_a_row_for_each_row(events: list[Any], asked: list[Any]) -> None:
    source, spine = frame(events, SOURCE_SCHEMA), frame(asked, SPINE_SCHEMA)
    found = compute(SET, spine, {"events": source})
    assert found.columns == SET.columns
    assert found.height == spine.height
    expected = slow_features(SET, spine, {"events": source})
    wanted = pl.DataFrame(expected, schema=dict.fromkeys(SET.columns, pl.Float64))
    assert_frame_equal(found, wanted, check_exact=False, rel_tol=1e-6, abs_tol=1e-2)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(source_rows, max_size=30),
    st.lists(spine_rows, min_size=1, max_size=12),
    st.lists(source_rows, max_size=10),
    times,
)
def test_the_past_does_not_depend_on_what_is_known_later(
    events: list[Any], asked: list[Any], other: list[Any], cut: int
) -> None:
    by_then = [row for row in events if row[2] is None or row[2] <= cut]
    later = [(*row[:2], cut + 1 + abs(row[2] or 0), *row[3:]) for row in other]
    view = FeatureSet(name="set", at="at", views=[EVENTS])
    spine = frame([row for row in asked if row[2] <= cut], SPINE_SCHEMA)
    before = compute(view, spine, {"events": frame(events, SOURCE_SCHEMA)})
    after = compute(view, spine, {"events": frame(later[:5] + by_then + later[5:], SOURCE_SCHEMA)})
    assert before.equals(after)


def test_a_row_known_at_the_very_moment_counts_and_one_a_length_ago_does_not() -> None:
    view = FeatureView(
        name="v", source="s", known_at="t", features=[Windows(name="w", key=[], value="whole", over=["1s"])]
    )
    source = frame([("x", 0, 0, 1, None), ("x", 0, 1000, 5, None)], SOURCE_SCHEMA)
    spine = frame([("x", 0, 999, 0.0), ("x", 0, 1000, 0.0), ("x", 0, -1, 0.0)], SPINE_SCHEMA)
    found = compute(FeatureSet(name="f", at="at", views=[view]), spine, {"s": source})
    assert found.rows() == [(1.0, 1.0), (5.0, 1.0), (None, 0.0)]


def test_of_two_rows_known_at_once_the_later_in_the_source_is_the_latest() -> None:
    view = FeatureView(name="v", source="s", known_at="t", features=[Latest(key=["a"], values=["whole"], within="1s")])
    source = frame([("x", 0, 10, 1, None), ("x", 0, 10, 2, None)], SOURCE_SCHEMA)
    spine = frame([("x", 0, 1010, 0.0), ("x", 0, 1011, 0.0), ("q", 0, 1010, 0.0)], SPINE_SCHEMA)
    found = compute(FeatureSet(name="f", at="at", views=[view]), spine, {"s": source})
    assert found["whole"].to_list() == [2.0, None, None]


def test_a_huge_value_is_forgotten_after_two_lengths() -> None:
    rows = [("x", 0, 0, 0, 1e300), *[("x", 0, 1000 * i, 0, 0.1) for i in range(1, 20)]]
    view = FeatureView(
        name="v",
        source="s",
        known_at="t",
        features=[Windows(name="w", key=[], value="part", over=["2s"], what=["sum"])],
    )
    spine = frame([("x", 0, 19_000, 0.0)], SPINE_SCHEMA)
    found = compute(FeatureSet(name="f", at="at", views=[view]), spine, {"s": frame(rows, SOURCE_SCHEMA)})
    assert found["w_sum_2s"][0] == pytest.approx(0.2)


def test_values_survive_32_bits() -> None:
    view = FeatureView(name="v", source="s", features=[Latest(key=["a"], values=["part"])])
    source = frame([("x", 0, 0, 0, 0.1)], SOURCE_SCHEMA)
    found = compute(FeatureSet(name="f", at="at", views=[view]), frame([("x", 0, 1, 0.0)], SPINE_SCHEMA), {"s": source})
    assert found["part"].cast(pl.Float32).cast(pl.Float64).to_list() == found["part"].to_list()


def test_what_cannot_be_meant_is_refused_with_the_way_out() -> None:
    source, spine = frame([], SOURCE_SCHEMA), frame([("x", 0, 1, 0.0)], SPINE_SCHEMA)

    def refusal(view: FeatureView, at: str = "at", given: tuple[str, ...] = ()) -> str:
        with pytest.raises(InvalidInput) as caught:
            compute(FeatureSet(name="f", at=at, views=[view], given=list(given)), spine, {"s": source})
        return str(caught.value)

    def windows(**other: Any) -> FeatureView:
        return FeatureView(
            name="v",
            source="s",
            known_at=other.pop("known_at", "t"),
            features=[Windows(**{"name": "w", "key": ["a"], "value": "whole", "over": ["1h"]} | other)],
        )

    assert "did you mean 'whole'" in refusal(windows(value="hole"))
    assert "the source 's' has no column 'c'" in refusal(windows(key=["c"]))
    assert "not a length of time" in refusal(windows(over=["1 hour"]))
    assert "does not say when its rows are known" in refusal(windows(known_at=None))
    assert "twice" in refusal(windows(over=["1h", "1h"]))
    assert "'a' of the source 's' is String" in refusal(windows(value="a"))
    assert "'own' must hold the moment" in refusal(windows(), at="own")
    assert "did you mean 'own'" in refusal(windows(), given=("owm",))
    with pytest.raises(NotFound, match="reads 's', which was not given"):
        compute(FeatureSet(name="f", at="at", views=[windows()]), spine, {})
