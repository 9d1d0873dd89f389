"""Runs a script with some of its globals replaced. Stands alone: any Python can run this file.

    python child.py SCRIPT '{"lr": 0.1}' [ARGUMENT ...]

The literal that the script assigns is exchanged before it is compiled, so everything computed from it follows; lines
keep their numbers. What the script starts with multiprocessing's "spawn" imports it anew, with the values in its text.
"""

from __future__ import annotations

import ast
import json
import sys
import types
from typing import Any


def replaced(text: bytes, path: str, values: dict[str, Any]) -> types.CodeType:
    """The script's code with the literals of these names exchanged."""
    tree = ast.parse(text, path)
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if len(names) == 1 and names[0] in values:
            new = ast.parse(repr(values[names[0]]), mode="eval").body
            for part in ast.walk(new):
                ast.copy_location(part, node.value)
            node.value = new
    return compile(tree, path, "exec", dont_inherit=True)


def main() -> None:
    path, values = sys.argv[1], json.loads(sys.argv[2])
    with open(path, "rb") as source:
        code = replaced(source.read(), path, values)
    sys.argv = [path, *sys.argv[3:]]
    sys.path[0] = path.rpartition("/")[0] or "."
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    exec(code, module.__dict__)  # noqa: S102  the script is what one asked to run


if __name__ == "__main__":
    main()
