"""A loop stays awake while requests follow each other closely, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from homeostat.serving.polling import NEAR_NS, Polling


class Loop:
    """What a pass of the event loop would call."""

    def __init__(self) -> None:
        self.now = 0
        self.soon: list[Callable[[], Any]] = []

    def call_soon(self, callback: Callable[[], Any]) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def rest(self) -> int:
        """Passes until the loop sleeps, when no time goes by."""
        for turn in range(9):
            if not self.soon:
                return turn
            self.turn()
        return 9


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def polling(loop: Loop) -> Polling:
    return Polling(loop, lambda: loop.now)  # type: ignore[arg-type]


def test_packets_far_from_each_other_let_the_loop_sleep(loop: Loop, polling: Polling) -> None:
    for loop.now in (0, NEAR_NS + 1, 9 * NEAR_NS):
        polling.heard()
        assert loop.rest() == 2, "one look at what was heard, one that finds nothing"


def test_packets_that_follow_closely_keep_the_loop_awake_until_nothing_has_come_for_a_while(
    loop: Loop, polling: Polling
) -> None:
    polling.heard()
    assert loop.rest() == 2
    loop.now += NEAR_NS
    for _ in range(3):
        polling.heard()
        loop.turn()
        loop.turn()
        loop.now += NEAR_NS - 1
        loop.turn()
        assert len(loop.soon) == 1, "it waits for the next"
    loop.now += 1
    loop.turn()
    assert not loop.soon


def test_the_time_an_answer_takes_is_no_time_without_a_request(loop: Loop, polling: Polling) -> None:
    for _ in range(3):
        polling.heard()
        loop.turn()
        loop.now += 9 * NEAR_NS  # the answer is computed on the loop, before the next look
        loop.turn()
        loop.now += NEAR_NS - 1  # and the client asks again soon after
    assert loop.rest() == 9


def test_who_waits_in_vain_sleeps_until_two_follow_closely_again(loop: Loop, polling: Polling) -> None:
    polling.heard()
    loop.rest()
    polling.heard()
    assert loop.rest() == 9
    loop.now += NEAR_NS
    loop.turn()
    assert not loop.soon
    loop.now += NEAR_NS
    polling.heard()
    assert loop.rest() == 2


def test_where_several_come_at_once_the_loop_may_sleep(loop: Loop, polling: Polling) -> None:
    for _ in range(3):
        for _ in range(9):
            polling.heard()
        assert len(loop.soon) == 1, "one look a pass, however much is heard"
        assert loop.rest() == 2


def lone(loop: Loop, polling: Polling) -> None:
    """A packet that is read, and a pass that finds nothing more."""
    polling.heard()
    polling.understood()
    loop.turn()


def test_who_asks_alone_is_answered_as_soon_as_the_packet_is_read(loop: Loop, polling: Polling) -> None:
    done: list[str] = []
    for _ in range(2):
        polling.heard()
        polling.soon(lambda: done.append("a"))
        polling.understood()
        assert not done, "others may come in the same pass"
        loop.turn()
        assert done.pop() == "a"
    polling.heard()
    polling.soon(lambda: done.append("first"))
    polling.soon(lambda: done.append("second"))
    assert not done, "the packet may bring more"
    polling.understood()
    assert done == ["first", "second"]
    polling.understood()
    assert done == ["first", "second"], "once"


def test_one_that_fails_does_not_keep_the_others_waiting(loop: Loop, polling: Polling) -> None:
    for _ in range(3):
        lone(loop, polling)
    done: list[int] = []
    polling.heard()
    polling.soon(lambda: done.append(1 // 0))
    polling.soon(lambda: done.append(2))
    polling.understood()
    assert done == [2]


def test_where_several_come_in_a_pass_they_are_waited_for(loop: Loop, polling: Polling) -> None:
    for _ in range(3):
        lone(loop, polling)
    for _ in range(2):  # the first pass with two is a surprise
        polling.heard()
        polling.understood()
    loop.turn()
    done: list[int] = []
    for at in range(2):
        polling.heard()
        polling.soon(lambda at=at: done.append(at))
        polling.understood()
    assert not done
    loop.turn()
    assert done == [0, 1]


def test_what_is_put_outside_of_a_packet_waits_for_the_end_of_the_pass(loop: Loop, polling: Polling) -> None:
    for _ in range(3):
        lone(loop, polling)
    done: list[int] = []
    polling.soon(lambda: done.append(1))
    assert not done
    loop.turn()
    assert done == [1]


def test_after_a_sleep_it_is_not_known_who_else_comes(loop: Loop, polling: Polling) -> None:
    for _ in range(3):
        lone(loop, polling)
    loop.turn()
    loop.now += NEAR_NS
    loop.turn()
    assert not loop.soon, "it sleeps"
    done: list[int] = []
    polling.heard()
    polling.soon(lambda: done.append(1))
    polling.understood()
    assert not done
