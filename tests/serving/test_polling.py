"""A loop stays awake while requests follow each other closely, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def polling(loop: Loop) -> Polling:
    return Polling(loop, lambda: loop.now)  # type: ignore[arg-type]


def test_a_lone_packet_keeps_nobody_awake() -> None:
    loop = Loop()
    look = polling(loop)
    for loop.now in (0, NEAR_NS, 2 * NEAR_NS, 9 * NEAR_NS):
        look.heard()
        assert not look.awake
        assert not loop.soon


def test_packets_that_follow_closely_keep_the_loop_awake_until_nothing_has_come_for_a_while() -> None:
    loop = Loop()
    look = polling(loop)
    look.heard()
    loop.now = NEAR_NS - 1
    look.heard()
    for loop.now in (NEAR_NS, 2 * NEAR_NS - 2):
        assert look.awake
        assert len(loop.soon) == 1
        loop.turn()
    look.heard()  # it came while the loop was awake: the time begins anew
    assert len(loop.soon) == 1
    loop.now += NEAR_NS - 1
    loop.turn()
    assert look.awake
    loop.now += 1
    loop.turn()
    assert not look.awake
    assert not loop.soon


def test_where_several_come_at_once_the_loop_may_sleep() -> None:
    loop = Loop()
    look = polling(loop)
    for _ in range(9):
        look.heard()
    assert len(loop.soon) == 1, "one look a pass, however much is heard"
    loop.turn()
    assert not look.awake
    assert not loop.soon
