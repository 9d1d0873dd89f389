"""LIKE and ILIKE that mean the same on every database: `%` any text, `_` any character, case told apart or not."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def like(column: Any, pattern: str, exact_case: bool, sqlite: bool) -> sa.ColumnElement[bool]:
    """`column` matches `pattern`. SQLite's own LIKE knows no case, while its GLOB does; no character escapes."""
    if not exact_case:
        return sa.func.lower(column).like(sa.func.lower(pattern), escape=None if sqlite else "")
    if sqlite:
        return column.op("GLOB", is_comparison=True)(glob(pattern))
    return column.like(pattern, escape="")


def glob(pattern: str) -> str:
    """A LIKE pattern as a GLOB one.

    >>> glob("a_%*")
    'a?*[*]'
    """
    return "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(char, char) for char in pattern)
