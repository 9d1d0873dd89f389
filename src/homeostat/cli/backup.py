"""`homeostat backup FILE`."""

from __future__ import annotations

import argparse

from homeostat.cli.options import add_home, existing_workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="the file to make; it must not be there yet")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    from homeostat.core.backup import backup

    with existing_workspace(args) as ws:
        made = backup(ws, args.file)
    print(f"{args.file}: {made.rows} rows, {len(made.members)} parts, {made.size / (1 << 20):.1f} MiB")
    return 0
