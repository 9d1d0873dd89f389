"""One request on its way through a graph: what all its steps share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from homeostat.serving.graphs.feeding import Given
from homeostat.serving.question import Question


class Run:
    """`answered` is by the member's place in the graph: which version it was. `ended`: answered, or given up."""

    __slots__ = ("_give_up", "answered", "deadline_ns", "ended", "question")

    def __init__(self, question: Question, deadline_ns: int, give_up: Callable[[Run, int, str, bytes], None]) -> None:
        self.question = question
        self.deadline_ns = deadline_ns
        self.answered: dict[int, str] = {}
        self.ended = False
        self._give_up = give_up

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """Answer the whole request with an error, unless it has ended."""
        if not self.ended:
            self.ended = True
            self._give_up(self, status, message, extra)

    def keys_of(self, given: Given) -> list[Any] | None:
        """The request's keys for the rows at hand; None without keys."""
        keys = self.question.key
        return keys if keys is None or given.index is None else [keys[at] for at in given.index.tolist()]

    def times_of(self, given: Given) -> bytes | None:
        """The request's times for the rows at hand."""
        times = self.question.times
        return times if times is None or given.index is None else np.frombuffer(times, "<i8")[given.index].tobytes()
