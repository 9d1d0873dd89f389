"""The Python that runs here as the bottom of an image: interpreter, standard library, the shared libraries they need.

With it an image runs on an empty base: nothing is fetched, and what was tested is what is shipped.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from homeostat.core.errors import Unavailable
from homeostat.serving.shipping.elf import Needs, needs_of
from homeostat.serving.shipping.oci import Item, file_item

PREFIX = "usr/local"
PYTHON = f"/{PREFIX}/bin/python3"
USER = 65532
# Not needed to serve, and a third of the whole.
_LEFT_OUT = {
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "__pycache__", "site-packages",
    "dist-packages", "pydoc_data", "distutils",
}  # fmt: skip
_LEFT_MODULES = ("_tkinter", "_test", "xxlimited", "_curses", "readline")
# Opened by name when a thread ends, so nothing declares it.
_ALWAYS = ("libgcc_s.so.1",)


def python_items() -> list[Item]:
    """The interpreter and its library, below `usr/local`, and the few files a system needs.

    Raises: Unavailable on another system than Linux.
    """
    if not sys.platform.startswith("linux"):
        raise Unavailable(
            f"an image runs on Linux, and this Python is for {sys.platform}", hint="name a base image with --base"
        )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    items = [
        Item(f"{PREFIX}/bin/{version}", Path(os.path.realpath(sys.executable)), 0o755),
        Item(f"{PREFIX}/bin/python3", link=version),
        Item("tmp", mode=0o1777),
        Item("etc/passwd", f"root:x:0:0::/:/none\nnonroot:x:{USER}:{USER}::/tmp:/none\n".encode()),
        Item("etc/group", f"root:x:0:\nnonroot:x:{USER}:\n".encode()),
    ]
    library = Path(sysconfig.get_path("stdlib"))
    for folder, names, files in os.walk(library):
        names[:] = [name for name in names if name not in _LEFT_OUT and not name.startswith("config-")]
        where = Path(folder).relative_to(library).as_posix()
        below = f"{PREFIX}/lib/{version}" + ("" if where == "." else f"/{where}")
        items.extend(
            file_item(f"{below}/{file}", Path(folder, file))
            for file in files
            if not file.endswith((".pyc", ".a")) and not file.startswith(_LEFT_MODULES)
        )
    return items


def library_items(items: list[Item]) -> list[Item]:
    """The shared libraries of this system that programs and modules among `items` need, and theirs in turn.

    They go to `usr/local/lib`; the loader to where programs name it. What comes along in `items` is not taken twice.

    Raises: Unavailable for one that is not found here.
    """
    there = {item.path.rsplit("/", 1)[-1] for item in items}
    found: dict[str, Item] = {}
    search = _places()
    waiting: list[tuple[str, Needs]] = [
        (item.path, needs)
        for item in items
        if isinstance(item.source, Path) and (item.mode & 0o100 or ".so" in item.path)
        and (needs := needs_of(item.source)) is not None
    ]  # fmt: skip
    waiting.append(("python", Needs(libraries=list(_ALWAYS))))
    while waiting:
        path, needs = waiting.pop()
        if needs.interpreter:
            loader = Path(os.path.realpath(needs.interpreter))
            found[needs.interpreter] = Item(needs.interpreter.lstrip("/"), loader, 0o755)
        for name in needs.libraries:
            if name in there or name in found or name.startswith("ld-linux"):
                continue
            file = _find(name, [*(one for one in needs.search if "$" not in one), *search])
            if file is None:
                if name in _ALWAYS:
                    continue
                raise Unavailable(
                    f"{path} needs {name}, which is not on this machine", hint="name an image with --base"
                )
            found[name] = Item(f"{PREFIX}/lib/{name}", file, 0o755)
            further = needs_of(file)
            if further is not None:
                waiting.append((name, further))
    return list(found.values())


def _places() -> list[str]:
    multiarch = str(sysconfig.get_config_var("MULTIARCH") or "")
    near = [str(sysconfig.get_config_var("LIBDIR") or ""), os.path.join(sys.base_prefix, "lib")]
    system = [f"/{root}/{multiarch}" for root in ("lib", "usr/lib") if multiarch]
    return [one for one in (*near, *system, "/lib64", "/usr/lib64", "/lib", "/usr/lib") if os.path.isdir(one)]


def _find(name: str, places: list[str]) -> Path | None:
    for place in places:
        path = Path(place, name)
        if path.is_file():
            return Path(os.path.realpath(path))
    return None
