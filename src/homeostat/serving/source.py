"""Where a version's files come from: the registry's package, or what MLflow's client logged, made one."""

from __future__ import annotations

from homeostat.core.extras import require
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version, made_here
from homeostat.serving.converted import interpreter, package_folder
from homeostat.serving.loaded import LoadedVersion, load
from homeostat.serving.model import Deployment
from homeostat.serving.package import read_package
from homeostat.serving.weight import WEIGHING, heap_bytes


def load_version(ws: Workspace, deployment: Deployment, version: int, weigh: bool = False) -> LoadedVersion:
    """The version of the deployed model, ready to answer; with `weigh`, it knows what it takes in this process. Takes
    as long as loading takes: not for the event loop.

    Raises: NotFound, Corrupt, Refused, or what the model's own loading raises.
    """
    found = get_version(ws, deployment.model, version)
    folder, files = package_folder(ws, found)
    package = read_package(folder)
    recorded = files[package.file] if made_here(ws, found) else None
    python = interpreter(ws, found, folder, package)
    names = {"key": deployment.key, "time": deployment.time}
    if not weigh:
        return load(folder, deployment.model, version, recorded=recorded, python=python, **names)
    if package.flavor == "onnx" or package.onnx.agrees:
        require("onnxruntime", extra="ml")  # the library itself is no part of the first model's weight
    with WEIGHING:
        before = heap_bytes()
        loaded = load(folder, deployment.model, version, recorded=recorded, python=python, **names)
        own = 0 if loaded.runtime.memory() else found.size
        loaded.weight = max(own, heap_bytes() - before)
    return loaded
