"""Sets of runs as one byte for each are the sets that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homeostat.tracking.query.masks import Mask

HIGHEST = 40
RUNS = st.sets(st.integers(0, HIGHEST))


@given(RUNS, RUNS)
def test_masks_are_joined_as_sets_are(some: set[int], others: set[int]):
    a, b = Mask.of(some, HIGHEST), Mask.of(others, HIGHEST)
    for joined, expected in ((a & b, some & others), (a | b, some | others), (a - b, some - others)):
        assert list(joined) == sorted(expected)
        assert len(joined) == len(expected)
        assert bool(joined) == bool(expected)
        assert all((number in joined) == (number in expected) for number in range(-1, HIGHEST + 2))
    assert a.among(others) == len(some & others)


def test_what_is_above_the_highest_is_none_of_them():
    assert list(Mask.of([3, 9, 1], 3)) == [1, 3]
