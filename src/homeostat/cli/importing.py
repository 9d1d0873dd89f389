"""`homeostat import mlflow URI`: experiments, runs, artifacts, models and aliases of another store.

`homeostat import folder PATH`: the models that another tool has laid out on disk.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from homeostat.cli.options import add_home, existing_workspace

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=["mlflow", "folder"], help="an MLflow store, or a folder with models")
    parser.add_argument("address", help="http://host:5000, sqlite:///mlflow.db, mlruns; or the folder")
    parser.add_argument("--name", help="folder: what the model is called (default: the name its layout gives it)")
    parser.add_argument(
        "--allow-code", action="store_true", help="folder: load pickled models, each in a process of its own"
    )
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    return _models_of(args) if args.kind == "folder" else _store_of(args)


def _models_of(args: argparse.Namespace) -> int:
    from homeostat.registry import import_folder

    with existing_workspace(args) as ws:
        for version in import_folder(ws, args.address, args.name, allow_code=args.allow_code):
            engine = "ONNX" if version.onnx.file else version.flavor
            print(f"{version.model} version {version.version}: {version.tags['imported.layout']}, answers as {engine}")
    return 0


def _store_of(args: argparse.Namespace) -> int:
    from homeostat.registry import import_models
    from homeostat.tracking import import_runs, open_source

    told = progress()
    with existing_workspace(args) as ws:
        source = open_source(args.address)
        runs = import_runs(ws, source, args.address, told)
        models = import_models(ws, source, told)
    told(0, "")
    print(f"{runs.experiments} experiments, {runs.copied} runs copied, {runs.already} were here already")
    print(f"{runs.points:,} points and {runs.files:,} files, each compared")
    print(f"{models.models} models, {models.copied} versions copied, {models.already} were here already")
    return tell_left({**runs.left, **models.left})


def tell_left(left: dict[str, str]) -> int:
    """Say what was left out, and why; the exit code."""
    for name, why in list(left.items())[:_SHOWN]:
        print(f"  left out: {name}: {why}")
    if len(left) > _SHOWN:
        print(f"  … and {len(left) - _SHOWN} more")
    return 6 if left else 0


def progress() -> Callable[[int, str], None]:
    """Shows how far a move is, to a person at a terminal."""
    return _told if sys.stderr.isatty() else _quiet


def _told(number: int, name: str) -> None:
    sys.stderr.write(f"\r\x1b[2K  {number:,}  {name[:60]}" if name else "\r\x1b[2K")
    sys.stderr.flush()


def _quiet(*_: Any) -> None:
    pass
