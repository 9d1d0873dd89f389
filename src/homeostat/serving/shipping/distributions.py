"""The distributions an image needs, out of an environment of this machine or out of a folder of wheels."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from platform import machine

from msgspec.structs import replace

from homeostat.core.errors import NotFound, Refused
from homeostat.core.records import Record
from homeostat.serving.shipping.oci import Item

SITE = "opt/homeostat/lib"
# What serving imports of the packages that Homeostat depends on.
SERVER = ("alembic", "blake3", "hpack", "httptools", "msgspec", "numpy", "pyyaml", "rich", "sqlalchemy", "starlette",
          "uvicorn", "uvloop")  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_EXTRAS = re.compile(r"\s*\[([^\]]*)\]")
_SEPARATOR = re.compile(r"[-_.]+")
# Who installed it, and from where, is nothing of the distribution's own.
_OF_INSTALLER = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")
_WHEEL = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl\Z"
)


class Shipped(Record):
    """A distribution in an image: what its metadata says of it, and where its files come from: a wheel, or what lies
    on the path `where` (empty: that of the Python that runs here)."""

    name: str
    version: str
    license: str = ""
    requires: list[str] = []
    wheel: Path | None = None
    where: list[str] = []


def normal(name: str) -> str:
    """A distribution's name in the one spelling that compares.

    >>> normal("Scikit_Learn")
    'scikit-learn'
    """
    return _SEPARATOR.sub("-", name).lower()


def closure(
    roots: list[str], locked: dict[str, str], wheels: Path | None, python: str, where: list[str] | None = None
) -> list[Shipped]:
    """`roots` ("name", "name[extra]") and all they require, by name. `locked` are the versions that the model's
    environment recorded.

    What `wheels` holds for Python `python` ("3.11") is taken from there, everything else from the folders `where`, by
    default those of this environment. What is not installed because its condition does not hold is left out.

    Raises: NotFound for what is neither installed nor among the wheels; Refused when its version is another.
    """
    shelf = _shelf(wheels, python)
    found: dict[str, Shipped] = {}
    looked: set[tuple[str, str]] = set()
    waiting = [(root, True) for root in roots]
    while waiting:
        root, needed = waiting.pop()
        said, _, extras = root.partition("[")
        name = normal(said)
        if (name, extras) in looked:
            continue
        looked.add((name, extras))
        one = found.get(name) or _find(name, shelf, locked.get(name), where)
        if one is None:
            if needed:
                raise NotFound(f"{name} is needed in the image and is not installed here",
                               hint=f"pip install {name}, or pip download it into a folder for --wheels")  # fmt: skip
            continue
        found[name] = one
        waiting.extend(required(one, extras.rstrip("]").split(",")).items())
    return [found[name] for name in sorted(found)]


def required(one: Shipped, extras: Sequence[str] = ()) -> dict[str, bool]:
    """What a distribution requires by itself and for the `extras`, by name with the extras it wants of that: whether
    always, or under a condition (another system, …)."""
    found: dict[str, bool] = {}
    wanted = {normal(extra.strip()) for extra in extras if extra.strip()}
    for requirement in one.requires:
        match = _NAME.match(requirement)
        condition = requirement.partition(";")[2]
        named = {normal(extra) for extra in _EXTRA.findall(condition)}
        if match is not None and (not named or named & wanted):
            further = _EXTRAS.match(requirement, match.end())
            name = normal(match[0]) + (f"[{further[1].replace(' ', '')}]" if further else "")
            found[name] = found.get(name, False) or not condition
    return found


def items_of(one: Shipped, site: str = SITE) -> list[Item]:
    """The files of a distribution as they are installed below `site`, without compiled bytecode and scripts."""
    return _of_wheel(one.wheel, site) if one.wheel is not None else _installed(one, site)


def _find(name: str, shelf: dict[str, list[Path]], wanted: str | None, where: list[str] | None) -> Shipped | None:
    for wheel in shelf.get(name, []):
        found = _describe(metadata.PathDistribution(zipfile.Path(wheel, _info(wheel))), wheel)
        if wanted is None or found.version == wanted:
            return found
    installed = installed_distribution(name, where)
    if installed is None:
        return None
    found = replace(_describe(installed, None), where=where or [])
    if wanted is not None and found.version != wanted:
        raise Refused(
            f"the model's environment has {name} {wanted}, and {found.version} is installed here",
            hint=f"pip install {name}=={wanted}, or pip download it into a folder for --wheels",
        )
    return found


def _describe(distribution: metadata.Distribution, wheel: Path | None) -> Shipped:
    said = distribution.metadata
    known = (said.get_all("License-Expression") or [""])[0]
    named = (said.get_all("License") or [""])[0].strip()
    if not known and 0 < len(named) < 60 and "\n" not in named:
        known = named
    listed = [line.rsplit("::", 1)[-1].strip() for line in said.get_all("Classifier") or [] if "License ::" in line]
    return Shipped(
        name=normal(said["Name"]), version=said["Version"], license=known or ", ".join(listed),
        requires=list(distribution.requires or []), wheel=wheel,
    )  # fmt: skip


def installed_distribution(name: str, where: list[str] | None) -> metadata.Distribution | None:
    """What lies in the folders `where` under that name; in those of this environment, for None."""
    context = metadata.DistributionFinder.Context(name=name, **({} if where is None else {"path": where}))
    return next(iter(metadata.Distribution.discover(context=context)), None)


def _installed(one: Shipped, site: str) -> list[Item]:
    distribution = installed_distribution(one.name, one.where or None)
    items: list[Item] = []
    for file in (distribution.files if distribution is not None else None) or []:
        if ".." in file.parts or file.suffix == ".pyc" or file.name in _OF_INSTALLER or file.is_absolute():
            continue
        path = Path(str(file.locate()))
        if path.is_file():
            items.append(Item(f"{site}/{file.as_posix()}", path))
    return items


def _shelf(wheels: Path | None, python: str) -> dict[str, list[Path]]:
    """The wheels that this Python can install, newest version's name last."""
    if wheels is None:
        return {}
    if not wheels.is_dir():
        raise NotFound(f"there is no folder of wheels at {wheels}")
    found: dict[str, list[Path]] = {}
    for path in sorted(wheels.glob("*.whl"), reverse=True):
        match = _WHEEL.match(path.name)
        if match is not None and _fits(match["python"], match["abi"], match["platform"], python):
            found.setdefault(normal(match["name"]), []).append(path)
    return found


def _fits(tags: str, abi: str, platform: str, python: str) -> bool:
    major, minor = (int(part) for part in python.split(".")[:2])
    if platform != "any" and not ("linux" in platform and platform.endswith(machine())):
        return False
    for tag in tags.split("."):
        if tag in (f"py{major}", f"cp{major}{minor}", f"py{major}{minor}"):
            return True
        older = re.fullmatch(rf"cp{major}(\d+)", tag)
        if "abi3" in abi and older is not None and int(older[1]) <= minor:
            return True
    return False


def _info(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")).removesuffix(
            "METADATA"
        )


def _of_wheel(wheel: Path, site: str) -> list[Item]:
    items: list[Item] = []
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = entry.filename
            top, _, rest = name.partition("/")
            if top.endswith(".data"):
                kind, _, name = rest.partition("/")
                if kind not in ("purelib", "platlib"):
                    continue
            parts = name.split("/")
            if entry.is_dir() or ".." in parts or not parts[0] or parts[-1] in _OF_INSTALLER:
                continue
            items.append(Item(f"{site}/{name}", archive.read(entry)))
    return items
