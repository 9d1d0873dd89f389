"""One prediction on its way: from the parsed request to the answer and the prediction log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

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


class Question:
    """What a lane needs of a request. `exchange` is dropped with the answer; the rest stays until it is logged."""

    __slots__ = (
        "deadline_ns", "exchange", "form", "id", "key", "mirror", "parameters", "payload", "role", "rows", "shadows",
        "started_ns", "times", "wanted",
    )  # fmt: skip

    def __init__(
        self, exchange: Waiting, form: Form, id: str, role: str, rows: int, payload: Any, key: list[Any] | None,
        times: bytes | None, wanted: list[tuple[int, bool]], started_ns: int,
    ) -> None:  # fmt: skip
        self.exchange: Waiting | None = exchange
        self.form = form
        self.id = id
        self.role = role
        self.rows = rows
        self.payload = payload
        self.key = key
        self.times = times
        self.wanted = wanted
        self.started_ns = started_ns
        self.deadline_ns = 0  # when the answer is of no use any more; 0: the deployment's time limit holds
        self.shadows: list[LoadedVersion] | None = None
        # The request as it came, kept only while shadows want it.
        self.mirror: tuple[WireRequest, bytes, int] | None = None
        self.parameters: dict[str, Any] | None = None  # of the request, for graphs that switch on them
