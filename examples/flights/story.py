"""The demo, told from the outside: only Homeostat's public API, as any user would have it.

    collect → features → declare what must hold → learn → live through the year → look back
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from year import DAY_MS, Cursor, Year, day_ms

import homeostat as hs

MODEL = "flight-delay"
LEARNT_BY = day_ms("2013-03-01")
YEAR_END = day_ms("2014-01-01")
QUICK_END = day_ms("2013-08-01")
OFFER_ON = day_ms("2013-12-01")
SETTLED_MS = 2 * DAY_MS  # flights of the last evening land after midnight

# What a month is remembered for, most telling first.
_WEIGHT = ("roll_back", "promote", "refuse", "retrain", "fix_data", "collect", "canary", "wait")


def tell(ws: hs.Workspace, view: Any, project: Path, quick: bool, webhook: str) -> dict[str, Any]:
    """Run the whole story; the figures of the report."""
    _listen(ws, webhook)
    names, flights = _prepare(ws, view, project, quick)
    _declare(ws, view, project)
    last = QUICK_END if quick else YEAR_END
    asked = _live(ws, view, project, flights.filter(pl.col("predict_ms") < last), names, last, quick)
    return _look_back(ws, view, flights, last, asked)


def _listen(ws: hs.Workspace, webhook: str) -> None:
    # The receiver has a new port at each start.
    if any(channel.name == "demo" for channel in ws.notify.list_channels()):
        ws.notify.remove_channel("demo")
    ws.notify.add_channel("demo", kind="slack", url=webhook)
