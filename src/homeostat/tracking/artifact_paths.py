"""Where an artifact lies, from the path that a client names it by.

Paths are decoded once, and what could still be taken for something else is refused: bytes are addressed by content,
so no path ever reaches a file system here, but it will on the machine that downloads it.
"""

from __future__ import annotations

from urllib.parse import unquote

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record

# In UTF-8: an index of PostgreSQL holds no much longer key.
_LONGEST = 1024


class Place(Record):
    """A file or folder: of the run `run_id`, or else below `root`. `path` is empty for the folder of all of them."""

    path: str
    run_id: str | None = None
    root: str = ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


def check_path(path: str, empty: bool = False) -> str:
    """`path` as it is kept: parts with `/` between them, without `.` and without a slash at the end.

    Refused: `..`, an absolute path, backslashes, `#`, control characters, what is still percent-encoded after
    decoding, and more than 1024 bytes. `empty` allows the folder of everything.

    >>> check_path("plots/./roc.png/")
    'plots/roc.png'
    >>> check_path("a/%2e%2e/b")
    Traceback (most recent call last):
    ...
    homeostat.core.errors.InvalidInput: Invalid path: 'a/%2e%2e/b'
      → name a file below its folder, with '/' between the parts, such as 'plots/roc.png'
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    bad = (
        path.startswith("/")
        or path.lower().startswith("file:")
        or path[1:3] in (":/", ":\\")
        or ".." in parts
        or unquote(path) != path
        or any(ord(char) < 32 or char in "\\#\x7f" or "\ud800" <= char <= "\udfff" for char in path)
    )
    if bad or (not parts and not empty) or len(path.encode(errors="replace")) > _LONGEST:
        raise InvalidInput(
            f"Invalid path: {path[:200]!r}",
            hint="name a file below its folder, with '/' between the parts, such as 'plots/roc.png'",
        )
    return "/".join(parts)
