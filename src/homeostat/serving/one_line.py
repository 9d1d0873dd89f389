"""Errors for people and logs that have one line for them."""

from __future__ import annotations

from homeostat.core.errors import HomeostatError


def one_line(error: HomeostatError) -> str:
    """The error and its hint on one line.

    >>> one_line(HomeostatError("no such input", hint="did you mean 'a'?"))
    "no such input (did you mean 'a'?)"
    """
    line = f"{error.message} ({error.hint})" if error.hint else error.message
    if line.isprintable():
        return line
    # A message may hold names as a client sent them, with line ends and worse.
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in line)
