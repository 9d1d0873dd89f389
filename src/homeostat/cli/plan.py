"""`homeostat plan`: what applying a configuration would change."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from homeostat.loop import PlanResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="homeostat.yaml", help="the configuration (default: %(default)s)")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    text, project = read_configuration(args.file)
    with workspace_of(args) as ws:
        show(ws.loop.plan(text, project))
    return 0


def read_configuration(name: str) -> tuple[str, str]:
    """The text of a configuration and the folder it lies in, which is the project."""
    path = Path(name)
    path = path / "homeostat.yaml" if path.is_dir() else path
    try:
        return path.read_text(encoding="utf-8"), str(path.resolve().parent)
    except FileNotFoundError:
        raise NotFound(f"there is no {path}", hint="name the file, or run this where homeostat.yaml lies") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text: {error}") from error


def show(result: PlanResult) -> None:
    """The changes, one a line."""
    done = "applied" if result.applied else "would change"
    if not result.changes:
        sys.stdout.write(f"{result.model}: nothing to change, version {result.version} of its limits is in force\n")
        return
    sys.stdout.write(f"{result.model}: {done}, version {result.version}\n")
    for change in result.changes:
        mark = "+" if not change.was else "-" if not change.becomes else "~"
        became = f"{change.was} → {change.becomes}" if change.was and change.becomes else change.was or change.becomes
        sys.stdout.write(f"  {mark} {change.what}: {became}\n")
