"""Environments of models' own: a Python that has what a model declares, beside the one that runs here.

An environment belongs to a machine. It is known by what it must hold, so models that declare the same share one. It is
made when somebody asks for it, never because of a request for predictions.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from homeostat.core.blobs import digest_of
from homeostat.core.errors import HomeostatError, InvalidInput, Refused, StepFailed
from homeostat.core.records import Record, canonical_json, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.registry import Package, split_requirement
from homeostat.serving.package import REQUIREMENTS

# What a Python has of the named distributions: printed by that Python itself.
_PROBE = """
import importlib.metadata as m, json, platform, sys
def have(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
print(json.dumps([platform.python_version(), {name: have(name) for name in json.loads(sys.argv[1])}]))
"""
_PROBE_S = 60
# What loads models as well as the whole of it does.
_INSTEAD = {"mlflow": "mlflow-skinny"}


class Needs(Record):
    """What a model's environment must hold: requirements as pip reads them, and the Python ("3.11") that wrote it."""

    requirements: list[str]
    python: str

    @property
    def digest(self) -> str:
        """Names the environment: equal needs, equal environment."""
        return digest_of(canonical_json([self.python, self.requirements]).encode())[:32]


class Environment(Record):
    """An environment on this machine: its interpreter, and whether it was made here or only pointed to."""

    python: str
    made: bool
    needs: Needs


def read_needs(text: str, python: str) -> Needs:
    """The needs that a file of requirements states, written by Python `python` ("3.11.7").

    >>> read_needs("b==2\\n# a comment\\na==1  # why\\n--hash=x\\n", "3.11.7")
    Needs(requirements=['a==1', 'b==2'], python='3.11')
    """
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    stated = sorted({line for line in lines if line and not line.startswith(("#", "-"))})
    version = python or platform.python_version()
    return Needs(requirements=stated, python=".".join(version.split(".")[:2]))


def needs_of(folder: Path, package: Package) -> Needs | None:
    """The needs of the package in `folder`; None for one that declares none, or that runs as ONNX."""
    listed = folder / REQUIREMENTS
    if package.onnx.file is not None or not listed.is_file():
        return None
    python = next((one.partition("==")[2] for one in package.environment if one.startswith("python==")), "")
    return read_needs(listed.read_text(encoding="utf-8"), python)


def python_for(ws: Workspace | None, needs: Needs, what: str) -> Path | None:
    """The interpreter for `what` (MODEL/VERSION) with these needs; None where the one that runs here has all of them.
    Without a workspace, environments that were made are not known.

    Raises: Refused, with what is missing here and the command that makes the environment.
    """
    known = None if ws is None else _read(ws, needs)
    if known is not None:
        return Path(known.python)
    lacking = _lacking(needs, *_here(needs))
    if not lacking:
        return None
    named = "; ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    raise Refused(
        f"'{what}' needs an environment of its own, which is not on this machine; here {named}",
        hint=f"`homeostat environment {what}` makes it; `--use PYTHON` takes an interpreter that has what it needs",
    )


def make_environment(
    ws: Workspace, needs: Needs, use: str | os.PathLike[str] | None = None, *, keep: bool = True
) -> Environment:
    """An environment with what `needs` says, made with uv or pip, or the one of the interpreter `use` (remembered
    unless `keep` is False); the one that is there, if there is one, and where the Python that runs here has all of it,
    that one.

    Raises: InvalidInput for an interpreter that lacks something; StepFailed when it cannot be made.
    """
    if use is not None:
        python = Path(os.path.abspath(use))  # not resolved: a link is what tells which environment it is
        missing = _lacking(needs, *_ask(python, needs), exact=False)
        if missing:
            raise InvalidInput(f"{python} cannot be used: {'; '.join(missing)}", hint="install what is missing there")
        found = Environment(python=str(python), made=False, needs=needs)
        return _keep(ws, found) if keep else found
    known = _read(ws, needs)
    if known is not None:
        return known
    if not _lacking(needs, *_here(needs)):
        return Environment(python=sys.executable, made=False, needs=needs)
    folder = _folder(ws)
    folder.mkdir(parents=True, exist_ok=True)
    # A folder of its own: two who make the same one do not meet, and the last of them is kept.
    place = Path(tempfile.mkdtemp(dir=folder, prefix=f"{needs.digest[:12]}-"))
    try:
        python = _install(place, needs)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return _keep(ws, Environment(python=str(python), made=True, needs=needs))


def _install(place: Path, needs: Needs) -> Path:
    listed = place / "requirements.txt"
    listed.write_text("".join(f"{line}\n" for line in needs.requirements), encoding="utf-8")
    python = place / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    beside = Path(sys.executable).with_name("uv")
    uv = shutil.which("uv") or (str(beside) if beside.is_file() else None)
    here = platform.python_version().startswith(f"{needs.python}.")
    if uv is not None:
        _do([uv, "venv", "--python", sys.executable if here else needs.python, str(place / "venv")])
        _do([uv, "pip", "install", "--python", str(python), "-r", str(listed)])
        return python
    interpreter = sys.executable if here else shutil.which(f"python{needs.python}")
    if interpreter is None:
        raise StepFailed(f"there is no Python {needs.python} here", hint="install it, or uv, which finds one")
    _do([interpreter, "-m", "venv", str(place / "venv")])
    _do([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(listed)])
    return python


def _do(words: list[str]) -> None:
    # What it prints is progress; standard output is for what was asked.
    passed = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    code = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=passed, check=False).returncode
    if code:
        raise StepFailed(f"`{' '.join(words)}` ended with {code}", hint="what it said stands above")


