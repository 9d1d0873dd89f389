"""Live through the year: ask for every flight an hour before departure, hand in labels at landing, let the loop look.

Time is simulated a day (or two) at a time, everything else is real: predictions go over HTTP to the data plane, labels
and decisions through the public API. Each stretch counts as done in two steps, each written down before the next, so
that a run that was killed goes on where it was and ends with the same predictions, labels and decisions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

import homeostat as hs

DAY_MS = 86_400_000
KEY, TIME, LABEL, LABEL_MS = "flight_id", "predict_ms", "late", "label_ms"


def day_ms(date: str) -> int:
    """Midnight UTC of an ISO date, in milliseconds."""
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() * 1000)


class Cursor:
    """How far the year has been lived, in a file that is replaced whole."""

    def __init__(self, path: Path, first_day_ms: int) -> None:
        self._path = path
        state = json.loads(path.read_text()) if path.exists() else {}
        self.asked_ms: int = state.get("asked_ms", first_day_ms)
        self.reviewed_ms: int = state.get("reviewed_ms", first_day_ms)

    def write(self) -> None:
        temporary = self._path.with_suffix(".new")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"asked_ms": self.asked_ms, "reviewed_ms": self.reviewed_ms}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)


class Year:
    """The flights of the year as they would have come, for one deployed model."""

    def __init__(self, ws: hs.Workspace, model: str, rest_url: str, flights: pl.DataFrame, names: list[str]) -> None:
        self.ws = ws
        self.model = model
        self._client = hs.PredictionClient(rest_url)
        self._by_time = flights.sort(TIME, KEY)
        self._by_label = flights.drop_nulls(LABEL_MS).sort(LABEL_MS, KEY)
        self._names = names

    def live(
        self, first_ms: int, last_ms: int, look_every_ms: int, cursor: Cursor, look: Callable[[int, list[Any]], None]
    ) -> None:
        """From `first_ms` to `last_ms` (midnights UTC), letting the loop look at the end of each `look_every_ms`;
        `look(end_ms, decisions)` after each."""
        for start in range(first_ms, last_ms, look_every_ms):
            end = min(start + look_every_ms, last_ms)
            if cursor.asked_ms < end:
                self._ask(start, end)
                cursor.asked_ms = end
                cursor.write()
            if cursor.reviewed_ms < end:
                self._label(start, end)
                decided = self.ws.loop.review(self.model, at_ms=end)
                self._settle()
                cursor.reviewed_ms = end
                cursor.write()
            else:
                decided = []
            look(end, decided)

    def _ask(self, start: int, end: int) -> None:
        rows = self._between(self._by_time, TIME, start, end)
        if rows.is_empty():
            return
        self._client.predict_many(self.model, self._requests(rows))
        self._client.flush(self.model)

    def _requests(self, rows: pl.DataFrame) -> Iterator[tuple[str, dict[str, Any], Any]]:
        # One request a flight. Its id is the flight's, so asking again after a crash changes no count.
        features = rows.select(pl.col(self._names).cast(pl.Float32)).to_numpy()
        keys, times = rows[KEY].to_list(), rows[TIME].to_numpy()
        for row, key in enumerate(keys):
            yield key, {KEY: [key], TIME: times[row : row + 1]}, features[row : row + 1]

    def _label(self, start: int, end: int) -> None:
        rows = self._between(self._by_label, LABEL_MS, start, end)
        if not rows.is_empty():
            labels = rows.select(pl.col(KEY).cast(pl.String).alias("key"), pl.col(LABEL).alias("label"), LABEL_MS)
            self.ws.monitoring.record_labels(self.model, labels)

    def _settle(self) -> None:
        """Wait until the data plane serves what the loop has decided, so that a stretch is never split between two."""
        deployment = self.ws.serving.get_deployment(self.model)
        self.ws.serving.wait_ready(self.model, deployment.generation, timeout_s=300)

    @staticmethod
    def _between(rows: pl.DataFrame, column: str, start: int, end: int) -> pl.DataFrame:
        low, high = rows[column].search_sorted(pl.Series([start, end]))
        return rows[low:high]
