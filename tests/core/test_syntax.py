"""Syntax trees made by several threads at once."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from homeostat.core.syntax import parsed

TEXTS = ["a + b", "(" * 20 + "x" + ")" * 20, "f(g(h(i(j(k(1))))))", "-run.end"]


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Whoever makes many objects is interrupted often, and others go on meanwhile."""
    before = gc.get_threshold()

    def pause(*_: object) -> None:
        time.sleep(0)

    gc.callbacks.append(pause)
    gc.set_threshold(20)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(pause)


def failures() -> list[str]:
    """What goes wrong where four threads parse for a while."""
    found: list[str] = []

    def parse(text: str) -> None:
        for _ in range(5000):
            try:
                parsed(text)
            except SystemError as error:
                found.append(str(error))

    threads = [threading.Thread(target=parse, args=(text,)) for text in TEXTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_no_thread_is_in_the_way_of_another(interrupted: None) -> None:
    assert failures() == []
