"""Listeners for tests: what they were told is in `heard`, and they do as the test wishes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import homeostat as hs
from homeostat.core.events import Event, StoredEvent


class Noted(Event, tag="test_noted"):
    number: int


class Other(Event, tag="test_other"):
    word: str = ""


heard: list[tuple[str, int]] = []
broken: set[int] = set()


def nobody(ws: hs.Workspace) -> bool:
    return False


def somebody(ws: hs.Workspace) -> bool:
    return True


def first(ws: hs.Workspace, event: StoredEvent) -> None:
    if event.payload.get("number") in broken:
        raise RuntimeError("this listener cannot")
    heard.append(("first", event.payload.get("number", -1)))


def second(ws: hs.Workspace, event: StoredEvent) -> None:
    heard.append(("second", event.payload.get("number", -1)))


def deadly(ws: hs.Workspace, event: StoredEvent) -> None:
    """Notes the event in a file, then dies at the one numbered 2, the first time it sees it."""
    log = Path(os.environ["LISTENER_LOG"])
    seen = log.read_text().split() if log.exists() else []
    with log.open("a") as file:
        file.write(f"{event.payload['number']}\n")
    if event.payload["number"] == 2 and "2" not in seen:
        os.kill(os.getpid(), signal.SIGKILL)
