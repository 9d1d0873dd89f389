"""`homeostat export mlflow URL`: experiments, runs, artifacts, models and aliases into a running MLflow server."""

from __future__ import annotations

import argparse

from homeostat.cli.importing import progress, tell_left
from homeostat.cli.options import add_home, existing_workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=["mlflow"], help="whose protocol the server speaks")
    parser.add_argument("address", help="the server: http://host:5000")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    from homeostat.registry import export_models
    from homeostat.tracking import Target, export_runs

    told = progress()
    with existing_workspace(args) as ws:
        target = Target(args.address)
        runs = export_runs(ws, target, told)
        models = export_models(ws, target, told)
    told(0, "")
    print(f"{runs.experiments} experiments, {runs.copied} runs copied, {runs.already} were there already")
    print(f"{runs.points:,} points and {runs.files:,} files, each read back and compared")
    print(f"{models.models} models, {models.copied} versions copied, {models.already} were there already")
    return tell_left({**runs.left, **models.left})
