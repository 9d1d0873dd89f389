"""`homeostat environment MODEL`: the Python that a model declares, made on this machine, or named."""

from __future__ import annotations

import argparse

from homeostat.cli.options import add_home, workspace_of
from homeostat.cli.packaging import read_reference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="MODEL, MODEL@ALIAS or MODEL/VERSION; the newest version if none is named")
    parser.add_argument("--use", metavar="PYTHON", help="an interpreter that has what the model needs")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    from homeostat.serving import create_environment

    model, version, alias = read_reference(args.model)
    with workspace_of(args) as ws:
        found = create_environment(ws, model, version, alias, args.use)
    print(found.python)
    return 0
