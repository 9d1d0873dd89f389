"""A disk without room, told in the same words wherever bytes are written."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from homeostat.core.errors import StorageFull

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def room_in(folder: Path) -> Generator[None]:
    """Raises StorageFull for what the block could not write because `folder` has no room left."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull(
                f"no space left for bytes in {folder}", hint="free some disk space; nothing stored is lost"
            ) from error
        raise
