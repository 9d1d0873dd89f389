"""`homeostat status`: every essential variable with its value, its limit and how sure we are; of graphs, every node."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.records import plain

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace
    from homeostat.loop import LoopStatus, VariableStatus
    from homeostat.serving import GraphTraffic

_STATES = {
    "within": ("✓", "green"),
    "at_risk": ("!", "yellow"),
    "out": ("✕", "red"),
    "unknown": ("?", "dim"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", help="one model (default: all)")
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="print the records as JSON")


def run(args: argparse.Namespace) -> int:
    with workspace_of(args) as ws:
        graphs = _graphs(ws, args.model)
        if args.model:
            declared = args.model in [known.model for known in ws.loop.list_models()] or not graphs
            names = [args.model] if declared else []
        else:
            names = [known.model for known in ws.loop.list_models()]
        found: list[LoopStatus] = [ws.loop.status(name) for name in names]
    if args.json:
        sys.stdout.write(json.dumps(plain([*found, *graphs]), indent=2) + "\n")
    elif not found and not graphs:
        sys.stdout.write("No model is declared yet. Write a homeostat.yaml, then: homeostat apply\n")
    for status in [] if args.json else found:
        _show(status)
    for graph in [] if args.json else graphs:
        _show_graph(graph)
    return 0


def _graphs(ws: Workspace, model: str | None) -> list[GraphTraffic]:
    """What the nodes of the graph `model` answered lately, or of every deployed graph."""
    from homeostat.core.errors import InvalidInput

    found: list[GraphTraffic] = []
    for deployment in ws.serving.list_deployments():
        if deployment.members and model in (None, deployment.model):
            try:
                found.append(ws.serving.graph_traffic(deployment.model))
            except InvalidInput:  # a model, with a graph beside it as canary or shadow
                continue
    return found


def _show_graph(graph: GraphTraffic) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(f"\n[bold]{graph.model}[/bold]  graph, version {graph.version}")
    minutes = round((graph.to_ms - graph.from_ms) / 60_000)
    logged = "" if graph.log_share == 1 else f", of the {graph.log_share:.0%} of requests that are logged"
    console.print(Text(f"Its nodes in the last {minutes} min{logged}\n", style="dim"))
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("node", "asks", "requests", "median", "95 %", "failed"):
        table.add_column(name, justify="left" if name in ("node", "asks") else "right")
    for node in graph.nodes:
        failed = Text(f"{node.failed:,}", style="red" if node.failed else "dim")
        times = [_milliseconds(node.latency_ms), _milliseconds(node.latency_p95_ms)]
        table.add_row(Text(node.node), Text(node.name), f"{node.requests:,}", *times, failed)
    console.print(table)
    console.print()


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} ms"


def _show(status: LoopStatus) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(f"\n[bold]{status.model}[/bold]  {status.state.replace('_', ' ')}")
    console.print(Text(status.sentence + "\n", style="dim"))
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("must hold", "now", "interval", "n", "state"):
        table.add_column(name, justify="right" if name in ("now", "n") else "left")
    for variable in status.variables:
        mark, style = _STATES[variable.state]
        state = Text(f"{mark} {variable.state.replace('_', ' ')}", style=style)
        table.add_row(Text(variable.variable), _value(variable), _interval(variable), f"{variable.n:,}", state)
    console.print(table)
    console.print()


def _value(variable: VariableStatus) -> str:
    return "–" if variable.value is None else f"{variable.value:.4g}"


def _interval(variable: VariableStatus) -> str:
    return "" if variable.lo is None or variable.hi is None else f"{variable.lo:.4g} to {variable.hi:.4g}"
