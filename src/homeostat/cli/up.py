"""`homeostat up`."""

from __future__ import annotations

import argparse
import ctypes
import gc
import signal
import sys

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.server_lock import ServerLock

_PR_SET_PDEATHSIG = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_home(parser)
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1; others need tokens)")
    parser.add_argument("--port", type=int, help="the control plane's port (default 5000)")
    parser.add_argument("--serve-port", type=int, help="the data plane's port (default 8080)")
    parser.add_argument("--processes", type=int, help="data planes that share that port (default 1; 0: one per core)")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")


def run(args: argparse.Namespace) -> int:
    # What a start makes is there to stay: to look for garbage in it again and again is a tenth of its time. The server
    # enables it when it has started.
    gc.disable()
    if args.with_parent:
        _end_with_parent()
    workspace = workspace_of(args)
    lock = ServerLock(workspace.home)
    workspace.begin()  # the tables of a new one are made while the server is loaded
    from homeostat.server.up import up

    settings = workspace.settings
    up(
        workspace,
        lock,
        host=args.host or settings.host,
        port=settings.port if args.port is None else args.port,
        serve_port=settings.serve_port if args.serve_port is None else args.serve_port,
        processes=settings.serve_processes if args.processes is None else args.processes,
    )
    return 0


def _end_with_parent() -> None:
    # Linux: the kernel sends SIGTERM when the parent is gone, even by kill -9.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
