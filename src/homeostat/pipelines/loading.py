"""Loading a project's functions by name, from their source as it is now.

Python's cached bytecode is matched by second and size of the file: an edit within the same second that keeps the size
would go unseen, and a step would run other code than its cache key says. So the project's own modules are compiled
anew in each process; installed packages use their caches as ever.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.pipelines.declare import Pipeline


class _Fresh(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def import_afresh(root: Path) -> None:
    """From now on, modules below `root` are compiled from source when they are first imported."""
    top = str(root.resolve())

    def hook(path: str) -> FileFinder:
        if not (str(Path(path or ".").resolve()) + "/").startswith(top + "/") or "site-packages" in path:
            raise ImportError(f"{path} is not the project's")
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Fresh, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, hook)
    for path in list(sys.path_importer_cache):
        if (path + "/").startswith(top + "/"):
            del sys.path_importer_cache[path]


def load_function(reference: str) -> Any:
    """What "module:name" names, imported. Raises: InvalidInput, NotFound, and whatever the module raises."""
    module, _, name = reference.partition(":")
    if not module or not name:
        raise InvalidInput(f"'{reference}' is not 'module:function'", hint="such as pipeline:train")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise NotFound(
            f"there is no module '{module}' in {os.getcwd()}",
            hint="`project` is the folder that holds it; is it the right one?",
            module=module,
        ) from None
    if not hasattr(loaded, name):
        there = [key for key, value in vars(loaded).items() if isinstance(value, Pipeline)]
        raise NotFound(
            f"module '{module}' ({loaded.__file__}) has no '{name}'",
            hint=f"it has {', '.join(there) or 'no pipelines'}",
        )
    return getattr(loaded, name)
