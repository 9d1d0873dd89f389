"""Verbs: put a graph of models behind an endpoint of its own."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from msgspec.structs import replace

from homeostat.core.blobs import digest_of
from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.frames import from_ipc_file, to_polars
from homeostat.core.paths import check_name
from homeostat.core.records import Record, canonical_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import read_table
from homeostat.features import get_view
from homeostat.registry import OnnxReport, Package, Signature, get_version, put_package, register
from homeostat.serving import store
from homeostat.serving.deployments import deploy, get_deployment
from homeostat.serving.graphs.nodes import (
    Ensemble,
    Lookup,
    Member,
    Node,
    Sequence,
    Splitter,
    Switch,
    members_of,
    walk,
)
from homeostat.serving.model import Deployment
from homeostat.serving.options import Options

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = "sample.arrow"
_SAMPLE_ROWS = 32


class DeclaredGraph(Record):
    """A version of a graph: its declaration, what it takes and gives, and the models that it asks (NAME, or
    NAME/VERSION where it insists on one)."""

    model: str
    version: int
    graph: Node
    signature: Signature
    members: list[str]


@verb(permission="serving:write")
def deploy_graph(
    ws: Workspace,
    model: str,
    graph: Node,
    **options: Unpack[Options],
) -> Deployment:
    """Serve a graph of models under the name `model`: in sequence, as an ensemble, switched, split, with lookups.

    The graph becomes the next version of `model`, unless it is one already, and is deployed; canaries and
    rollback are those of models, the options those of `configure`. Members are asked by their own routes, or in the
    version that the graph names.

    Raises: InvalidInput, naming the node by its path, when inputs and outputs do not fit; Refused when a member is not
    deployed; NotFound for an unknown model, version or table.
    """
    from homeostat.serving.graphs.resolving import FILE, GraphFile, check_now

    check_name(model, "model name")
    graph = _pinned(ws, graph)
    checked = check_now(ws, graph)
    _check_canaries(ws, graph, checked.signature)
    content = to_json(GraphFile(format=1, graph=graph))
    identity = digest_of((content + canonical_json(checked.signature)).encode())
    with tempfile.TemporaryDirectory(prefix="homeostat-graph-") as scratch:
        folder = Path(scratch)
        (folder / FILE).write_text(content)
        sampled = _write_sample(ws, graph, checked.signature, folder / _SAMPLE)
        package = Package(
            format=1, flavor="graph", file=FILE, signature=checked.signature, environment=[], created_by="homeostat",
            onnx=OnnxReport(available=False, agrees=False, tolerance=0.0, reason="a graph is asked, not converted"),
            sample=_SAMPLE if sampled else None,
        )  # fmt: skip
        (folder / "model.json").write_text(to_json(package))
        version = register(ws, model, put_package(ws, folder), once=f"graph-{identity}")
    return deploy(ws, model, version.version, **options)


@verb(permission="serving:read")
def get_graph(ws: Workspace, model: str, version: int | None = None) -> DeclaredGraph:
    """The declaration of a graph: of its champion, or of another version.

    Raises: NotFound; InvalidInput for a version that is no graph.
    """
    from homeostat.serving.graphs.resolving import graph_of

    number = get_deployment(ws, model).champion if version is None else version
    found = get_version(ws, model, number)
    if found.flavor != "graph":
        raise InvalidInput(f"version {number} of '{model}' is no graph, but a model ({found.flavor})")
    graph = graph_of(ws, found)
    return DeclaredGraph(
        model=model, version=number, graph=graph, signature=found.signature, members=members_of(graph)
    )  # fmt: skip


def _pinned(ws: Workspace, graph: Node) -> Node:
    """The graph with every view in the version that it has now: a later one is looked up by a later graph."""

    def pinned(node: Node) -> Node:
        match node:
            case Lookup(view=view, version=None) if view:
                return replace(node, version=get_view(ws, view).version)
            case Sequence():
                return replace(node, steps=[pinned(step) for step in node.steps])
            case Ensemble():
                return replace(node, members=[pinned(member) for member in node.members])
            case Switch():
                cases = [replace(case, then=pinned(case.then)) for case in node.cases]
                return replace(node, cases=cases, otherwise=pinned(node.otherwise))
            case Splitter():
                return replace(node, shares=[replace(share, node=pinned(share.node)) for share in node.shares])
            case _:
                return node

    return pinned(graph)


def _check_canaries(ws: Workspace, graph: Node, signature: Signature) -> None:
    """The versions that answer beside a member's champion must fit too."""
    from homeostat.serving.graphs.resolving import check_now

    for name in members_of(graph):
        deployed = ws.db.read(lambda c, name=name: store.read_deployment(c, name))
        if "/" in name or deployed is None:
            continue
        for route in deployed.routes:
            if route.role == "canary":
                found = check_now(ws, graph, {name: route.version}).signature
                if found.outputs != signature.outputs or {f.name for f in found.inputs} - {
                    f.name for f in signature.inputs
                }:
                    raise InvalidInput(
                        f"member '{name}': its canary, version {route.version}, takes or gives something else than its "
                        f"champion",
                        hint="wait until the canary has ended, or name the member's version",
                    )


def _write_sample(ws: Workspace, graph: Node, signature: Signature, path: Path) -> bool:
    """Rows that show what a request looks like, from the members' own samples; whether there are any."""
    if find_spec("polars") is None or find_spec("pyarrow") is None or any(f.shape != [-1] for f in signature.inputs):
        return False
    import polars as pl

    found: dict[str, pl.Series] = {}
    wanted = {field.name for field in signature.inputs}
    for _, node in walk(graph):
        try:
            frame = _sample_of(ws, node)
        except HomeostatError:  # a sample is a courtesy
            continue
        if frame is not None:
            for name in frame.columns:
                if name in wanted and frame.height:
                    found.setdefault(name, frame[name].head(_SAMPLE_ROWS))
    if not wanted <= set(found):
        return False
    rows = min(len(series) for series in found.values())
    columns = [found[field.name].head(rows).alias(field.name) for field in signature.inputs]
    pl.DataFrame(columns).write_ipc(path, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return True


def _sample_of(ws: Workspace, node: Node) -> pl.DataFrame | None:
    """Rows of what a node takes, by the names that the graph has for them."""
    if isinstance(node, Lookup):
        table, key = node.table, node.key
        if node.view:
            from homeostat.serving.graphs.checking import keys_of
            from homeostat.serving.graphs.resolving import view_of

            view = view_of(ws, node)
            table, key = view.source, keys_of(view)
        return to_polars(read_table(ws, table, columns=key)).head(_SAMPLE_ROWS)
    if not isinstance(node, Member):
        return None
    number = get_deployment(ws, node.name).champion if node.version is None else node.version
    version = get_version(ws, node.name, number)
    if _SAMPLE not in version.files:
        return None
    frame = from_ipc_file(ws.blobs.get_bytes(version.files[_SAMPLE]))
    import polars as pl

    columns: dict[str, pl.Series] = {}
    for name in frame.columns:  # one column of the graph may feed several inputs: the first shows what it holds
        columns.setdefault(node.inputs.get(name, name), frame[name])
    return pl.DataFrame(columns)
