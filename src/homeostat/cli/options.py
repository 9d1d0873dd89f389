"""Options that several commands share."""

from __future__ import annotations

import argparse

from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace


def add_home(parser: argparse.ArgumentParser) -> None:
    """`--home DIR|URL`."""
    parser.add_argument("--home", metavar="DIR|URL", help="the workspace (default: $HOMEOSTAT_HOME, ./.homeostat)")


def workspace_of(args: argparse.Namespace) -> Workspace:
    """The workspace that `--home` names."""
    return open_workspace(args.home)
