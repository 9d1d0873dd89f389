"""The interface of a runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod

from homeostat.core.errors import Unavailable
from homeostat.serving.tensors import Array


class Runtime(ABC):
    """A loaded model. Promises: `run` may be called by any thread, and by two at once; it keeps no reference to what
    it is given; equal rows give equal outputs whatever else is in the batch (up to float rounding).

    `in_loop` is False for runtimes that must never be run on the event loop, because they wait for another process.
    """

    name = ""
    in_loop = True
    # What one batch may take where that can be held: a process that takes longer is ended. 0: as long as it likes.
    answer_s = 0.0
    # How many batches it computes at once, when it computes outside of the event loop.
    replicas = 1

    @abstractmethod
    def run(self, arrays: list[Array]) -> list[Array]:
        """The outputs, in the signature's order, for the inputs in the contract's order.

        Raises: Unavailable when the model cannot answer now, with the fact `crashed` when its process ended in the
        middle of this batch (it may be one request of it that ends it); any other exception is the model's own failure.
        """

    def run_bound(self, matrix: bytes) -> list[Array] | None:
        """As `run`, for the bytes of one matrix of FP32, where memory is bound for one of its size (see `bind`); else
        None, and `run` is to be asked. Here: None."""
        return None

    def bind(  # noqa: B027 (most runtimes gain nothing by it)
        self, matrix: Array, outputs: list[Array], shapes: list[tuple[int, ...]]
    ) -> None:
        """Matrices of the size of this one, which gave `outputs`, come again and again: be ready for them, and give
        what they give in `shapes`, which hold as many values."""

    def scale(self, wanted: int) -> None:
        """Compute so many batches at once. Here: in so many threads. May take long; for one thread at a time."""
        self.replicas = wanted

    def memory(self) -> int:
        """Bytes that it takes in other processes at the moment."""
        return 0

    def close(self) -> None:  # noqa: B027 (most runtimes hold nothing)
        """Let go of processes and memory. Called once, when the last request has been answered."""


class Gone(Runtime):
    """What stands in the place of a runtime that was closed."""

    name = "none"

    def run(self, arrays: list[Array]) -> list[Array]:
        raise Unavailable("the model is being unloaded", hint="send it again")
