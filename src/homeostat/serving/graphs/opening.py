"""A version of a graph made ready to serve, as far as that takes time: not for the event loop."""

from __future__ import annotations

from pathlib import Path

from homeostat.core.errors import StepFailed, Unavailable
from homeostat.core.workspace import Workspace
from homeostat.registry import Field, ModelVersion, Package
from homeostat.serving.contract import ColumnsContract, Contract, MatrixContract, TensorsContract
from homeostat.serving.graphs.checking import Checked
from homeostat.serving.graphs.lookups import LookupTable, TableLookup, ViewLookup
from homeostat.serving.graphs.nodes import Lookup, Member, Node, members_of, walk
from homeostat.serving.graphs.resolving import check_now, graph_of, still_fits, view_of
from homeostat.serving.loaded import LoadedVersion, sample_payload
from homeostat.serving.model import Deployment
from homeostat.serving.package import read_package, specs
from homeostat.serving.runtimes.runtime import Runtime
from homeostat.serving.source import load_version
from homeostat.serving.tensors import Array
from homeostat.serving.unpacked import unpack


class GraphRuntime(Runtime):
    """Stands where a model's engine would: a graph computes nothing itself."""

    name = "graph"
    in_loop = False

    def run(self, arrays: list[Array]) -> list[Array]:
        raise StepFailed("a graph answers through its members' lanes")


class OpenedGraph:
    """`own` are the versions that the graph insists on, loaded for it, and `lookups` its tables, both by path;
    `members` the models that are asked by their own routes."""

    def __init__(
        self, graph: Node, checked: Checked, loaded: LoadedVersion, own: dict[str, LoadedVersion],
        lookups: dict[str, LookupTable],
    ) -> None:  # fmt: skip
        self.graph = graph
        self.checked = checked
        self.loaded = loaded
        self.own = own
        self.lookups = lookups
        self.members = [name for name in members_of(graph) if "/" not in name]


def open_graph(ws: Workspace, deployment: Deployment, version: ModelVersion) -> OpenedGraph:
    """The graph's declaration, its tables read and the versions it insists on loaded.

    Raises: Unavailable when its members do not fit any more what it was registered with; what loading them raises.
    """
    folder = unpack(ws, version)
    package = read_package(folder)
    graph = graph_of(ws, version)
    checked = check_now(ws, graph)
    if reason := still_fits(checked.signature, version.signature):
        raise Unavailable(
            f"the members of '{version.model}' version {version.version} are others now: {reason}",
            hint="deploy the graph again, for what they are now",
        )
    checked = checked._replace(signature=version.signature)
    loaded = _loaded(folder, package, deployment, version, checked)
    own: dict[str, LoadedVersion] = {}
    lookups: dict[str, LookupTable] = {}
    try:
        for path, node in walk(graph):
            if isinstance(node, Member) and node.version is not None:
                private = Deployment(
                    model=node.name, routes=[], salt="", generation=0, updated_ms=0, key=deployment.key,
                    time=deployment.time,
                )  # fmt: skip
                own[path] = load_version(ws, private, node.version)
            elif isinstance(node, Lookup):
                if node.view:
                    lookups[path] = ViewLookup(ws, node, view_of(ws, node))
                else:
                    lookups[path] = TableLookup(ws, node, checked.outputs_of[path])
    except BaseException:
        for one in own.values():
            one.runtime.close()
        raise
    return OpenedGraph(graph, checked, loaded, own, lookups)


def contract_of(name: str, inputs: list[Field], tensor: str | None, rowwise: bool, key: str, time: str) -> Contract:
    """How requests for a graph are read."""
    declared = specs(inputs)
    if tensor is not None:
        return MatrixContract(name, declared, key, time, tensor=tensor)
    if rowwise and all(spec.shape == [-1] for spec in declared):
        return ColumnsContract(name, declared, key, time)
    return TensorsContract(name, declared, key, time, batchable=rowwise)


def _loaded(
    folder: Path, package: Package, deployment: Deployment, version: ModelVersion, checked: Checked
) -> LoadedVersion:
    signature = version.signature
    contract = contract_of(
        deployment.model, signature.inputs, signature.tensor, checked.rowwise, deployment.key, deployment.time
    )  # fmt: skip
    outputs = specs(signature.outputs)
    loaded = LoadedVersion(deployment.model, version.version, contract, GraphRuntime(), outputs)
    loaded.sample, *_ = sample_payload(folder, package, contract)
    return loaded
