"""`homeostat status`: every essential variable with its value, its limit and how sure we are."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.records import plain

if TYPE_CHECKING:
    from homeostat.loop import LoopStatus, VariableStatus

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
        names = [args.model] if args.model else [known.model for known in ws.loop.list_models()]
        found: list[LoopStatus] = [ws.loop.status(name) for name in names]
    if args.json:
        sys.stdout.write(json.dumps(plain(found), indent=2) + "\n")
    elif not found:
        sys.stdout.write("No model is declared yet. Write a homeostat.yaml, then: homeostat apply\n")
    else:
        for status in found:
            _show(status)
    return 0


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
