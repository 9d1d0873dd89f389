"""Results on a terminal: a list of records as a table, one record as its fields."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

_WIDE = 60


def show(data: Any) -> None:
    """Print `data` (plain values) for a person."""
    console = Console()
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        columns = [name for name in data[0] if not isinstance(data[0][name], (dict, list))]
        table = Table(box=None, header_style="dim", pad_edge=False)
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in data:
            table.add_row(*(_short(row.get(name)) for name in columns))
        console.print(table)
    elif isinstance(data, dict):
        width = max((len(name) for name in data), default=0)
        for name, value in data.items():
            console.print(f"[dim]{name:<{width}}[/dim]  {_short(value)}", highlight=False, markup=True)
    elif data == []:
        console.print("[dim]nothing here yet[/dim]")
    elif data is not None:
        console.print(data)


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value).replace("[", "\\[")
    return text if len(text) <= _WIDE else text[: _WIDE - 1] + "…"
