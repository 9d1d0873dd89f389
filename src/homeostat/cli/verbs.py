"""One command a verb, made from its declaration: `homeostat registry set-alias flight-delay champion 3`."""

from __future__ import annotations

import argparse
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

import msgspec

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
    args = _parser(verb).parse_intermixed_args(words[1:])
    given = {p.name: getattr(args, p.name) for p in verb.parameters if getattr(args, p.name) is not None}
    if args.word is not None:
        first = _first_optional(verb)
        if first is None or first.name in given:
            raise InvalidInput(f"{args.word!r} is one word too many", hint=f"homeostat {slice_name} {words[0]} --help")
        given[first.name] = args.word
    given = {p.name: _from_file(p, given[p.name]) for p in verb.parameters if p.name in given}
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
    first = _first_optional(verb)
    for parameter in verb.parameters:
        if parameter.required:
            parser.add_argument(parameter.name, help=_kind(parameter))
        else:
            default = "" if parameter.default is None else f" (default: {json.dumps(plain(parameter.default))})"
            text = f"{_kind(parameter)}{default}".replace("%", "%%")
            parser.add_argument(f"--{parameter.name.replace('_', '-')}", dest=parameter.name, help=text)
    if first is not None:
        parser.add_argument("word", nargs="?", metavar=first.name, help=f"the same as --{first.name.replace('_', '-')}")
    else:
        parser.set_defaults(word=None)
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _first_optional(verb: Verb) -> Parameter | None:
    """What a word after the required ones stands for, as in Python: the version of `deploy churn 3`."""
    return next((p for p in verb.parameters if not p.required and not p.body), None)


def _kind(parameter: Parameter) -> str:
    """What one types, such as `int`, `request | key`, or the form of the JSON."""
    if parameter.body:
        return "a file: CSV or Parquet" if parameter.body == "frame" else "a file"
    told = typed(parameter.kind)
    return f"JSON, or @FILE: {told}" if "{" in told else told


def typed(kind: Any, depth: int = 0) -> str:
    """How a value of this type is written; a record by its fields and their defaults, what lies deeper by its kind.

    >>> typed(list[int] | None), typed(typing.Literal["request", "key"]), typed(dict[str, float])
    ('int,int,…', 'request | key', '{"name": float}')
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        told = [typed(one, depth) for one in inner if one is not type(None)]
        return " | ".join(dict.fromkeys(told))
    if origin is typing.Literal:
        return " | ".join(json.dumps(one) if depth else str(one) for one in inner)
    if origin is list:
        item = typed(inner[0], depth)
        return f"[{item}, …]" if depth or item[0] in "[{" else f"{item},{item},…"
    if origin is dict:
        return '{"name": ' + typed(inner[1], depth + 1) + "}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "{…}" if depth else "{" + ", ".join(_fields(kind)) + "}"
    return getattr(kind, "__name__", str(kind))


def _fields(record: type[msgspec.Struct]) -> list[str]:
    """The fields of a record with their defaults, or their types where they must be given."""
    hints, tag = typing.get_type_hints(record), record.__struct_config__
    told = [] if tag.tag_field is None else [f'"{tag.tag_field}": {json.dumps(tag.tag)}']
    for field in msgspec.structs.fields(record):
        value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        known = typed(hints[field.name], 1) if value is msgspec.NODEFAULT else json.dumps(plain(value))
        told.append(f'"{field.encode_name}": {known}')
    return told


def _from_file(parameter: Parameter, value: str) -> str:
    """`@graph.json`: the JSON of an argument, from a file."""
    if not value.startswith("@") or "{" not in _kind(parameter):
        return value
    path = Path(value[1:])
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    return path.read_text(encoding="utf-8")


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

    show(data, verb.result)
