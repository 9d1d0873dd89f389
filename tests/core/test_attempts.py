"""How often an address may be wrong about who it is, by a clock of the test's own."""

from __future__ import annotations

import logging

import pytest

from homeostat.core.attempts import Attempts
from homeostat.core.errors import TooManyRequests, Unauthenticated

NO = Unauthenticated("no")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def statuses(attempts: Attempts, address: str, times: int) -> list[int]:
    return [attempts.wrong(address, NO).status for _ in range(times)]


def test_twenty_at_once_then_one_every_three_seconds(clock: Clock):
    attempts = Attempts(clock)
    assert statuses(attempts, "192.0.2.7", 23) == [401] * 20 + [429] * 3
    told = attempts.wrong("192.0.2.7", NO)
    assert isinstance(told, TooManyRequests)
    assert told.facts["retry_after_s"] == 3
    clock.now += 3
    assert statuses(attempts, "192.0.2.7", 2) == [401, 429]
    clock.now += 60
    assert statuses(attempts, "192.0.2.7", 21) == [401] * 20 + [429]


def test_asking_on_makes_the_wait_no_longer(clock: Clock):
    attempts = Attempts(clock)
    statuses(attempts, "192.0.2.7", 5000)
    clock.now += 3
    assert statuses(attempts, "192.0.2.7", 1) == [401]


def test_others_are_counted_for_themselves_and_whole_networks_of_ipv6_together(clock: Clock):
    attempts = Attempts(clock)
    statuses(attempts, "192.0.2.7", 30)
    assert statuses(attempts, "192.0.2.8", 1) == [401]
    assert statuses(attempts, "::ffff:192.0.2.7", 1) == [429]
    for host in range(20):
        assert statuses(attempts, f"2001:db8:0:1::{host:x}", 1) == [401]
    assert statuses(attempts, "2001:db8:0:1:ffff::1", 1) == [429]
    assert statuses(attempts, "2001:db8:0:2::1", 1) == [401]
    assert statuses(attempts, "", 21)[-1] == 429


def test_what_is_remembered_is_bounded_and_the_log_says_it_once(clock: Clock, caplog: pytest.LogCaptureFixture):
    attempts = Attempts(clock)
    with caplog.at_level(logging.WARNING, "homeostat.access"):
        statuses(attempts, "192.0.2.7", 100)
    assert [record.getMessage() for record in caplog.records] == ["too many wrong tokens come from 192.0.2.7"]
    for number in range(10_000):
        attempts.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", NO)
    assert len(attempts._held) == 4096  # pyright: ignore[reportPrivateUsage]
