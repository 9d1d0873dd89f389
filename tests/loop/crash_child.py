"""A process that lives some days of a model's life; armed with HOMEOSTAT_FAULT it dies at a labelled point."""

from __future__ import annotations

from pathlib import Path

import homeostat as hs
from tests.loop.conftest import CRASH_WORLD, Life


def main(home: str, first: int, days: int) -> None:
    with hs.open(Path(home)) as ws:
        life = Life.__new__(Life)
        life.ws, life.world = ws, CRASH_WORLD()
        life.days(first, days)
