"""The interface of a runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod

from homeostat.serving.tensors import Array


class Runtime(ABC):
    """A loaded model. Promises: `run` may be called by any thread, and by two at once; it keeps no reference to what
    it is given; equal rows give equal outputs whatever else is in the batch (up to float rounding).

    `in_loop` is False for runtimes that must never be run on the event loop, because they wait for another process.
    """

    name = ""
    in_loop = True

    @abstractmethod
    def run(self, arrays: list[Array]) -> list[Array]:
        """The outputs, in the signature's order, for the inputs in the contract's order.

        Raises: Unavailable when the model cannot answer now; any other exception is the model's own failure.
        """

    def close(self) -> None:  # noqa: B027 (most runtimes hold nothing)
        """Let go of processes and memory. Called once, when the last request has been answered."""
