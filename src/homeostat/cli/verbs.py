"""One command a verb, made from its declaration: `homeostat registry set-alias flight-delay champion 3`."""

from __future__ import annotations

import argparse
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import plain
from homeostat.core.verbs import Parameter, Verb, find, verbs_of


def run_verb(slice_name: str, words: list[str]) -> int:
    """Run the verb that `words` begin with."""
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(f"usage: homeostat {slice_name} VERB [arguments]\n\n")
        for verb in verbs_of(slice_name).values():
            sys.stdout.write(f"  {verb.name.replace('_', '-'):<22} {verb.help}\n")
        return 0
    verb = find(slice_name, words[0].replace("-", "_"))
    args = _parser(verb).parse_args(words[1:])
    given = {p.name: getattr(args, p.name) for p in verb.parameters if getattr(args, p.name) is not None}
    body = verb.body
    if body is not None and body.name in given:
        given[body.name] = _read(given[body.name], body.body)
    with workspace_of(args) as workspace:
        arguments = verb.arguments(given, text=True)
        result = getattr(getattr(workspace, slice_name), verb.name)(**arguments)
        _print(result, verb, as_json=args.json)
    return 0


def _parser(verb: Verb) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"homeostat {verb.slice} {verb.name.replace('_', '-')}",
        description=verb.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for parameter in verb.parameters:
        if parameter.required:
            parser.add_argument(parameter.name, help=_kind(parameter))
        else:
            names = f"--{parameter.name.replace('_', '-')}"
            text = f"{_kind(parameter)} (default: {json.dumps(plain(parameter.default))})"
            parser.add_argument(names, dest=parameter.name, help=text)
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _kind(parameter: Parameter) -> str:
    if parameter.body:
        return "a file: CSV or Parquet" if parameter.body == "frame" else "a file"
    options = typing.get_args(parameter.kind) if isinstance(parameter.kind, types.UnionType) else (parameter.kind,)
    return " or ".join("none" if o is type(None) else getattr(o, "__name__", str(o)) for o in options)


def _read(name: str, kind: str) -> Any:
    path = Path(name)
    if not path.is_file():
        raise NotFound(f"there is no file {name}")
    if kind == "bytes":
        return path.read_bytes()
    import polars as pl

    try:
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    except Exception as error:  # Polars raises several unrelated classes for malformed files
        raise InvalidInput(f"{name} cannot be read as a table: {error}") from error


def _print(result: Any, verb: Verb, as_json: bool) -> None:
    if verb.gives == "bytes":
        sys.stdout.buffer.write(result)
        return
    if verb.gives == "frame":
        sys.stdout.write(result.write_json() if as_json else str(result))
        sys.stdout.write("\n")
        return
    data = plain(result)
    if as_json or sys.stdout.isatty() is False:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        return
    from homeostat.cli.tables import show

    show(data)
