"""The environment of a model's own in an image: a virtual environment beside the server's Python, file by file.

Its interpreter is a link to the one that the image has: it costs the distributions alone, and making it runs nothing.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path, PurePosixPath

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.workspace import RemoteWorkspace, Workspace
from homeostat.serving.environments import Needs, make_environment, python_for, roots_of, search_path
from homeostat.serving.shipping.base import BaseImage
from homeostat.serving.shipping.distributions import Shipped, closure, installed_distribution, items_of, normal
from homeostat.serving.shipping.oci import Item
from homeostat.serving.shipping.this_python import PREFIX

PLACE = "opt/model"
PYTHON = f"/{PLACE}/bin/python3"


def distributions_for(
    ws: Workspace, needs: Needs, what: str, wheels: Path | None, use: Path | None = None
) -> list[Shipped]:
    """The distributions that `what` (MODEL/VERSION) needs, each with all that it requires: out of the interpreter
    `use`, else of the environment that this machine has for it, else of the one that runs here. `wheels` come first,
    and may be all there is.

    Raises: Refused when there is neither; NotFound for a distribution that is in neither.
    """
    if use is not None:
        python = Path(make_environment(ws, needs, use, keep=False).python)
    else:
        try:
            python = python_for(None if isinstance(ws, RemoteWorkspace) else ws, needs, what)
        except Refused:
            if wheels is None:
                raise
            return closure(roots_of(needs, None), _pinned(needs), wheels, needs.python, [])
    where = search_path(python)
    # Whoever names an interpreter knows its versions: they may be others.
    locked = {name: version for name, version in _pinned(needs).items() if _has(name, where) in (None, version)}
    return closure(roots_of(needs, python or Path(sys.executable)), locked, wheels, needs.python, where)


def environment_items(shipped: list[Shipped], python: str, version: str) -> list[Item]:
    """The layer: a virtual environment of the interpreter at `python` in the image, whose version is `version`."""
    minor = ".".join(version.split(".")[:2])
    home = PurePosixPath(python).parent
    told = f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"
    up = "../" * (PLACE.count("/") + 2)
    site = f"{PLACE}/lib/python{minor}/site-packages"
    return [
        Item(f"{PLACE}/pyvenv.cfg", told.encode()),
        Item(f"{PLACE}/bin/python3", link=f"{up}{python.lstrip('/')}"),
        Item(f"{PLACE}/bin/python", link="python3"),
        Item(site, mode=0o755),
        *(item for one in shipped for item in items_of(one, site)),
    ]


def python_of(base: BaseImage | None, version: str) -> str:
    """Where the image's Python lies. Raises: InvalidInput for a base image whose `PATH` leads to none."""
    minor = ".".join(version.split(".")[:2])
    if base is None:
        return f"/{PREFIX}/bin/python{minor}"
    there: set[str] = set()
    for layer in base.layers:
        try:
            with tarfile.open(base.blobs / layer.digest.removeprefix("sha256:")) as tar:
                there.update(f"/{entry.name.removeprefix('./').strip('/')}" for entry in tar)
        except (tarfile.TarError, OSError) as error:
            raise InvalidInput(f"the base image's {layer.digest[:19]}… is damaged: {error}") from error
    for folder in base.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":"):
        for name in (f"python{minor}", "python3"):
            if f"{folder.rstrip('/')}/{name}" in there:
                return f"{folder.rstrip('/')}/{name}"
    raise InvalidInput(
        f"there is no python{minor} on the PATH of the base image",
        hint="the model has an environment of its own, which is a virtual one of that Python",
    )


def pinned(shipped: list[Shipped]) -> str:
    """The same distributions as lines for pip."""
    return "".join(f"{one.name}=={one.version}\n" for one in shipped)


def _has(name: str, where: list[str]) -> str | None:
    found = installed_distribution(name, where)
    return None if found is None else found.version


def _pinned(needs: Needs) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in needs.requirements:
        name, exactly, version = line.partition("==")
        if exactly and "*" not in version:
            found[normal(name.partition("[")[0].strip())] = version.partition(";")[0].strip()
    return found
