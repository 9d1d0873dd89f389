"""Where a version's files come from: the registry's package, or what MLflow's client logged, made one."""

from __future__ import annotations

from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving.converted import package_folder
from homeostat.serving.loaded import LoadedVersion, load
from homeostat.serving.model import Deployment
from homeostat.serving.package import read_package
from homeostat.serving.unpacked import made_here


def load_version(ws: Workspace, deployment: Deployment, version: int) -> LoadedVersion:
    """The version of the deployed model, ready to answer. Takes as long as loading takes: not for the event loop.

    Raises: NotFound, Corrupt, Refused, or what the model's own loading raises.
    """
    found = get_version(ws, deployment.model, version)
    folder, files = package_folder(ws, found)
    recorded = files[read_package(folder).file] if made_here(ws, found) else None
    return load(folder, deployment.model, version, key=deployment.key, time=deployment.time, recorded=recorded)
