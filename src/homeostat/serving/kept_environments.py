"""Verbs: the environments that this machine keeps for models, which versions name them, and erasing them."""

from __future__ import annotations

import time

from homeostat.core.errors import NotFound, Refused
from homeostat.core.records import Record
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import versions_with
from homeostat.serving import environments
from homeostat.serving.deployments import list_deployments
from homeostat.serving.environments import Environment, Needs, read_needs
from homeostat.serving.package import REQUIREMENTS

# A folder that nothing tells of, and that nobody can be making any more.
_FORGOTTEN_S = 86_400.0


class KeptEnvironment(Record):
    """An environment on the machine that serves. `bytes` is what its own files take (0 for an interpreter that was
    only named), `versions` which versions declare it ("spam/3"), `deployed` those of them that are deployed."""

    digest: str
    python_version: str
    python: str
    made: bool
    bytes: int
    requirements: list[str]
    versions: list[str]
    deployed: list[str]


@verb(permission="serving:read")
def list_environments(ws: Workspace) -> list[KeptEnvironment]:
    """The environments that `homeostat environment` made or was shown on the machine of this workspace."""
    kept = environments.kept(ws)
    naming = _naming(ws, kept)
    deployed = {f"{one.model}/{route.version}" for one in list_deployments(ws) for route in one.routes}
    return [
        KeptEnvironment(
            digest=digest, python_version=one.needs.python, python=one.python, made=one.made,
            bytes=environments.size_of(ws, one), requirements=one.needs.requirements, versions=naming[digest],
            deployed=[name for name in naming[digest] if name in deployed],
        )
        for digest, one in sorted(kept.items())
    ]  # fmt: skip


@verb(permission="serving:write")
def erase_environment(ws: Workspace, digest: str) -> KeptEnvironment:
    """Erase an environment from the machine of this workspace, by its digest or the first digits of it; an interpreter
    that was only named is forgotten, and stays. `homeostat environment` makes it again.

    Raises: NotFound for no such environment; Refused while a version that declares it is deployed.
    """
    found = [one for one in list_environments(ws) if digest and one.digest.startswith(digest)]
    if len(found) != 1:
        raise NotFound(
            f"there is no environment '{digest[:64]}' on this machine" if not found else
            f"'{digest[:64]}' begins the names of {len(found)} environments",
            hint="`homeostat environment` lists them",
        )  # fmt: skip
    (one,) = found
    if one.deployed:
        raise Refused(
            f"{', '.join(one.deployed[:5])} is served with environment {one.digest[:12]}",
            hint=f"`homeostat serving undeploy {one.deployed[0].rpartition('/')[0]}` first",
        )
    environments.erase(ws, one.digest)
    return one


def purge(ws: Workspace, before_ms: int, named: set[tuple[str, str]], really: bool) -> dict[str, int]:
    """For `homeostat gc`: erase the environments that no version declares, also none that may be restored, and what
    was left of those that could not be made."""
    kept = environments.kept(ws)
    naming = _naming(ws, kept)
    # What MLflow logged without a list of requirements needs MLflow: nothing in its files says so.
    gone = [digest for digest, one in kept.items() if not naming[digest] and one.needs.requirements != ["mlflow"]]
    left = environments.leftovers(ws, time.time() - _FORGOTTEN_S)
    if really:
        for digest in gone:
            environments.erase(ws, digest)
        for folder in left:
            environments.remove(folder)
    count = len(gone) + len(left)
    return {"environments": count} if count else {}


def _naming(ws: Workspace, kept: dict[str, Environment]) -> dict[str, list[str]]:
    """The versions that declare each environment. Those of MLflow's do not all say their Python: then any will do."""
    found: dict[str, list[str]] = {digest: [] for digest in kept}
    read: dict[str, list[str]] = {}
    for version in versions_with(ws, REQUIREMENTS) if kept else []:
        blob = version.files[REQUIREMENTS]
        if blob not in read:
            read[blob] = read_needs(ws.blobs.get_bytes(blob).decode(errors="replace"), "").requirements
        python = next((one.partition("==")[2] for one in version.environment if one.startswith("python==")), "")
        for digest, one in kept.items():
            wanted = Needs(requirements=read[blob], python=".".join(python.split(".")[:2]) or one.needs.python)
            if wanted == one.needs:
                found[digest].append(f"{version.model}/{version.version}")
    return found
