"""A slice's only door for others: its package names, loaded on first use.

A slice lists what it offers once, as imports under `if TYPE_CHECKING:` in its `__init__.py`, where type checkers and
readers look for them; `door(__name__)` reads that block and gives the module-level `__getattr__` (PEP 562) that loads
each name when it is first touched. So importing a slice costs nothing, and there is no second list to keep in step.

A file may be named after the one thing it defines (`heartbeat.py` with `heartbeat`): the door gives the thing.
"""

from __future__ import annotations

import ast
import importlib
import sys
import types
from collections.abc import Callable
from functools import cache
from typing import Any

from homeostat.core.syntax import parsed


@cache
def offered(package: str) -> dict[str, str]:
    """The names that `package` offers, each with the module that defines it (read from its source, nothing loaded).

    >>> offered("homeostat")["open"]
    'homeostat.core.workspace'
    """
    module = sys.modules.get(package) or importlib.import_module(package)
    with open(module.__file__ or "", encoding="utf-8") as source:
        tree = parsed(source.read())
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    names.update({alias.asname or alias.name: line.module for alias in line.names})
    return names


class _Room(types.ModuleType):
    """A package whose offered names are not hidden by files of the same name.

    When Python has loaded `slice/heartbeat.py`, it sets `slice.heartbeat` to that module, whoever asked for it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, types.ModuleType) and name in offered(self.__name__)):
            super().__setattr__(name, value)


def door(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for `package`'s `__init__.py`."""
    sys.modules[package].__class__ = _Room

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        table = offered(package)
        if name not in table:
            raise AttributeError(f"module '{package}' has no attribute '{name}'; it offers {', '.join(sorted(table))}")
        value = getattr(importlib.import_module(table[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted(offered(package))

    return __getattr__, __dir__
