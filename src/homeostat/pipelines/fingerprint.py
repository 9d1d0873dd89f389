"""The code that a step reaches, as digests: its own source and, transitively, what it refers to in the project.

Source is compared as normalised syntax, so that comments, layout and docstrings change nothing. Followed are:
functions, classes and constants of the project by the names that the code mentions, through imports (also those inside
functions, relative, aliased, starred), and texts such as "module:function"; a module used as a whole counts whole. Not
followed: names that are computed (`getattr(module, name)`, `importlib.import_module(x)`) and files read while running;
declare those with `@step(version=…)`, or hand them over as arguments.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from functools import cache
from types import ModuleType
from typing import Any

from homeostat.core.blobs import digest_of
from homeostat.core.records import canonical_json
from homeostat.core.syntax import parsed
from homeostat.core.version import VERSION
from homeostat.pipelines.codecs import is_json
from homeostat.pipelines.source import Module, Origin, Project, imports_of

_FRAMEWORK = {"step", "pipeline"}
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


class Fingerprint:
    """What one function depends on. `code` and `libraries` are filled by `follow`."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.code: dict[str, str] = {}
        self.libraries: dict[str, str] = {}
        self._modules: set[str] = set()

    def follow(self, module: str, name: str) -> None:
        """Add `module.name` and everything it refers to."""
        found = self._project.module(module)
        if found is None:
            self._library(module)
        elif name in found.definitions or name in found.statements:
            self._own(found, name)
        elif name in found.imports:
            self._origin(found.imports[name])
        elif self._project.module(f"{module}.{name}") is not None:
            self._whole(f"{module}.{name}")
        else:
            for star in found.stars:
                self.follow(star, name)

    def sources(self) -> dict[str, str]:
        """Files that the code came from, with their digests."""
        return {
            str(found.path): found.digest for name in sorted(self._modules) if (found := self._project.module(name))
        }

    def _own(self, module: Module, name: str) -> None:
        label = f"{module.name}.{name}"
        if label in self.code:
            return
        self._modules.add(module.name)
        self.code[label] = ""  # marks it as being followed: functions may be recursive
        nodes = module.definitions.get(name, []) + module.statements.get(name, [])
        parts: list[Any] = [normalised(node) for node in nodes]
        if name not in module.definitions:
            value = vars(sys.modules.get(module.name, ModuleType("none"))).get(name)
            # What a constant is may come from outside its source: the environment, a file.
            parts.append(value if value is not None and is_json(value) else None)
        self.code[label] = digest_of(canonical_json(parts).encode())
        for node in nodes:
            self._references(node, module)

    def _references(self, node: ast.AST, module: Module) -> None:
        local: dict[str, Origin] = {}
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Import, ast.ImportFrom)):
                names, stars = imports_of(inner, module)
                local.update(names)
                for star in stars:
                    self._whole(star)
        followed: set[int] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute):
                chain = _chain(inner)
                # ast.walk goes from the outside in, so the longest chain is met first.
                if chain is not None and id(chain[0]) not in followed:
                    followed.add(id(chain[0]))
                    self._mentioned(chain[0].id, chain[1], local, module)
            elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and id(inner) not in followed:
                self._mentioned(inner.id, [], local, module)
            elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                self._named(inner.value)
        for origin in local.values():
            if self._project.module(origin.module) is None:
                self._library(origin.module)

    def _named(self, text: str) -> None:
        """Follow a text that names a function of the project as "module:function"."""
        if _REFERENCE.match(text):
            module, _, name = text.partition(":")
            found = self._project.module(module)
            if found is not None and name in found.definitions:
                self._own(found, name)

    def _mentioned(self, name: str, attributes: list[str], local: dict[str, Origin], module: Module) -> None:
        origin = local.get(name)
        known = name in module.definitions or name in module.statements
        if origin is None and known:
            self._own(module, name)
            if name not in module.imports:
                return
        origin = origin or module.imports.get(name)
        if origin is not None:
            self._origin(origin, attributes)
        else:
            for star in module.stars:
                self.follow(star, name)

    def _origin(self, origin: Origin, attributes: list[str] | None = None) -> None:
        """Follow an imported name, and through a module the attribute that is used of it."""
        if self._project.module(origin.module) is None and origin.name is None:
            self._library(origin.module)
            return
        path = [*origin.module.split("."), *([origin.name] if origin.name else []), *(attributes or [])]
        depth = len(path)
        while depth and self._project.module(".".join(path[:depth])) is None:
            depth -= 1
        if not depth:
            self._library(origin.module)
        elif depth == len(path):
            self._whole(".".join(path))
        else:
            found = self._project.module(".".join(path[:depth]))
            self._modules.add(".".join(path[:depth]))
            if found is not None and not self._offers(found, path[depth]):
                self._whole(found.name)  # made in a way that cannot be seen: anything in it may matter
            else:
                self.follow(".".join(path[:depth]), path[depth])

    @staticmethod
    def _offers(module: Module, name: str) -> bool:
        return name in module.definitions or name in module.statements or name in module.imports or bool(module.stars)

    def _whole(self, name: str) -> None:
        module = self._project.module(name)
        if module is None:
            self._library(name)
            return
        if name in self.code:
            return
        self._modules.add(name)
        self.code[name] = digest_of(normalised(module.tree).encode())
        for node in module.tree.body:
            self._references(node, module)

    def _library(self, module: str) -> None:
        top = module.split(".", maxsplit=1)[0]
        version = installed_version(top)
        if version:
            self.libraries[version[0]] = version[1]


