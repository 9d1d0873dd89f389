"""kill -9 of the server under eight writers that speak MLflow: every answered write is there afterwards, none twice.

Each round kills after a number of answers chosen by chance (seeded), wherever the server then is: between two commits,
in one, in an upload, while it folds. `HOMEOSTAT_KILLS=200` takes that many rounds, and prints how long the server
took to answer again; `HOMEOSTAT_KILLS_FROM=100` begins with another round, for a long proof in parts.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core.doctor import examine
from tests.server.processes import Up
from tests.server.writers import Line, Writer

ROUNDS = int(os.environ.get("HOMEOSTAT_KILLS", "0"))
FIRST = int(os.environ.get("HOMEOSTAT_KILLS_FROM", "0"))
WRITERS = 8


def ready_after_s(up: Up) -> float:
    """Seconds from the start of the process to the first answer of /health."""
    return up.answered_s - up.started_s


def kill_rounds(home: str, rounds: int) -> list[float]:
    """The rounds on `home`, each begun by the restart after the last kill; how long each start took."""
    took: list[float] = []
    settled: list[Writer] = []
    up = Up(home, control_only=True)
    for number in range(FIRST, FIRST + rounds):
        chance = random.Random(number)
        line = Line(up.port)
        experiment = line.post("experiments/create", name=f"round-{number}")["experiment_id"]
        line.post("registered-models/create", name=f"model-{number}")
        line.close()
        answered = threading.Semaphore(0)
        writers = [
            Writer(up.port, f"{number}-{mine}", experiment, f"model-{number}", answered) for mine in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        for _ in range(chance.randint(1, 300)):
            assert answered.acquire(timeout=300), [writer.fault for writer in writers]
        time.sleep(chance.random() / 50)
        assert up.stop(signal.SIGKILL)[0] == -signal.SIGKILL
        for writer in writers:
            writer.join(300)
        assert [writer.fault for writer in writers] == [None] * WRITERS
        up = Up(home, control_only=True)
        took.append(ready_after_s(up))
        settled += writers
        check(up, writers)
    check(up, settled)
    assert up.stop(signal.SIGTERM)[0] == 0
    return took


def check(up: Up, writers: list[Writer]) -> None:
    line = Line(up.port)
    for writer in writers:
        writer.check(line)
    line.close()


def tell(took: list[float]) -> None:
    if ROUNDS:
        ordered = sorted(took)
        median, most = ordered[len(took) // 2], ordered[-1]
        print(f"\n{len(took)} kills; answers again after {median:.2f} s (median), {most:.2f} s (most)")


@pytest.mark.timeout(3600)
def test_no_answered_write_is_lost_and_none_is_there_twice(tmp_path: Path):
    tell(kill_rounds(str(tmp_path / "home"), ROUNDS or 5))
    with hs.open(tmp_path / "home") as ws:
        assert [f for f in examine(ws, full=True) if f.state == "bad" and f.check != "disk"] == []
    # What was cut off left no half file behind: the next process removed it.
    assert list((tmp_path / "home" / "blobs" / "incoming").iterdir()) == []


@pytest.mark.timeout(3600)
def test_nor_on_postgresql(postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    tell(kill_rounds(postgres.new_database(), ROUNDS // 5 or 2))
