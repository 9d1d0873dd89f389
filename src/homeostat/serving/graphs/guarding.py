"""Graphs and their members stay together: what a graph asks is deployed, fits it, and does not go away."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving import store
from homeostat.serving.graphs.nodes import Member, members_of, walk
from homeostat.serving.model import Deployment

# Graphs that name graphs.
MAX_NESTED = 6


def insisted_on(connection: sa.Connection, model: str, version: int | None) -> str | None:
    """A deployed graph that has loaded `version` of `model` for itself, or any version for None."""
    wanted = f"{model}/" if version is None else f"{model}/{version}"
    for graph in store.graphs(connection):
        if any(name == wanted or (version is None and name.startswith(wanted)) for name in graph.members):
            return graph.model
    return None


def refusal(connection: sa.Connection, model: str) -> Refused | None:
    """Why `model` cannot stop being served."""
    graphs = [one.model for one in store.graphs(connection) if model in one.members]
    if not graphs:
        return None
    return Refused(
        f"model '{model}' is asked by the graph '{graphs[0]}'"
        + (f" and {len(graphs) - 1} more" if len(graphs) > 1 else ""),
        hint=f"undeploy that first: `homeostat serving undeploy {graphs[0]}`",
        graph=graphs[0],
    )


def members_after(ws: Workspace, connection: sa.Connection, new: Deployment) -> list[str]:
    """The members of the graphs among the routes of `new`, which is about to be written.

    Raises: Refused when a member is not deployed, and when a version does not fit a graph that asks this model;
    InvalidInput for graphs that ask each other in a circle, or too deep.
    """
    if not new.routes:
        return []
    members: list[str] = []
    for route in new.routes:
        found = get_version(ws, new.model, route.version)
        if found.flavor != "graph":
            continue
        from homeostat.serving.graphs.resolving import graph_of

        members += members_of(graph_of(ws, found))
    members = list(dict.fromkeys(members))
    _check_circles(connection, new.model, members, [new.model])
    _check_fit(ws, connection, new)
    return members


def _check_circles(connection: sa.Connection, model: str, members: list[str], way: list[str]) -> None:
    for name in members:
        if "/" in name:
            continue
        if name == model:
            raise InvalidInput(f"graphs ask each other in a circle: {' → '.join([*way, name])}")
        if len(way) > MAX_NESTED:
            raise InvalidInput(f"graphs are nested deeper than {MAX_NESTED}: {' → '.join([*way, name])}")
        found = store.read_deployment(connection, name)
        if found is None:
            raise Refused(f"member '{name}' is not deployed", hint=f"`homeostat serving deploy {name}`", model=name)
        if found.members:
            _check_circles(connection, model, found.members, [*way, name])


def _check_fit(ws: Workspace, connection: sa.Connection, new: Deployment) -> None:
    for graph in store.graphs(connection):
        if new.model not in graph.members or graph.model == new.model:
            continue
        from homeostat.serving.graphs.resolving import need_fit

        for route in graph.routes:
            version = get_version(ws, graph.model, route.version)
            if version.flavor == "graph":
                need_fit(ws, version, new.model, [r.version for r in new.routes if r.role != "shadow"])


def check_kept_out(ws: Workspace, connection: sa.Connection, new: Deployment) -> None:
    """Refused where `new`, a graph or a member of some, would have a member log a column that its graph keeps out of
    the prediction log: members have rows of their own there."""
    for graph in [new, *store.graphs(connection)]:
        if not graph.redacted or (graph.model != new.model and new.model not in graph.members):
            continue
        if graph.model == new.model and graph is not new:
            continue  # as it was before
        for node in _asked(ws, graph):
            member = new if node.name == new.model else store.read_deployment(connection, node.name)
            if member is not None and (graph is new or member is new) and member.log_share:
                _check_member(ws, graph, node, member)


def _asked(ws: Workspace, graph: Deployment) -> list[Member]:
    """Where a graph asks models by their own routes."""
    from homeostat.serving.graphs.resolving import graph_of

    versions = [get_version(ws, graph.model, route.version) for route in graph.routes]
    return [
        node
        for version in versions
        if version.flavor == "graph"
        for _, node in walk(graph_of(ws, version))
        if isinstance(node, Member) and node.version is None
    ]


def _check_member(ws: Workspace, graph: Deployment, node: Member, member: Deployment) -> None:
    for route in member.routes:
        for field in get_version(ws, member.model, route.version).signature.inputs:
            column = node.inputs.get(field.name, field.name)
            if column in graph.redacted and field.name not in member.redacted:
                raise Refused(
                    f"the graph '{graph.model}' keeps '{column}' out of the prediction log, and its member "
                    f"'{member.model}' would log it",
                    hint=f"keep '{field.name}' of '{member.model}' out first, with its option redacted",
                    graph=graph.model,
                    model=member.model,
                )
