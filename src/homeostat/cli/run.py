"""`homeostat run`: a script as a run, or a pipeline, each step in its own process, cached and resumable."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from homeostat.cli.options import add_home, workspace_of
from homeostat.cli.script import add_script_arguments, names_script, run_as_script
from homeostat.core.errors import InvalidInput

PASSES_ON = True  # `homeostat run train.py --name first lr=0.1 -- --verbose`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        help="a script (train.py), an MLproject folder, a guild.yml operation, or a pipeline (module:function)",
    )
    parser.add_argument(
        "parameters",
        nargs="*",
        metavar="name=value",
        help="flags of the script, or parameters of the pipeline",
    )
    parser.add_argument("--project", default=".", help="the folder the script or module lies in (default: here)")
    add_home(parser)
    add_script_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if args.restart or names_script(args):
        return run_as_script(args)
    if args.what is None:
        raise InvalidInput("run what?", hint="`homeostat run train.py lr=0.1` or `homeostat run pipeline:train`")
    return _pipeline(args)


def _pipeline(args: argparse.Namespace) -> int:
    given: dict[str, Any] = {}
    for word in args.parameters:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidInput(f"{word!r} is not name=value", hint=f"write {word}=VALUE")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    with workspace_of(args) as ws:
        done = ws.pipelines.run_pipeline(args.what, params=given, project=args.project)
    for step in done.steps:
        took = "" if step.start_ms is None or step.end_ms is None else f"{(step.end_ms - step.start_ms) / 1000:.1f} s"
        sys.stdout.write(f"  {step.status:<8} {step.name:<24} {took:>8}  {step.why}\n")
    sys.stdout.write(json.dumps(done.outputs) + "\n")
    return 0
