"""`homeostat up`."""

from __future__ import annotations

import argparse

from homeostat.cli.options import add_home, workspace_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_home(parser)
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1; others need tokens)")
    parser.add_argument("--port", type=int, help="the control plane's port (default 5000)")
    parser.add_argument("--serve-port", type=int, help="the data plane's port (default 8080)")


def run(args: argparse.Namespace) -> int:
    from homeostat.server.up import up

    workspace = workspace_of(args)
    settings = workspace.settings
    up(
        workspace,
        host=args.host or settings.host,
        port=settings.port if args.port is None else args.port,
        serve_port=settings.serve_port if args.serve_port is None else args.serve_port,
    )
    return 0
