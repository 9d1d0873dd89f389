"""One server to a home: a lock that the operating system frees when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from homeostat.core.errors import Unavailable


def hold(home: Path) -> IO[str]:
    """Take the server's lock on `home` and keep it as long as the returned file is open.

    Raises: Unavailable, naming the process that holds it.
    """
    file = open(home / "server.lock", "a+", encoding="utf-8")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise Unavailable(
            f"another server already runs on {home} (process {holder})",
            hint=f"stop it with `kill {holder}`, or use another --home",
            process=holder,
        ) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file
