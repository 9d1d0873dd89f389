"""The environment that a registered version declares, made on this machine or named."""

from __future__ import annotations

import os

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.workspace import RemoteWorkspace, Workspace
from homeostat.registry import get_version
from homeostat.serving.converted import package_folder
from homeostat.serving.environments import Environment, make_environment, needs_of
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
    folder, _ = package_folder(ws, found)
    needs = needs_of(folder, read_package(folder))
    if needs is None:
        raise InvalidInput(f"'{model}' version {found.version} needs no environment of its own",
                           hint="log_model(..., environment=[...]) declares one")  # fmt: skip
    return make_environment(ws, needs, use)
