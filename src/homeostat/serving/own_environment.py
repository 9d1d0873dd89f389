"""The environment that a registered version declares, made on this machine or named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.workspace import RemoteWorkspace, Workspace
from homeostat.registry import ModelVersion, get_version
from homeostat.serving.converted import package_folder
from homeostat.serving.environments import Environment, Needs, has_exactly, make_environment, needs_of, python_for
from homeostat.serving.package import read_package


def create_environment(
    ws: Workspace,
    model: str,
    version: int | None = None,
    alias: str | None = None,
    use: str | os.PathLike[str] | None = None,
) -> Environment:
    """The environment of a version, on this machine: made with uv or pip, or the one of the interpreter `use`.

    What they say goes to standard error. One that is there is given as it is; where the Python that runs here has all
    the version declares, it is that one.

    Raises: InvalidInput for a version that declares none, or an interpreter that lacks something; StepFailed when it
    cannot be made; Refused for the workspace of a server.
    """
    if isinstance(ws, RemoteWorkspace):
        raise Refused("an environment belongs to the machine that serves", hint="name its workspace there")
    found = get_version(ws, model, version, alias)
    needs = needs_of_version(ws, found)
    if needs is None:
        raise InvalidInput(f"'{model}' version {found.version} needs no environment of its own",
                           hint="log_model(..., environment=[...]) declares one")  # fmt: skip
    return make_environment(ws, needs, use)


def needs_of_version(ws: Workspace, version: ModelVersion) -> Needs | None:
    """What a version's environment must hold; None for one that runs with what the server has."""
    folder, _ = package_folder(ws, version)
    return needs_of(folder, read_package(folder))


def find_environments(ws: Workspace, versions: list[ModelVersion], pythons: Sequence[Path]) -> None:
    """Give each version that declares an environment the first of the interpreters `pythons` that has what it needs.

    Raises: Refused, with all that is missing for all of them, when neither those nor the one that runs here will do.
    """
    lacking: list[str] = []
    for version in versions:
        needs = needs_of_version(ws, version)
        if needs is not None and (why := _missing(ws, needs, version, pythons)):
            lacking.append(why)
    if lacking:
        raise Refused(
            "; ".join(lacking),
            hint="make one with `python -m venv DIR` and `DIR/bin/pip install -r requirements.txt`, with the file that "
            "lies beside the model, and name it: --use DIR/bin/python",
        )


def _missing(ws: Workspace, needs: Needs, version: ModelVersion, pythons: Sequence[Path]) -> str:
    reasons: list[str] = []
    for python in sorted(pythons, key=lambda one: not has_exactly(one, needs)):
        try:
            make_environment(ws, needs, python)
        except InvalidInput as error:
            reasons.append(error.message)
        else:
            return ""
    try:
        python_for(ws, needs, version.model)
    except Refused as error:
        return "; ".join([error.message, *reasons])
    return ""
