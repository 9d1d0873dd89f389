"""Scripts that a project file names: the entry points of an `MLproject`, the operations of a `guild.yml`.

Of an MLproject: entry points with `parameters` and `command`; of a guild.yml: operations with `main` and `flags`. What
these files say of environments, containers and resources is not followed: the script runs in the Python that is here.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.tracking.scripts.asked import plan_for
from homeostat.tracking.scripts.flags import Flag
from homeostat.tracking.scripts.running import Plan

_SHELL = re.compile(r"[|&;<>`$]")


def operation_file(what: str, project: str) -> Path | None:
    """The project file that `what` speaks of: a folder with an MLproject, or an operation of the guild.yml here."""
    folder = Path(project) / what
    if (folder / "MLproject").is_file():
        return folder / "MLproject"
    guild = Path(project) / "guild.yml"
    return guild if ":" not in what and not folder.is_dir() and guild.is_file() else None


def plan_of_operation(file: Path, name: str, **more: Any) -> Plan:
    """The plan of an entry point or operation, its flags with the defaults that the file gives.

    Raises: NotFound when the file has none of that name; InvalidInput when it is not understood.
    """
    import yaml

    try:
        told = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not valid YAML: {error}") from error
    found = _entry_points(told) if file.name == "MLproject" else _operations(told)
    if name not in found:
        raise NotFound(f"{file.name} has no '{name}'", hint=f"it has {', '.join(sorted(found)) or 'nothing to run'}")
    one = found[name] if isinstance(found[name], dict) else {"main": found[name]}
    folder = str(file.parent)
    return _of_mlproject(one, folder, **more) if file.name == "MLproject" else _of_guild(name, one, folder, **more)


def _of_mlproject(entry: dict[str, Any], folder: str, **more: Any) -> Plan:
    command = str(entry.get("command") or "")
    words = shlex.split(command)
    if _SHELL.search(command) or not words:
        raise InvalidInput(f"the command {command!r} is not one program", hint="put it into a script, and name that")
    script = next((word for word in words if word.endswith(".py")), None)
    if script is None or Path(words[0]).name not in ("python", "python3"):
        raise InvalidInput(f"the command {command!r} runs no Python script", hint="write `python train.py …`")
    flags: list[Flag] = []
    for name, about in (entry.get("parameters") or {}).items():
        default = about.get("default") if isinstance(about, dict) else None
        flags.append(Flag(name=str(name), via="command", default=default, required=default is None))
    plan = plan_for(script, folder, **more)
    return replace(plan, flags=flags, command=words[words.index(script) + 1 :])


def _of_guild(name: str, operation: dict[str, Any], folder: str, **more: Any) -> Plan:
    main, *extra = shlex.split(str(operation.get("main") or name))
    script = main if main.endswith(".py") else main.replace(".", "/") + ".py"
    plan = plan_for(script, folder, **more)
    given = {
        str(key): about.get("default") if isinstance(about, dict) else about
        for key, about in (operation.get("flags") or {}).items()
        if not str(key).startswith("$")
    }
    flags = {flag.name: flag for flag in plan.flags}
    for key, value in given.items():
        if key not in flags:
            raise InvalidInput(f"guild.yml names a flag '{key}' that {script} does not have")
        if value is not None:
            flags[key] = replace(flags[key], default=value, required=False)
    values = {key: value for key, value in given.items() if value is not None}
    return replace(plan, flags=list(flags.values()), values=values, extra=[*extra, *plan.extra])


def _entry_points(told: Any) -> dict[str, Any]:
    return dict(told.get("entry_points") or {}) if isinstance(told, dict) else {}


def _operations(told: Any) -> dict[str, Any]:
    """Both forms of the file: a mapping of operations, or a list of models with `operations`."""
    if isinstance(told, dict):
        return dict(told)
    found: dict[str, Any] = {}
    for part in told if isinstance(told, list) else []:
        if isinstance(part, dict):
            found.update(part.get("operations") or {})
    return found
