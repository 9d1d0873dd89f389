"""A slice's only door for others: its package names, loaded on first use.

A slice lists what it offers once, as imports under `if TYPE_CHECKING:` in its `__init__.py`, where type checkers and
readers look for them; `door(__name__)` reads that block and gives the module-level `__getattr__` (PEP 562) that loads
each name when it is first touched. So importing a slice costs nothing, and there is no second list to keep in step.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from typing import Any


def offered(package: str) -> dict[str, str]:
    """The names that `package` offers, each with the module that defines it (read from its source, nothing loaded).

    >>> offered("homeostat")["open"]
    'homeostat.core.workspace'
    """
    module = sys.modules.get(package) or importlib.import_module(package)
    with open(module.__file__ or "", encoding="utf-8") as source:
        tree = ast.parse(source.read())
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    names.update({alias.asname or alias.name: line.module for alias in line.names})
    return names


def door(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for `package`'s `__init__.py`."""
    table: dict[str, str] = {}

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not table:
            table.update(offered(package))
        if name not in table:
            raise AttributeError(f"module '{package}' has no attribute '{name}'; it offers {', '.join(sorted(table))}")
        value = getattr(importlib.import_module(table[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted(table or offered(package))

    return __getattr__, __dir__