def normalised(node: ast.AST) -> str:
    """The syntax of `node` without positions, docstrings and the decorators that only say how to run a step.

    >>> a, b = ast.parse("def f(x):\\n  'Help.'\\n  return x+1"), ast.parse("def f(x): return x + 1  # one more")
    >>> normalised(a) == normalised(b)
    True
    """
    return ast.dump(_Normal().visit(parsed(ast.unparse(node))))


class _Normal(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._definition(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._undocumented(node)

    def _definition(self, node: Any) -> ast.AST:
        node.decorator_list = [entry for entry in node.decorator_list if not _is_framework(entry)]
        return self._undocumented(node)

    def _undocumented(self, node: Any) -> ast.AST:
        body: list[ast.stmt] = node.body
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def _is_framework(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(target, ast.Attribute):
        return (
            target.attr in _FRAMEWORK and isinstance(target.value, ast.Name) and target.value.id in ("hs", "homeostat")
        )
    return isinstance(target, ast.Name) and target.id in _FRAMEWORK


def _chain(node: ast.Attribute) -> tuple[ast.Name, list[str]] | None:
    """`a.b.c` as the name `a` and ["b", "c"]; None when it does not start with a name."""
    attributes: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        attributes.insert(0, inner.attr)
        inner = inner.value
    return (inner, attributes) if isinstance(inner, ast.Name) else None


def fingerprint_of(reference: str, project: Project) -> Fingerprint:
    """What the function "module:name" of `project` depends on."""
    module, _, name = reference.partition(":")
    found = Fingerprint(project)
    found.follow(module, name)
    return found


@cache
def installed_version(top: str) -> tuple[str, str] | None:
    """Distribution and version that provide the top-level module `top`; None for the standard library.

    >>> installed_version("msgspec")[0], installed_version("os")
    ('msgspec', None)
    """
    if not top or top in sys.stdlib_module_names or top == "__future__":
        return None
    if top == "homeostat":
        # Looked up, not imported: the package's door stands above every slice.
        return "homeostat", VERSION
    found = _version(top)
    if found is not None:
        return top, found
    # Module and distribution differ (sklearn, yaml): the slow way, which reads every installed package's file list.
    provider = next(iter(_providers().get(top, ())), "")
    return (provider, _version(provider) or "") if provider else None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _providers() -> dict[str, list[str]]:
    return {top: sorted(set(names)) for top, names in importlib.metadata.packages_distributions().items()}
