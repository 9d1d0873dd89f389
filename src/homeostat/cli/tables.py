"""Results on a terminal: a list of records as a table, one record as its fields."""

from __future__ import annotations

import typing
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from homeostat.core.records import plain

_FIRST_MS = 946_684_800_000  # the year 2000: what is less is a length of time
_MANY = 8  # more columns than this and those that say nothing are left out
_LINES, _LONG = 4, 60  # of a nested value in a cell


def show(data: Any, kind: Any = None) -> None:
    """Print `data` (plain values) for a person; `kind` is the declared type of it."""
    console = Console()
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        columns, hidden = _columns(data, kind)
        large = [name for name in columns if any(_is_large(row.get(name), name) for row in data)]
        columns = [name for name in columns if name not in large]
        table = Table(box=None, header_style="dim", pad_edge=False)
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in data:
            table.add_row(*(_short(name, row.get(name)) for name in columns))
        console.print(table)
        for names, why in ((hidden, "as by default"), (large, "too much for a table (--json has it)")):
            if names:
                console.print(f"[dim]{why}: {', '.join(names)}[/dim]")
    elif isinstance(data, dict):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in data.items():
            grid.add_row(name, _escaped(name, value))
        console.print(grid, highlight=False)
    elif data == []:
        console.print("[dim]nothing here yet[/dim]")
    elif data is not None:
        console.print(data)


def _columns(rows: list[dict[str, Any]], kind: Any) -> tuple[list[str], list[str]]:
    """The columns to show, and those that hold in every row what a record says if nobody says otherwise."""
    names = list(rows[0])
    if len(names) <= _MANY:
        return names, []
    inner = typing.get_args(kind)
    record = inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct) else None
    usual: dict[str, Any] = {}
    for field in msgspec.structs.fields(record) if record is not None else ():
        value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if value is not msgspec.NODEFAULT:
            usual[field.encode_name] = plain(value)
    hidden = [name for name in names if name in usual and all(row.get(name) == usual[name] for row in rows)]
    return [name for name in names if name not in hidden], hidden


def _is_large(value: Any, name: str) -> bool:
    """Whether a nested value is more than a cell of a table can hold."""
    lines = told(value, name).split("\n") if isinstance(value, (list, dict)) else []
    return len(lines) > _LINES or any(len(line) > _LONG for line in lines)


def _short(name: str, value: Any) -> str:
    """A cell; of a digest the first digits, which tell it from others."""
    if isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef"):
        return value[:12]
    return _escaped(name, value)


def _escaped(name: str, value: Any) -> str:
    return told(value, name).replace("[", "\\[")


def told(value: Any, name: str = "") -> str:
    """A value in a few words; a list of records by a line each.

    >>> told([{"version": 1, "weight": 0.9}, {"version": 2, "weight": 0.1}])
    'version 1, weight 0.9\\nversion 2, weight 0.1'
    >>> told({"versions": [1, 2], "policy": {"explore": 0.05}}), told(1_385_897_400_000, "at_ms")
    ('versions 1 2, policy (explore 0.05)', '2013-12-01 11:30:00 UTC')
    """
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and name.endswith("_ms") and value >= _FIRST_MS:
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list):
        apart = "\n" if isinstance(value[0], dict) else " "
        return apart.join(told(one, name) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_within(one, key)}" for key, one in value.items() if one not in (None, [], {}))
    return str(value)


def _within(value: Any, name: str) -> str:
    """A value inside another: records in brackets, their list on one line."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return " ".join(_within(one, name) for one in value)
    return f"({told(value, name)})" if isinstance(value, dict) else told(value, name)
