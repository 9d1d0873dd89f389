"""What is counted of requests that are answered together is what each of them would have counted alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homeostat.serving.counts import VersionCounts


@given(st.lists(st.integers(0, 3_000_000_000), min_size=1, max_size=20))
def test_together_as_alone(started: list[int]) -> None:
    ended = 3_000_000_000
    together, alone = VersionCounts(), VersionCounts()
    together.answered(started, ended)
    for one in started:
        alone.answered([one], ended)
    assert together.buckets == alone.buckets
    assert (together.requests, together.total_ns) == (alone.requests, alone.total_ns)
    assert sum(together.buckets) == len(started)
    assert together.total_ns == sum(ended - one for one in started)
