"""`homeostat run`: a pipeline of this project, each step in its own process, cached and resumable."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.errors import InvalidInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", help="module:function, such as pipeline:train")
    parser.add_argument("parameters", nargs="*", metavar="name=value", help="values are JSON where they can be")
    parser.add_argument("--project", default=".", help="the folder the module lies in (default: here)")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
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
        done = ws.pipelines.run_pipeline(args.pipeline, params=given, project=args.project)
    for step in done.steps:
        took = "" if step.start_ms is None or step.end_ms is None else f"{(step.end_ms - step.start_ms) / 1000:.1f} s"
        sys.stdout.write(f"  {step.status:<8} {step.name:<24} {took:>8}  {step.why}\n")
    sys.stdout.write(json.dumps(done.outputs) + "\n")
    return 0
