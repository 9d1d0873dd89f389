"""One prediction on its way: from the parsed request to the answer and the prediction log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeostat.serving.http1 import Exchange

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion
    from homeostat.serving.oip import WireRequest


class Question:
    """What a lane needs of a request. `exchange` is dropped with the answer; the rest stays until it is logged."""

    __slots__ = (
        "exchange", "id", "key", "mirror", "payload", "role", "rows", "shadows", "started_ns", "times", "wanted",
    )  # fmt: skip

    def __init__(
        self, exchange: Exchange, id: str, role: str, rows: int, payload: Any, key: list[Any] | None,
        times: bytes | None, wanted: list[tuple[int, bool]], started_ns: int,
    ) -> None:  # fmt: skip
        self.exchange: Exchange | None = exchange
        self.id = id
        self.role = role
        self.rows = rows
        self.payload = payload
        self.key = key
        self.times = times
        self.wanted = wanted
        self.started_ns = started_ns
        self.shadows: list[LoadedVersion] | None = None
        # The request as it came, kept only while shadows want it.
        self.mirror: tuple[WireRequest, bytes, int] | None = None
