"""`homeostat gc`: erase what was deleted long ago, what the policy keeps no longer, and bytes that nothing names."""

from __future__ import annotations

import argparse
import sys

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.errors import Refused
from homeostat.core.gc import Garbage
from homeostat.core.workspace import RemoteWorkspace, Workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deleted-days", type=float, help="what was deleted longer ago (default: keep_deleted_days, or 30)"
    )
    parser.add_argument("--grace-hours", type=float, default=24, help="bytes that were put before (default: 24)")
    parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    with workspace_of(args) as ws:
        if not args.yes:
            _tell(_collect(ws, args, dry_run=True))
            if args.dry_run:
                return 0
            if not sys.stdin.isatty():
                raise Refused("what is erased cannot be brought back", hint="add --yes to erase it")
            sys.stdout.write("Erase this for good? [y/N] ")
            sys.stdout.flush()
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                return 1
        _tell(_collect(ws, args, dry_run=args.dry_run))
    return 0


def _collect(ws: Workspace, args: argparse.Namespace, dry_run: bool) -> Garbage:
    if isinstance(ws, RemoteWorkspace):
        return ws.tracking.collect_garbage(args.deleted_days, args.grace_hours, dry_run=dry_run)
    from homeostat.tracking import erase

    shown = sys.stderr.isatty()
    try:
        return erase(ws, args.deleted_days, args.grace_hours, dry_run, _said if shown else lambda _: None)
    finally:
        if shown:
            _said("")


def _said(what: str) -> None:
    sys.stderr.write(f"\r\x1b[2K{what and '  '}{what[:100]}")
    sys.stderr.flush()


def _tell(found: Garbage) -> None:
    done = "would be erased" if found.dry_run else "erased"
    counts = [f"{count} {kind}" for kind, count in found.erased.items() if count]
    sys.stdout.write(f"{', '.join(counts) or 'no rows'} {done}\n")
    sys.stdout.write(f"{found.blobs} pieces without a name, {found.bytes / (1 << 20):.1f} MiB, {done}; ")
    sys.stdout.write(f"{found.kept} stay\n")
    if found.dry_run and counts:
        sys.stdout.write("what only these rows name goes with them, and is counted when they are gone\n")
