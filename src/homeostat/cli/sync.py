"""`homeostat sync`: runs from this machine's disk to their workspace."""

from __future__ import annotations

import argparse
import sys

from homeostat.cli.options import add_home, workspace_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", help="where they lie (default: `runs` in this machine's home)")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    from homeostat.tracking import sync

    with workspace_of(args) as ws:
        done = sync(ws, args.folder)
    for one in done:
        refused = f", {one.refused} refused (see refused.txt beside it)" if one.refused else ""
        sys.stdout.write(f"  {one.run_id}  {one.status:<9} {one.sent} entries sent{refused}\n")
    sys.stdout.write(f"{len(done)} runs sent\n")
    return 1 if any(one.refused for one in done) else 0
