"""Writes the parts of docs/ that the code knows better: commands, verbs, settings, events, errors.

Each stands between `<!-- from the code: NAME -->` and `<!-- end -->`. Run it after a change; a test compares.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeostat.cli.main import COMMANDS
from homeostat.core.errors import HomeostatError
from homeostat.core.records import plain, to_json
from homeostat.core.settings import SETTINGS
from homeostat.core.slices import SLICES
from homeostat.core.verbs import Parameter, Verb, verbs_of
from homeostat.events import EVENTS

ROOT = Path(__file__).parent.parent
PART = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> str:
    """Every hand-made command with its options."""
    return "\n".join(
        f"## homeostat {name}\n\n{_sentence(text)}\n\n{_usage(name, module)}"
        for name, (module, text) in COMMANDS.items()
    )


def _usage(name: str, module: str) -> str:
    parser = argparse.ArgumentParser(prog=f"homeostat {name}")
    importlib.import_module(module).add_arguments(parser)
    shown = [action for action in parser._actions if action.dest != "help"]
    rows = [(_words(action), (action.help or "") % {"default": action.default}) for action in shown]
    if not rows:
        return "No options.\n"
    return _table(("argument", "meaning"), [(f"`{words}`", text) for words, text in rows])


def _words(action: argparse.Action) -> str:
    metavar = action.metavar or action.dest.upper().replace("_", "-")
    if not action.option_strings:
        shown = str(action.metavar or action.dest)
        return (
            f"[{shown} …]"
            if action.nargs in ("*", argparse.REMAINDER)
            else f"[{shown}]"
            if action.nargs == "?"
            else shown
        )
    takes = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(action.option_strings) + takes


def exits() -> str:
    """Every error class with its exit code and HTTP status."""
    return _table(
        ("error", "code on the wire", "HTTP status", "exit code"),
        [(f"`{e.__name__}`", f"`{e.code}`", str(e.status), str(e.exit_code)) for e in _tree(HomeostatError)],
    )


def _tree(root: type[HomeostatError]) -> list[type[HomeostatError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


def verbs() -> str:
    """Every verb of every slice."""
    parts: list[str] = []
    for name in SLICES:
        declared = verbs_of(name)
        if not declared:
            continue
        about = (importlib.import_module(f"homeostat.{name}").__doc__ or "").split("\n", 1)[0]
        parts.append(f"## {name}\n\n{about}\n")
        for verb in sorted(declared.values(), key=lambda v: v.name):
            parts.append(f"### {name}.{verb.name}\n\n```text\n{_signature(verb)}\n```\n\n{_prose(verb.description)}\n")
            parts.append(f"Needs `{verb.permission}`. {_route(verb)}\n")
    return "\n".join(parts)


def _signature(verb: Verb) -> str:
    result = "Frame" if verb.gives == "frame" else _kind(verb.result)
    parts = [_parameter(p) for p in verb.parameters]
    line = f"ws.{verb.slice}.{verb.name}({', '.join(parts)}) -> {result}"
    return (
        line
        if len(line) <= 100
        else f"ws.{verb.slice}.{verb.name}(\n    " + ",\n    ".join(parts) + f",\n) -> {result}"
    )


def _parameter(parameter: Parameter) -> str:
    kind = "Frame" if parameter.body == "frame" else _kind(parameter.kind)
    return f"{parameter.name}: {kind}" + ("" if parameter.required else f" = {_default(parameter.default)}")


def _default(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | bool | type(None)) else to_json(plain(value))


def _kind(kind: Any) -> str:
    """A type as one would write it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None) or kind is None:
        return "None"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_kind(part) for part in inner)
    if origin is typing.Literal:
        return " | ".join(repr(part) for part in inner)
    if origin is not None:
        return f"{getattr(origin, '__name__', origin)}[{', '.join(_kind(part) for part in inner)}]"
    return getattr(kind, "__name__", str(kind).rpartition(".")[2])


def _prose(text: str) -> str:
    """A docstring as Markdown: a runnable example in it is a code block."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        example = line.startswith(">>>") or (inside and bool(line.strip()))
        if example != inside:
            lines += ["```pycon"] if example else ["```"]
            inside = example
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)


def _route(verb: Verb) -> str:
    method = "GET" if verb.safe and verb.body is None else "POST"
    return f"`{method} /api/v1/{verb.slice}/{verb.name}` · `homeostat {verb.slice} {verb.name.replace('_', '-')}`"


def settings() -> str:
    """Every setting."""
    rows = [(f"`{s.variable}`", s.kind.__name__, f"`{s.default!r}`", s.help) for s in SETTINGS]
    return _table(("variable", "type", "default", "meaning"), rows)


def events() -> str:
    """Every event with its fields and listeners."""
    rows: list[tuple[str, ...]] = []
    for name, entry in EVENTS.items():
        module, _, kind = entry.record.partition(":")
        record = getattr(importlib.import_module(module), kind)
        fields = ", ".join(f"`{field}`" for field in record.__struct_fields__)
        heard = ", ".join(f"`{listener.partition(':')[0].removeprefix('homeostat.')}`" for listener in entry.listeners)
        about = (record.__doc__ or "").split("\n", 1)[0]
        rows.append((f"`{name}`", "" if about.startswith(f"{kind}(") else about, fields, heard or "–"))
    return _table(("event", "says", "fields", "heard by"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return (
        "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
        )
        + "\n"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands, "exits": exits, "verbs": verbs, "settings": settings, "events": events,
}  # fmt: skip


def renewed(page: str) -> str:
    """The text of a page with each part written anew."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", page)


def stale() -> list[Path]:
    """The pages that no longer say what the code says."""
    return [page for page in sorted((ROOT / "docs").rglob("*.md")) if renewed(text := page.read_text("utf-8")) != text]


def main() -> int:
    for page in stale():
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")
        print(page.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
