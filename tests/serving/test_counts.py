"""What is counted of requests that are answered together is what each of them would have counted alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homeostat.serving.counts import BOUNDS_US, Exposition, VersionCounts


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


@given(st.integers(0, 10**18), st.integers(1, 10**9))
def test_a_sum_of_seconds_grows_by_what_was_added_however_large_it_is(before_ns: int, added_ns: int) -> None:
    def told(total_ns: int) -> float:
        page = Exposition()
        page.histogram("seconds", "Time.", [({}, [0] * (len(BOUNDS_US) + 1), total_ns)])
        return float(
            next(line for line in page.text().decode().splitlines() if line.startswith("seconds_sum")).split()[1]
        )

    assert told(before_ns) == before_ns / 1e9
    assert told(before_ns + added_ns) - told(before_ns) == (before_ns + added_ns) / 1e9 - before_ns / 1e9
