"""`homeostat demo`: the example project under `examples/flights`, run from the first byte to the last decision."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from homeostat.cli.demo.project import find_project, load_module, require_demo
from homeostat.core.errors import NotFound

if TYPE_CHECKING:
    from homeostat.cli.demo.view import View
    from homeostat.core.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a sample of the flights, half the months")
    parser.add_argument("--no-wait", action="store_true", help="end at the end, instead of leaving the pages up")
    parser.add_argument("--report", metavar="FILE.json", help="write months, totals, versions and timings here")
    parser.add_argument(
        "--home", metavar="DIR", default="./.homeostat-demo", help="the workspace (default %(default)s)"
    )
    parser.add_argument("--port", type=int, default=5000, help="the control plane's port")
    parser.add_argument("--serve-port", type=int, default=8080, help="the data plane's port")


def run(args: argparse.Namespace) -> int:
    require_demo()
    if args.report and not Path(args.report).absolute().parent.is_dir():
        raise NotFound(f"there is no folder for {args.report}", hint="make it, or name another file with --report")
    from homeostat.cli.demo.receiver import Receiver
    from homeostat.cli.demo.servers import Servers
    from homeostat.cli.demo.view import View
    from homeostat.core.workspace import open as open_workspace

    # The receiver of the demo's messages listens on loopback.
    os.environ["HOMEOSTAT_ALLOW_PRIVATE_HOOKS"] = "1"
    signal.signal(signal.SIGTERM, _interrupt)
    home = Path(args.home).absolute()
    view = View()
    servers = Servers(home, args.port, args.serve_port)
    receiver: Receiver | None = None
    try:
        with open_workspace(home) as ws:
            _same_kind(home, args.quick)
            receiver = Receiver(home / "messages.jsonl")
            started = time.monotonic()
            view.title(
                "Homeostat · late flights out of New York, 2013",
                f"home {home}  ·  pages {servers.url}  ·  Ctrl-C and start again: it goes on where it was",
            )
            with view.phase("starting both planes", "start") as phase:
                servers.start()
                phase.done(f"pages on {args.port}, predictions on {args.serve_port}")
            report = _live(ws, view, args, receiver)
            view.timings["total"] = round(time.monotonic() - started, 2)
            report["timings"] = view.timings
            _write(home, ws, args, report)
            _tell(view, report, home, servers.url, args)
            if not args.no_wait:
                view.console.print(f"  The pages stay open at [bold]{servers.url}[/bold] until Ctrl-C.\n")
                signal.pause()
    except KeyboardInterrupt:
        view.console.print("\n  [dim]Stopped. The same command goes on from here.[/dim]")
        return 130 if args.no_wait else 0
    finally:
        servers.stop()
        if receiver is not None:
            receiver.close()
    return 0


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _same_kind(home: Path, quick: bool) -> None:
    """A home that began as a quick demo goes on as one: the two stream different flights."""
    from homeostat.core.errors import Conflict

    kind = home / "demo.kind"
    wanted = "quick" if quick else "full"
    if not kind.exists():
        kind.write_text(wanted)
    elif kind.read_text() != wanted:
        other = "leave out" if quick else "add"
        raise Conflict(f"{home} holds a {kind.read_text()} demo", hint=f"use another --home, or {other} --quick")


def _live(ws: Workspace, view: View, args: argparse.Namespace, receiver: Any) -> dict[str, Any]:
    project = find_project("flights")
    story = load_module(project, "story")
    return story.tell(ws, view, project=project, quick=args.quick, webhook=receiver.url)


def _write(home: Path, ws: Workspace, args: argparse.Namespace, report: dict[str, Any]) -> None:
    (home / "report.html").write_bytes(ws.loop.report(report["model"]))
    if args.report:
        target = Path(args.report)
        temporary = target.with_suffix(target.suffix + ".new")
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        temporary.replace(target)


def _tell(view: View, report: dict[str, Any], home: Path, url: str, args: argparse.Namespace) -> None:
    view.months(report["months"])
    totals = report["totals"]
    console = view.console
    gain = totals["mean_gain_after_first_retraining"]
    told = "not measurable yet" if gain is None else f"[bold]{gain:+.3f}[/bold] AUC a month"
    console.print(f"  After its first retraining the live model led one that never learned again by {told}.")
    console.print(f"  {totals['predictions']:,} predictions over HTTP and {totals['labels']:,} labels.")
    console.print(
        f"  {totals['decisions']} decisions: {totals['trainings']} trainings, {totals['promoted']} promoted,"
        f" {totals['refused']} refused; {totals['messages']} messages; {view.timings['total']:.0f} s."
    )
    console.print(f"  Report: {home / 'report.html'}")
    if args.report:
        console.print(f"  Figures: {args.report}")
    console.print()
