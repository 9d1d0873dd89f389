"""Options that several commands share."""

from __future__ import annotations

import argparse
import os

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.settings import Settings
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace


def add_home(parser: argparse.ArgumentParser) -> None:
    """`--home DIR|URL`."""
    parser.add_argument("--home", metavar="DIR|URL", help="the workspace (default: $HOMEOSTAT_HOME, ./.homeostat)")


def workspace_of(args: argparse.Namespace) -> Workspace:
    """The workspace that `--home` names."""
    return open_workspace(args.home)


def existing_workspace(args: argparse.Namespace) -> Workspace:
    """As `workspace_of`, for commands that look after bytes on this machine: it must be there, and here.

    Raises: NotFound, InvalidInput.
    """
    target = args.home or Settings().home
    if target.startswith(("http://", "https://")):
        raise InvalidInput(f"{target} is a server", hint="run this where its workspace lies")
    if "://" not in target and not os.path.isdir(os.path.expanduser(target)):
        raise NotFound(f"there is no workspace in {target}", hint="name one with --home DIR", home=target)
    return workspace_of(args)
