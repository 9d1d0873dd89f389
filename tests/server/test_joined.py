"""What is written in two pieces goes out as one, in its order, and nothing is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homeostat.server import joined
from homeostat.server.joined import Joined


class Wire(asyncio.Transport):
    """Keeps what goes out, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.end = ""

    def write(self, data: Any) -> None:
        assert not self.end
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.end = "closed"

    def abort(self) -> None:
        self.end = "aborted"

    def is_closing(self) -> bool:
        return bool(self.end)

    def get_write_buffer_size(self) -> int:
        return 7


async def turn() -> None:
    await asyncio.sleep(0)


def test_a_head_goes_with_its_body() -> None:
    async def answers() -> None:
        wire = Wire()
        line = Joined(wire, asyncio.get_running_loop())
        line.write(b"head ")
        assert (wire.pieces, line.get_write_buffer_size()) == ([], 12)
        line.write(b"body")
        assert (wire.pieces, line.get_write_buffer_size()) == ([b"head body"], 7)
        line.write(b"a stream's head")
        await turn()
        assert wire.pieces[1:] == [b"a stream's head"]
        line.write(b"last")
        line.close()
        assert (wire.pieces[2:], wire.end, line.is_closing()) == ([b"last"], "closed", True)
        await turn()

    asyncio.run(answers())


def test_what_is_held_goes_nowhere_once_the_connection_is_given_up() -> None:
    async def answers() -> None:
        wire = Wire()
        line = Joined(wire, asyncio.get_running_loop())
        line.write(b"head")
        line.abort()
        await turn()
        assert (wire.pieces, wire.end) == ([], "aborted")

    asyncio.run(answers())


@given(st.lists(st.binary(max_size=12) | st.just(b"x" * 20) | st.none(), max_size=20))
def test_pieces_of_any_size_keep_their_order(pieces: list[bytes | None]) -> None:
    async def answers() -> None:
        wire = Wire()
        line = Joined(wire, asyncio.get_running_loop())
        for piece in pieces:
            if piece is None:
                await turn()
            else:
                line.write(piece)
        await turn()
        assert b"".join(wire.pieces) == b"".join(piece for piece in pieces if piece)

    small, joined._SMALL = joined._SMALL, 10
    try:
        asyncio.run(answers())
    finally:
        joined._SMALL = small