def _lacking(needs: Needs, python: str, have: dict[str, str | None], exact: bool = True) -> list[str]:
    """In words, what a Python of this version with these distributions does not have. Whoever names an interpreter
    knows its versions: they need not be `exact`."""
    found: list[str] = []
    if not python.startswith(f"{needs.python}."):
        found.append(f"Python is {python}, not {needs.python}")
    for line in needs.requirements:
        name, rest = split_requirement(line)
        version = have.get(name) or have.get(_INSTEAD.get(name, ""))
        if version is None and ";" in rest:  # for another system, perhaps
            continue
        if version is None:
            found.append(f"{line} is missing")
        elif exact and rest.startswith("==") and not _same(rest[2:].partition(";")[0].strip(), version):
            found.append(f"{name} {version} is installed, not {line}")
    return found


def _same(wanted: str, have: str) -> bool:
    if wanted.endswith(".*"):
        return f"{have}.".startswith(wanted[:-1])
    # A build of a release ("2.8.0+cpu") is that release.
    return have == wanted or have.partition("+")[0] == wanted


def _here(needs: Needs) -> tuple[str, dict[str, str | None]]:
    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return platform.python_version(), {name: version(name) for name in _names(needs)}


def roots_of(needs: Needs, python: Path | None) -> list[str]:
    """The distributions that `needs` names, with their extras ("name[extra]"), by the names that the interpreter
    `python` has them under (None: as they are named)."""
    have = {} if python is None else _ask(python, needs)[1]
    found: list[str] = []
    for line in needs.requirements:
        name, rest = split_requirement(line)
        extras = line[len(name) :].partition("]")[0].lstrip() if line[len(name) :].lstrip().startswith("[") else ""
        instead = _INSTEAD.get(name, "")
        if python is not None and have.get(name) is None and have.get(instead) is not None:
            name = instead
        elif python is not None and have.get(name) is None and ";" in rest:  # for another system, perhaps
            continue
        found.append(f"{name}{extras}]" if extras else name)
    return found


def search_path(python: Path | None) -> list[str]:
    """Where an interpreter looks for distributions; the one that runs here, for None."""
    return from_json(_run(python or Path(sys.executable), "import json, sys; print(json.dumps(sys.path))"), list[str])


def has_exactly(python: Path, needs: Needs) -> bool:
    """Whether an interpreter has what is needed, in the very versions. Raises: InvalidInput for no interpreter."""
    return not _lacking(needs, *_ask(python, needs))


def _ask(python: Path, needs: Needs) -> tuple[str, dict[str, str | None]]:
    """What another interpreter has."""
    return from_json(_run(python, _PROBE, json.dumps(_names(needs))), tuple[str, dict[str, str | None]])


def _run(python: Path, script: str, *words: str) -> str:
    try:
        return subprocess.run(
            [str(python), "-I", "-c", script, *words],
            capture_output=True, text=True, timeout=_PROBE_S, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInput(f"{python} is no Python that runs here: {str(error)[:200]}") from error


def _names(needs: Needs) -> list[str]:
    names = [split_requirement(line)[0] for line in needs.requirements]
    return [*names, *(_INSTEAD[name] for name in names if name in _INSTEAD)]


def _folder(ws: Workspace) -> Path:
    return ws.home / "environments"


def kept(ws: Workspace) -> dict[str, Environment]:
    """What is kept here by digest, an interpreter that is gone since as well."""
    found: dict[str, Environment] = {}
    for path in sorted(_folder(ws).glob("*.json")):
        with suppress(OSError, HomeostatError):
            found[path.stem] = from_json(path.read_bytes(), Environment)
    return found


def size_of(ws: Workspace, made: Environment) -> int:
    """The bytes of an environment's own files; 0 for one that was only named."""
    place = _place(ws, made)
    return 0 if place is None else sum(p.lstat().st_size for p in place.rglob("*") if not p.is_dir())


def erase(ws: Workspace, digest: str) -> None:
    """Forget an environment, and remove its files if they are ours."""
    made = kept(ws).get(digest)
    (_folder(ws) / f"{digest}.json").unlink(missing_ok=True)
    place = None if made is None else _place(ws, made)
    if place is not None:
        remove(place)


def leftovers(ws: Workspace, before: float) -> list[Path]:
    """Folders of environments that nothing tells of, last changed `before` (seconds since 1970)."""
    told = {_place(ws, one) for one in kept(ws).values()}
    folder = _folder(ws)
    there = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return [path for path in there if path not in told and path.stat().st_mtime < before]


def remove(folder: Path) -> None:
    """Remove a folder of ours, as far as that goes."""
    shutil.rmtree(folder, ignore_errors=True)


def _place(ws: Workspace, made: Environment) -> Path | None:
    """The folder that was made for it."""
    folder, python = _folder(ws), Path(made.python)
    if not made.made or not python.is_relative_to(folder):
        return None
    return folder / python.relative_to(folder).parts[0]


def _read(ws: Workspace, needs: Needs) -> Environment | None:
    try:
        known = from_json((_folder(ws) / f"{needs.digest}.json").read_bytes(), Environment)
    except (OSError, HomeostatError):
        return None
    return known if Path(known.python).is_file() else None


def _keep(ws: Workspace, made: Environment) -> Environment:
    folder = _folder(ws)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{made.needs.digest}.json"
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    fresh.write_text(to_json(made), encoding="utf-8")
    fresh.replace(place)
    return made
