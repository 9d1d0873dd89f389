"""Python's syntax trees, made one at a time.

CPython counts how deeply the tree is nested that it hands out, and counts for all threads together: of two that parse
at once, one may fail with "AST constructor recursion depth mismatch", a `SystemError`, though both texts are right.
"""

from __future__ import annotations

import ast
from threading import Lock
from typing import Any, Literal, overload

_turn = Lock()


@overload
def parsed(text: str | bytes, path: str = ..., mode: Literal["exec"] = ...) -> ast.Module: ...
@overload
def parsed(text: str | bytes, path: str = ..., *, mode: Literal["eval"]) -> ast.Expression: ...
def parsed(
    text: str | bytes, path: str = "<unknown>", mode: Literal["exec", "eval"] = "exec"
) -> ast.Module | ast.Expression:
    """What `ast.parse` gives of `text`, which errors name `path`.

    Raises: what `ast.parse` does: SyntaxError, ValueError, MemoryError, RecursionError.

    >>> ast.unparse(parsed("a+b", mode="eval"))
    'a + b'
    """
    with _turn:
        tree: Any = ast.parse(text, path, mode)
    return tree
