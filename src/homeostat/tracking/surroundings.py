"""What surrounds a run: interpreter, packages, machine, and the state of the code under git."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

_DIFF_BYTES = 5 << 20


def environment() -> dict[str, Any]:
    """Interpreter, packages with versions, machine, command line. No environment variables: secrets live there."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": {"name": platform.node(), "cores": os.cpu_count()},
        "executable": sys.executable,
        "folder": os.getcwd(),
        "arguments": sys.argv,
        "packages": packages(),
    }


@cache
def packages() -> dict[str, str]:
    """Every installed package with its version, as this process first saw them."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for one in distributions():
        name = one.name
        if name and name not in found:  # the first on the path is the one that is imported
            found[name] = one.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def source() -> str:
    """The name of the program: a script's file name; empty in an interactive session."""
    first = sys.argv[0] if sys.argv else ""
    return "" if first in ("", "-c", "-m") else Path(first).name


def code_version(folder: str | os.PathLike[str] = ".") -> str:
    """The git commit of `folder`; empty outside git."""
    return _git("rev-parse", "HEAD", folder=folder).strip()


def git_state(folder: str | os.PathLike[str] = ".") -> tuple[dict[str, Any], str] | None:
    """Commit, branch, remote, changed files, and the difference to the commit as a patch; None outside git.

    The patch is left out above 5 MiB. A password in the remote's address is not told.
    """
    commit = code_version(folder)
    if not commit:
        return None
    remote = _git("config", "--get", "remote.origin.url", folder=folder).strip()
    if "://" in remote and "@" in remote:
        scheme, _, rest = remote.partition("://")
        remote = f"{scheme}://{rest.rpartition('@')[2]}"
    changed = _git("status", "--porcelain", folder=folder).splitlines()
    patch = _git("diff", "HEAD", folder=folder) if changed else ""
    state = {
        "commit": commit,
        "branch": _git("rev-parse", "--abbrev-ref", "HEAD", folder=folder).strip(),
        "remote": remote,
        "changed": [line.rstrip() for line in changed[:1000]],
    }
    return state, patch if len(patch) <= _DIFF_BYTES else ""


def _git(*words: str, folder: str | os.PathLike[str]) -> str:
    try:
        told = subprocess.run(
            ["git", *words], capture_output=True, timeout=20, check=False, cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.decode("utf-8", "replace") if told.returncode == 0 else ""
