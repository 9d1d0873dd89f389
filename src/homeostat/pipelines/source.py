"""A project's Python source, read and taken apart without being run: which module defines which name, and how.

Only files of the project count: what is installed (site-packages, the standard library, Homeostat itself) is known by
its version instead.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import sysconfig
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from homeostat.core.blobs import digest_of
from homeostat.core.syntax import parsed


@dataclass(frozen=True)
class Origin:
    """Where an imported name comes from: `name` of `module`, or the module itself where `name` is None."""

    module: str
    name: str | None


@dataclass
class Module:
    """One source file. `definitions`: functions and classes; `statements`: other top-level code, by name it touches."""

    name: str
    path: Path
    is_package: bool
    text: bytes
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict[str, list[ast.stmt]])
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict[str, list[ast.stmt]])
    imports: dict[str, Origin] = field(default_factory=dict[str, Origin])
    stars: list[str] = field(default_factory=list[str])

    @cached_property
    def digest(self) -> str:
        """Digest of the file as it was read."""
        return digest_of(self.text)

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return parsed(self.text)


class Project:
    """The modules below `root` and below whatever else of the user's own lies on the import path."""

    def __init__(self, root: Path, path: list[str] | None = None) -> None:
        installed = [Path(p).resolve() for p in sysconfig.get_paths().values()] + [Path(sys.prefix).resolve()]
        own = Path(__file__).resolve().parents[2]
        self.roots = [root.resolve()]
        for entry in sys.path if path is None else path:
            place = Path(entry or os.curdir).resolve()
            if place.is_dir() and place != own and not any(place.is_relative_to(p) for p in installed):
                self.roots.append(place)
        self._modules: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """The project's module `name`; None when it is installed, built in, or not there."""
        if name not in self._modules:
            self._modules[name] = self._find(name)
        return self._modules[name]

    @property
    def read(self) -> list[Module]:
        """Every module that was looked at."""
        return [module for module in self._modules.values() if module is not None]

    def _find(self, name: str) -> Module | None:
        if name.split(".", maxsplit=1)[0] == "homeostat":
            return None
        relative = Path(*name.split("."))
        for root in self.roots:
            for path, is_package in ((root / relative / "__init__.py", True), (root / f"{relative}.py", False)):
                if path.is_file() and "site-packages" not in path.parts:
                    module = Module(name=name, path=path, is_package=is_package, text=path.read_bytes())
                    _take_apart(module)
                    return module
        return None


def imports_of(node: ast.stmt, module: Module) -> tuple[dict[str, Origin], list[str]]:
    """The names that an import statement binds, and the modules it imports with a star."""
    names: dict[str, Origin] = {}
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.split(".")[0]
            names[alias.asname or top] = Origin(alias.name if alias.asname else top, None)
    elif isinstance(node, ast.ImportFrom):
        source = _absolute(node, module)
        if any(alias.name == "*" for alias in node.names):
            return {}, [source]
        names = {alias.asname or alias.name: Origin(source, alias.name) for alias in node.names}
    return names, []


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _take_apart(module: Module) -> None:
    for node in module.tree.body:
        _file(node, module)


def _file(node: ast.stmt, module: Module) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        module.definitions.setdefault(node.name, []).append(node)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        names, stars = imports_of(node, module)
        module.imports.update(names)
        module.stars += stars
    else:
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Import, ast.ImportFrom)):  # try: import x … if TYPE_CHECKING: import y
                names, stars = imports_of(inner, module)
                module.imports.update(names)
                module.stars += stars
        for name in _touched(node):
            module.statements.setdefault(name, []).append(node)


def _touched(node: ast.stmt) -> set[str]:
    """Names that a top-level statement sets or may change."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return set()  # a docstring
    touched: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            if isinstance(inner.ctx, ast.Store) or not hasattr(builtins, inner.id):
                touched.add(inner.id)
        elif isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            touched.add(inner.name)
    return touched
