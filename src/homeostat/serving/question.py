"""One prediction on its way: from the parsed request to the answer and the prediction log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion
    from homeostat.serving.oip import Outputs, WireRequest


class Line(Protocol):
    """The connection of an exchange."""

    def write_ready(self) -> None:
        """Send every answer whose turn has come."""
        ...


class Waiting(Protocol):
    """Who waits for an answer: an HTTP/1.1 exchange or a gRPC call."""

    @property
    def connection(self) -> Line:
        """Told once when the answers of a whole group are in their places."""
        ...

    def fail(self, status: int, message: str, extra: bytes = b"") -> None:
        """Answer with an error; `status` is HTTP's."""
        ...


class Form(Protocol):
    """How one protocol writes an answer."""

    def put(
        self, question: Question, waiting: Any, loaded: LoadedVersion, outputs: Outputs, start: int, stop: int | None
    ) -> None:
        """Put the answer for the rows from `start` to `stop` (None: all) into its place in `waiting`."""
        ...


class Question(msgspec.Struct, eq=False):
    """What a lane needs of a request. `exchange` is dropped with the answer; the rest stays until it is logged."""

    exchange: Waiting | None
    form: Form
    id: str
    role: str
    rows: int
    payload: Any
    key: list[Any] | None
    times: bytes | None
    wanted: list[tuple[int, bool]]
    started_ns: int
    deadline_ns: int = 0  # when the answer is of no use any more; 0: the deployment's time limit holds
    shadows: list[LoadedVersion] | None = None
    # The request as it came, kept only while shadows want it.
    mirror: tuple[WireRequest, bytes, int] | None = None
    parameters: dict[str, Any] | None = None  # of the request, for graphs that switch on them
