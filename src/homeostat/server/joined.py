"""What is written in two pieces goes out as one: an answer's head with its body, or with the first of it.

Each piece by itself costs a call of the system here, and wakes the client once more for nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

# A larger piece is not copied to be joined.
_SMALL = 64 << 10


class Joined(asyncio.Transport):
    """A transport that keeps a piece until the next one comes, or the loop's turn ends."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport, self._loop = transport, loop
        self._held = b""
        self._asked = False  # to let it go at the end of the turn

    def write(self, data: Any) -> None:
        held, self._held = self._held, b""
        if held:
            if len(data) > _SMALL:
                self._transport.write(held)
            else:
                data = held + data
            self._transport.write(data)
        elif len(data) > _SMALL:
            self._transport.write(data)
        else:
            self._held = data
            if not self._asked:
                self._asked = True
                self._loop.call_soon(self._turn_ends)

    def write_at_once(self, data: bytes) -> None:
        """What nothing comes after."""
        self._let_go()
        self._transport.write(data)

    def _turn_ends(self) -> None:
        self._asked = False
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)

    def close(self) -> None:
        self._let_go()
        self._transport.close()

    def abort(self) -> None:
        self._held = b""
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return len(self._held) + self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
