"""What the demo shows while it runs: phases that end in a tick, a bar for the year, decisions as they fall.

On a terminal this is live; in a log the same lines come one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_MARKS = {
    "promote": ("✓", "green"),
    "retrain": ("↻", "blue"),
    "refuse": ("✕", "red"),
    "roll_back": ("↩", "red"),
    "canary": ("◔", "cyan"),
    "fix_data": ("!", "yellow"),
    "collect": ("…", "yellow"),
    "wait": ("—", "dim"),
}


class View:
    """The demo's terminal. `timings` collects how long each phase took, in seconds."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.timings: dict[str, float] = {}
        self._progress = Progress(
            SpinnerColumn(style="blue"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28, style="dim", complete_style="blue", finished_style="green"),
            TextColumn("{task.fields[detail]}", style="dim"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )

    def title(self, text: str, under: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")
        self.console.print(f"[dim]{under}[/dim]\n")

    def note(self, text: str) -> None:
        """A line under the current phase."""
        self.console.print(Text("    " + text, style="dim"))

    @contextmanager
    def phase(self, name: str, key: str, total: float | None = None) -> Generator[Phase]:
        """A phase of the demo; `total` gives it a bar."""
        started = time.monotonic()
        with self._progress as progress:
            task = progress.add_task(f"{name:<34}", total=total, detail="")
            phase = Phase(progress, task)
            try:
                yield phase
            finally:
                progress.remove_task(task)
        took = time.monotonic() - started
        self.timings[key] = round(self.timings.get(key, 0.0) + took, 2)
        self.console.print(f"  [green]✓[/green] {name:<34} [dim]{phase.result}  {took:.1f} s[/dim]")

    def decision(self, day: str, kind: str, headline: str, reason: str) -> None:
        """A decision of the loop, in its own words."""
        mark, style = _MARKS.get(kind, ("·", "dim"))
        line = Text.assemble("    ", (f"{day}  ", "dim"), (f"{mark} {kind.replace('_', ' '):<10}", style), headline)
        self.console.print(line)
        if reason and kind != "wait":
            self.console.print(Text(" " * 30 + reason, style="dim"))

    def months(self, months: list[dict[str, Any]]) -> None:
        """The final table, month by month."""
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        columns = ("month", "flights", "late", "AUC live", "never retrained", "gain", "live", "decided")
        for name in columns:
            right = name not in ("month", "live", "decided")
            table.add_column(name, justify="right" if right else "left", no_wrap=name != "decided")
        for month in months:
            gain = _difference(month["auc_live"], month["auc_frozen"])
            style = "green" if gain and gain >= 0.005 else "red" if gain and gain <= -0.005 else "dim"
            table.add_row(
                month["month"],
                f"{month['flights']:,}",
                f"{month['late_share']:.1%}",
                _number(month["auc_live"]),
                _number(month["auc_frozen"]),
                Text("" if gain is None else f"{gain:+.3f}", style=style),
                f"v{month['champion']}",
                Text.assemble((month["decision"], "bold"), f"  {month['reason']}"),
            )
        self.console.print()
        self.console.print(table)
        self.console.print()


class Phase:
    """A running phase: move its bar, say what is going on, and at the end what came out."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self.result = ""

    def update(self, completed: float | None = None, detail: str | None = None) -> None:
        values: dict[str, Any] = {}
        if completed is not None:
            values["completed"] = completed
        if detail is not None:
            values["detail"] = detail
        self._progress.update(self._task, **values)

    def done(self, result: str) -> None:
        self.result = result


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
