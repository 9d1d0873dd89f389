"""One server to a home: a lock that the operating system frees when the process ends, however it ends.

Its file says who holds it, a line each: the process, the address it answers at (empty until it listens), since when.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from homeostat.core.clock import iso, now_ms
from homeostat.core.errors import Unavailable
from homeostat.core.records import Record

FILE = "server.lock"


class Holder(Record):
    """The server that runs on a home; a part that is not known is empty."""

    process: str
    address: str = ""
    since: str = ""

    @property
    def words(self) -> str:
        """
        >>> Holder(process="7", address="http://127.0.0.1:5000", since="2026-01-01T00:00:00Z").words
        'process 7, http://127.0.0.1:5000, since 2026-01-01T00:00:00Z'
        """
        parts = [f"process {self.process}", self.address, f"since {self.since}" if self.since else ""]
        return ", ".join(part for part in parts if part)


class ServerLock:
    """The lock on `home`, held from here until `close` or the end of the process.

    Raises: Unavailable, naming the process that holds it, where it answers and since when.
    """

    def __init__(self, home: Path) -> None:
        self._file = open(home / FILE, "a+", encoding="utf-8")  # noqa: SIM115 - held until the process ends
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            holder = _holder(home)
            raise Unavailable(
                f"another server already runs on {home} ({holder.words})",
                hint=f"stop it with `kill {holder.process}`, or use another --home",
                process=holder.process,
                address=holder.address,
                since=holder.since,
            ) from None
        self._since = iso(now_ms())
        self.tell("")

    def tell(self, address: str) -> None:
        """Write down where this server answers."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n{address}\n{self._since}\n")
        self._file.flush()

    def close(self) -> None:
        """Free the home for another server."""
        self._file.close()


def running(home: Path) -> Holder | None:
    """The server that holds `home` at this moment, or None. Takes nothing and changes nothing."""
    try:
        file = (home / FILE).open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _holder(home)
    return None


def _holder(home: Path) -> Holder:
    lines = [*(home / FILE).read_text(encoding="utf-8", errors="replace").splitlines(), "", "", ""]
    return Holder(process=lines[0].strip() or "unknown", address=lines[1], since=lines[2])
