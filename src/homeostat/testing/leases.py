"""What `homeostat.core.leases.Leases` promises, on any database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from homeostat.core.leases import Lease, Leases
from homeostat.testing.database import in_threads

LONG = 3600.0
SHORT = 0.02


class LeaseSuite:
    """Tests of leases. `open_leases` gives the leases of the same workspace, as another process would open it."""

    @pytest.fixture
    def open_leases(self) -> Callable[[], Leases]:
        raise NotImplementedError("give the suite a fixture that returns a function that opens the leases")

    @pytest.fixture
    def here(self, open_leases: Callable[[], Leases]) -> Leases:
        return open_leases()

    @pytest.fixture
    def there(self, here: Leases, open_leases: Callable[[], Leases]) -> Leases:
        return open_leases()

    def test_one_holds_it_until_it_is_given_back(self, here: Leases, there: Leases) -> None:
        mine = taken(here.acquire("job", LONG, "a"))
        assert there.acquire("job", LONG, "b") is None
        here.release(mine)
        assert taken(there.acquire("job", LONG, "b")).token > mine.token
        assert here.acquire("job", LONG, "a") is None

    def test_names_do_not_hinder_each_other(self, here: Leases, there: Leases) -> None:
        assert here.acquire("job", LONG, "a") is not None
        assert there.acquire("job2", LONG, "b") is not None

    def test_a_crashed_holder_loses_it_in_time(self, here: Leases, there: Leases) -> None:
        crashed = taken(here.acquire("job", SHORT, "a"))
        theirs = eventually(lambda: there.acquire("job", LONG, "b"))
        assert theirs.token > crashed.token
        assert not here.renew(crashed)

    def test_a_process_of_this_host_that_is_gone_is_followed_at_once(self, here: Leases, there: Leases) -> None:
        ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
        crashed = taken(here.acquire("job", LONG, f"{os.uname().nodename}:{int(ended.stdout)}:x"))
        assert taken(there.acquire("job", LONG, f"{os.uname().nodename}:{os.getpid()}:y")).token > crashed.token
        assert here.acquire("job", LONG, "elsewhere:1:z") is None

    def test_whoever_slept_past_it_gives_nothing_back(self, here: Leases, there: Leases) -> None:
        slept = taken(here.acquire("job", SHORT, "a"))
        eventually(lambda: there.acquire("job", LONG, "b"))
        here.release(slept)
        assert here.acquire("job", LONG, "c") is None

    def test_renewing_keeps_it(self, here: Leases, there: Leases) -> None:
        held = taken(here.acquire("job", 0.5, "a"))
        for _ in range(4):
            time.sleep(0.2)
            if not here.renew(held):
                pytest.skip("this machine paused for longer than the lease")
        assert there.acquire("job", LONG, "b") is None

    def test_the_same_owner_gets_a_new_token(self, here: Leases) -> None:
        first = taken(here.acquire("job", LONG, "a"))
        second = taken(here.acquire("job", LONG, "a"))
        assert second.token > first.token
        assert not here.renew(first)
        assert here.renew(second)

    def test_of_many_at_once_one_gets_it(self, here: Leases, there: Leases) -> None:
        got: list[str] = []

        def reach(leases: Leases, owner: str) -> None:
            if leases.acquire("job", LONG, owner) is not None:
                got.append(owner)

        in_threads([lambda i=i: reach((here, there)[i % 2], f"owner {i}") for i in range(12)])
        assert len(got) == 1

    def test_a_turn_is_for_one_of_all_that_ask_until_it_is_time_again(self, here: Leases, there: Leases) -> None:
        assert here.turn("look", LONG)
        assert not any(leases.turn("look", LONG) for leases in (here, there))
        assert here.turn("another", 0.05)
        deadline = time.monotonic() + 30
        while not there.turn("another", LONG):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_tokens_only_grow(self, here: Leases, there: Leases) -> None:
        tokens: list[int] = []
        for turn in range(10):
            leases = (here, there)[turn % 2]
            lease = taken(leases.acquire("job", LONG, f"owner {turn}"))
            tokens.append(lease.token)
            leases.release(lease)
        assert tokens == sorted(set(tokens))


def taken(lease: Lease | None) -> Lease:
    """`lease`, which was got."""
    assert lease is not None
    return lease


def eventually(attempt: Callable[[], Lease | None], within_s: float = 30) -> Lease:
    """The first lease that `attempt` gives, tried again and again for `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while (lease := attempt()) is None:
        assert time.monotonic() < deadline, f"not got within {within_s} s"
        time.sleep(0.01)
    return lease
