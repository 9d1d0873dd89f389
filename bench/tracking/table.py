"""The table of the comparison, each bar with yes or no."""

from __future__ import annotations

import sys

from bench.tracking.rows import BARE, DISK, ROWS, Row
from bench.tracking.servers import OURS

Cells = dict[tuple[str, str], dict[str, float]]  # (row, server): the medians


def shown(row: Row, cell: dict[str, float]) -> str:
    """A figure in the unit of its row, with the CPU beside it."""
    rate = cell["per_s"]
    if row.unit == "/s":
        text = f"{rate:,.0f}/s"
    elif row.unit == "ms":
        text = f"{1e3 / rate:,.0f} ms" if rate < 100 else f"{1e3 / rate:.1f} ms"
    elif row.unit == "s":
        text = f"{1 / rate:.2f} s"
    elif row.unit == "MB":
        text = f"{1 / rate:,.0f} MB"
    else:
        text = f"{rate:,.0f} {row.unit}"
    if "cpu_s" not in cell:
        return text
    cpu = cell["cpu_s"] * 1e3
    return f"{text} ({cpu:,.0f} ms)" if cpu >= 10 else f"{text} ({cpu:.2g} ms)"


def bars(name: str, cells: Cells) -> list[tuple[str, bool]]:
    """Every bar of a row, as it came out and whether it is met."""
    row, own = ROWS[name], cells[name, OURS]
    found: list[tuple[str, bool]] = []
    for (asked, server), cell in cells.items():
        if asked != name or server not in row.against:
            continue
        times = own["per_s"] / cell["per_s"]
        if row.times:
            found.append((f"{times:.1f}× {server} (≥ {row.times:g}×)", times >= row.times))
        if row.times_cpu:
            less = cell["cpu_s"] / own["cpu_s"]
            found.append((f"{less:.1f}× less CPU (≥ {row.times_cpu:g}×)", less >= row.times_cpu))
    if row.limit and (name, row.limit) in cells:
        part = own["per_s"] / cells[name, row.limit]["per_s"]
        met = part >= row.share
        if row.either and met:
            found = [(text, True) for text, _ in found]
        if row.either and found and all(good for _, good in found):
            met = True
        found.append((f"{part:.2f} of the {row.limit} (≥ {row.share:.2g})", met))
    return found


def show(cells: Cells) -> None:
    """The table on the terminal."""
    for name in dict.fromkeys(row for row, _ in cells):
        sys.stdout.write(f"{ROWS[name].name}\n")
        for (asked, server), cell in cells.items():
            if asked == name:
                sys.stdout.write(f"    {server:28} {shown(ROWS[name], cell)}\n")
        for text, met in bars(name, cells):
            sys.stdout.write(f"    {'yes' if met else 'NO ':4} {text}\n")
    sys.stdout.flush()


def markdown(cells: Cells) -> str:
    """The same for a page: one line a row, a bar that is not met in bold."""
    servers = list(dict.fromkeys(server for _, server in cells if server not in (BARE, DISK)))
    lines = ["| " + " | ".join(["", *servers, "limit", "we are"]) + " |", "|---" * (len(servers) + 3) + "|"]
    for name in dict.fromkeys(row for row, _ in cells):
        row = ROWS[name]
        figures = [shown(row, cells[name, server]) if (name, server) in cells else "" for server in servers]
        limit = f"{row.limit}: {shown(row, cells[name, row.limit])}" if (name, row.limit) in cells else ""
        told = [text if met else f"**{text}**" for text, met in bars(name, cells)]
        lines.append("| " + " | ".join([row.name, *figures, limit, "<br>".join(told)]) + " |")
    return "\n".join(lines) + "\n"
