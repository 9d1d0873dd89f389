"""`homeostat apply`: put a configuration in force."""

from __future__ import annotations

import argparse

from homeostat.cli.options import add_home, workspace_of
from homeostat.cli.plan import read_configuration, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="homeostat.yaml", help="the configuration (default: %(default)s)")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    text, project = read_configuration(args.file)
    with workspace_of(args) as ws:
        show(ws.loop.apply(text, project))
    return 0
