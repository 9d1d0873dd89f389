"""One request on its way through a graph: what all its steps share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from homeostat.serving.graphs.feeding import Given
from homeostat.serving.otlp import Child, Span
from homeostat.serving.question import Question


class Run:
    """`answered` is by the member's place in the graph: which version it was. `ended`: answered, or given up. `took`
    are the microseconds of each node that does something, -1 where it has not answered, and `failed` is the number of
    the one that ended it all. `spans` are by the node's path, for requests that are traced."""

    __slots__ = ("_give_up", "answered", "deadline_ns", "ended", "failed", "question", "span", "spans", "took")

    def __init__(
        self, question: Question, deadline_ns: int, took: list[int], give_up: Callable[[Run, int, str, bytes], None]
    ) -> None:
        self.question = question
        self.deadline_ns = deadline_ns
        self.answered: dict[int, str] = {}
        self.ended = False
        self.took = took
        self.failed = -1
        self.span: Span | Child | None = None
        self.spans: dict[str, Child] = {}
        self._give_up = give_up

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """Answer the whole request with an error, unless it has ended."""
        if not self.ended:
            self.ended = True
            self._give_up(self, status, message, extra)

    def blame(self, node: int) -> None:
        """It is this node that cannot go on. The first one told stays it."""
        if self.failed < 0:
            self.failed = node

    def begin(self, path: str, name: str) -> Child | None:
        """The span of the node at `path`, which begins now, below that of the node above it; None without a trace."""
        above = self.spans.get(path.rpartition(".")[0]) or self.span
        if above is None:
            return None
        found = self.spans[path] = Child(f"{path} {name}" if name else path, {"homeostat.node": path})
        if name:
            found.attributes["homeostat.asked"] = name
        above.children.append(found)
        return found

    def keys_of(self, given: Given) -> list[Any] | None:
        """The request's keys for the rows at hand; None without keys."""
        keys = self.question.key
        return keys if keys is None or given.index is None else [keys[at] for at in given.index.tolist()]

    def times_of(self, given: Given) -> bytes | None:
        """The request's times for the rows at hand."""
        times = self.question.times
        return times if times is None or given.index is None else np.frombuffer(times, "<i8")[given.index].tobytes()
