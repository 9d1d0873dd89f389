"""What the members of a graph are at the moment, and whether a graph still fits them."""

from __future__ import annotations

from collections.abc import Iterable

from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.core.records import Record, from_json
from homeostat.core.workspace import Workspace
from homeostat.data import get_table
from homeostat.features import FeatureView, get_view
from homeostat.registry import ModelVersion, Signature, get_version
from homeostat.serving import store
from homeostat.serving.converted import package_folder
from homeostat.serving.graphs.checking import Checked, check_graph
from homeostat.serving.graphs.combining import takes
from homeostat.serving.graphs.nodes import Lookup, Member, Node
from homeostat.serving.package import read_package

FILE = "graph.json"


class GraphFile(Record):
    """What a version of a graph holds."""

    format: int
    graph: Node


def graph_of(ws: Workspace, version: ModelVersion) -> Node:
    """The declaration of a version of flavor "graph"."""
    return from_json(ws.blobs.get_bytes(version.files[FILE]), GraphFile).graph


def current_signature(ws: Workspace, member: Member, using: dict[str, int] | None = None) -> Signature:
    """What a member takes and gives: the version that the graph names, else the champion of the member's deployment.

    `using` says which version of a member to look at instead. Raises: NotFound; Refused when it is not deployed, or was
    refused by its gates; InvalidInput for a version of a graph.
    """
    number = member.version if member.version is not None else (using or {}).get(member.name)
    if number is None:
        deployed = ws.db.read(lambda c: store.read_deployment(c, member.name))
        if deployed is None:
            raise Refused(
                f"member '{member.name}' is not deployed",
                hint=f"`homeostat serving deploy {member.name}`, or name a version, which the graph then loads itself",
                model=member.name,
            )
        number = deployed.champion
    found = get_version(ws, member.name, number)
    if member.version is not None:
        if found.flavor == "graph":
            raise InvalidInput(f"member '{member.name}' is a graph, which is asked by its own routes",
                               hint="leave out its version")  # fmt: skip
        if found.status == "refused":
            raise Refused(f"version {found.version} of member '{member.name}' was refused by its gates")
    if found.flavor == "other":
        raise Refused(f"version {found.version} of member '{member.name}' lies at {found.source}")
    if found.flavor == "mlflow":  # as it is served, which is not how MLflow describes it
        return read_package(package_folder(ws, found)[0]).signature
    return found.signature


def check_now(ws: Workspace, graph: Node, using: dict[str, int] | None = None) -> Checked:
    """As `check_graph`, by what is registered and deployed here."""
    return check_graph(
        graph, lambda member: current_signature(ws, member, using), lambda name: get_table(ws, name),
        lambda node: view_of(ws, node),
    )  # fmt: skip


def view_of(ws: Workspace, node: Lookup) -> FeatureView:
    """The view that a lookup names. Raises NotFound."""
    found = get_view(ws, node.view, node.version).view
    assert found is not None, "a registered view holds its declaration"
    return found


def still_fits(now: Signature, registered: Signature) -> str:
    """Why a graph that takes and gives `now` is not what it was registered as; empty when it is."""
    known = {field.name: field for field in registered.inputs}
    for field in now.inputs:
        was = known.get(field.name)
        if was is None:
            return f"it would take '{field.name}' too"
        matrix = registered.tensor is not None and "BYTES" not in (was.dtype, field.dtype)
        if not matrix and (not takes(was.dtype, field.dtype) or was.shape != field.shape):
            return f"it would take '{field.name}' as {field.dtype} of shape {field.shape}"
    if now.outputs != registered.outputs:
        given = ", ".join(f"'{field.name}' ({field.dtype})" for field in now.outputs)
        return f"it would give {given}"
    return ""


def need_fit(ws: Workspace, version: ModelVersion, member: str, numbers: Iterable[int]) -> None:
    """Refused unless the graph stays what it is, whichever of these versions of `member` answers."""
    graph = graph_of(ws, version)
    for number in numbers:
        reason = ""
        try:
            reason = still_fits(check_now(ws, graph, {member: number}).signature, version.signature)
        except (InvalidInput, NotFound) as error:
            reason = error.message
        if reason:
            raise Refused(
                f"version {number} of '{member}' does not fit the graph '{version.model}': {reason}",
                hint="deploy it under another name, then the graph with that, or undeploy the graph first",
                graph=version.model,
            )
