"""`homeostat environment [MODEL]`: the Python that a model declares, made on this machine, named, listed or erased."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from homeostat.cli.options import add_home, workspace_of
from homeostat.cli.packaging import read_reference
from homeostat.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace
    from homeostat.serving import KeptEnvironment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", help="MODEL, MODEL@ALIAS or MODEL/VERSION; the newest version (none: list what is there)"
    )
    parser.add_argument("--use", metavar="PYTHON", help="an interpreter that has what the model needs")
    parser.add_argument("--erase", action="store_true", help="erase the model's environment from this machine")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    if not args.model and (args.use or args.erase):
        raise InvalidInput("no model is named", hint="homeostat environment MODEL --use PYTHON, or MODEL --erase")
    if args.use and args.erase:
        raise InvalidInput("--use and --erase exclude each other")
    with workspace_of(args) as ws:
        if not args.model:
            _list(ws.serving.list_environments())
        elif args.erase:
            gone = _erase(ws, args.model)
            print(f"{gone.digest[:12]} is {'erased' if gone.made else 'forgotten'}, {gone.bytes / 1e6:.1f} MB")
        else:
            from homeostat.serving import create_environment

            print(create_environment(ws, *read_reference(args.model), args.use).python)
    return 0


def _erase(ws: Workspace, reference: str) -> KeptEnvironment:
    model, number, alias = read_reference(reference)
    version = ws.registry.get_version(model, number, alias)
    name = f"{version.model}/{version.version}"
    found: list[KeptEnvironment] = [one for one in ws.serving.list_environments() if name in one.versions]
    if not found:
        raise NotFound(f"'{name}' has no environment on this machine", hint="`homeostat environment` lists what is")
    return ws.serving.erase_environment(found[0].digest)


def _list(found: list[KeptEnvironment]) -> None:
    from homeostat.cli.tables import show

    show([
        {
            "environment": one.digest[:12], "python": one.python_version, "MB": round(one.bytes / 1e6, 1),
            "versions": ", ".join(one.versions) or "none", "deployed": ", ".join(one.deployed) or "none",
            "interpreter": one.python,
        }
        for one in found
    ])  # fmt: skip
