"""The one path helper: names that come from outside become paths here, or are refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

from homeostat.core.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?\Z")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))}


def check_name(name: str, what: str = "name") -> str:
    """`name` if it may name an asset: letters, digits, `_`, `.`, `-`; no leading or trailing dot; 1 to 128 characters.

    >>> check_name("flight-delay")
    'flight-delay'
    >>> check_name("../etc")
    Traceback (most recent call last):
    ...
    homeostat.core.errors.InvalidInput: '../etc' is not a valid name
      → use letters, digits, '_', '-' and '.', at most 128 of them, such as 'flight-delay'
    """
    if not _NAME.match(name) or name.split(".", maxsplit=1)[0].lower() in _RESERVED:
        raise InvalidInput(
            f"{name[:200]!r} is not a valid {what}",
            hint="use letters, digits, '_', '-' and '.', at most 128 of them, such as 'flight-delay'",
            name=name[:200],
        )
    return name


def inside(root: str | os.PathLike[str], relative: str) -> Path:
    """The path of `relative` below `root`; InvalidInput unless it really lies there.

    `relative` uses `/`. Refused: empty, absolute, `.` or `..` parts, backslashes, drive letters, percent signs left
    after decoding, control characters, lone surrogates, and anything that a symbolic link leads out of `root`.
    """
    parts = relative.split("/")
    bad = (
        not relative
        or len(relative) > 1024
        or any(part in ("", ".", "..") for part in parts)
        or any(ord(char) < 32 or char in "\\:%\x7f" or "\ud800" <= char <= "\udfff" for char in relative)
        or any(part.split(".")[0].lower() in _RESERVED for part in parts)
    )
    base = Path(root).resolve()
    path = base.joinpath(*parts) if not bad else base
    if bad or not path.resolve().is_relative_to(base):
        raise InvalidInput(
            f"path {relative[:200]!r} does not lie inside its folder",
            hint="name a file below it with '/' between the parts, such as 'plots/roc.png'",
            path=relative[:200],
        )
    return path
