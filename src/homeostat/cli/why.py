"""`homeostat why`: a decision explained, and recomputed from its record to show that it is the same."""

from __future__ import annotations

import argparse
import json
import sys

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.clock import iso
from homeostat.core.records import plain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("decision", help="the decision's id (see `homeostat loop decisions MODEL`)")
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(args: argparse.Namespace) -> int:
    with workspace_of(args) as ws:
        told = ws.loop.why(args.decision)
    if args.json:
        sys.stdout.write(json.dumps(plain(told), indent=2) + "\n")
        return 0
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    decision = told.decision
    console.print(f"\n[dim]{iso(decision.at_ms)}  {decision.model}[/dim]")
    console.print(f"[bold]{decision.kind.replace('_', ' ')}[/bold]: {escape(decision.headline)}")
    console.print(f"{escape(decision.reason)}\n")
    for evidence in decision.evidence:
        console.print(f"  • {escape(evidence.text)}")
    for other in decision.alternatives:
        console.print(f"  [dim]not {other.kind.replace('_', ' ')}: {escape(other.why_not)}[/dim]")
    same = "[green]the same[/green]" if told.same else "[red]NOT the same[/red]"
    console.print(f"\nRecomputed from this record by rule {decision.rule.name} {decision.rule.version}: {same}.\n")
    return 0 if told.same else 1
