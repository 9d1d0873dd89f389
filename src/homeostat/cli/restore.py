"""`homeostat restore FILE`."""

from __future__ import annotations

import argparse

from homeostat.cli.options import add_home


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="a file that `homeostat backup` made")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    from homeostat.core.backup import restore
    from homeostat.core.errors import InvalidInput
    from homeostat.core.settings import Settings

    target = args.home or Settings().home
    if target.startswith(("http://", "https://")):
        raise InvalidInput("a backup is restored where the workspace lies", hint="run this on the server's machine")
    made = restore(args.file, target)
    print(f"{target}: {made.rows} rows, {len(made.members)} parts, {made.size / (1 << 20):.1f} MiB, all as written")
    return 0
