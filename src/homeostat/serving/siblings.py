"""The other data planes on the same port: asked over local sockets, so that one process can speak for all of them.

Which process a request reaches is the kernel's choice. What a client means is the server: its metrics, its prediction
log. Each process listens on a Unix socket in a folder that belongs to the port and to this user alone; a question is a
line, the answer is everything until the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from homeostat.core.errors import Unavailable

log = logging.getLogger("homeostat.serving")
ANSWER_S = 15.0
Answer = Callable[[str], Awaitable[bytes]]


def meeting_place(home: Path, host: str, port: int) -> Path:
    """The folder of the data planes that serve the workspace in `home` on `host:port`.

    It lies outside the home because a Unix socket's path may have about a hundred characters only.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    mark = hashlib.blake2b(f"{home.resolve()}\n{host}\n{port}".encode(), digest_size=8).hexdigest()
    return base / f"homeostat-{os.getuid()}-{mark}"


class Siblings:
    """This process among those on its port. `answer` is given the questions that the others ask."""

    def __init__(self, folder: Path, index: int, answer: Answer) -> None:
        self._folder = folder
        self._path = folder / f"{index}.sock"
        self._answer = answer
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        """Be reachable. Raises OSError when the folder cannot be made, or belongs to somebody else."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._folder.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077 or self._folder.is_symlink():
            raise PermissionError(f"{self._folder} does not belong to this user alone")
        self._path.unlink(missing_ok=True)  # of an earlier process with this number, which is gone
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def close(self) -> None:
        """No longer be reachable."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def ask(self, question: str, *, every: bool = False) -> dict[int, bytes]:
        """What each of the others answers, by its number. Those that have died are left out.

        So are those that do not answer in time. With `every` that raises: Unavailable.
        """
        others = {int(path.stem): path for path in self._folder.glob("*.sock") if path != self._path}
        answers = await asyncio.gather(*(self._one(path, question) for path in others.values()))
        if every and b"" in answers:
            raise Unavailable(
                f"process {list(others)[answers.index(b'')]} on this port does not answer", hint="ask again in a moment"
            )
        return {index: found for index, found in zip(others, answers, strict=True) if found}

    async def _one(self, path: Path, question: str) -> bytes | None:
        """The answer of the process at `path`: None of one that has died, nothing of one that does not answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(question.encode() + b"\n")
                    return await reader.read() or None
                finally:
                    writer.close()
        except TimeoutError:
            log.error("the data plane at %s does not answer '%s'", path.name, question)
            return b""
        except OSError:
            pass  # it has ended, or ends at this moment
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = (await reader.readline()).decode().strip()
            writer.write(await self._answer(question))
            await writer.drain()
        except OSError:
            pass  # who asked has gone
        finally:
            writer.close()
