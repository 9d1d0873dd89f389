"""A model that is too slow: its queue is bounded, and nobody waits for longer than was agreed."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.registry import log_model
from homeostat.serving import deploy, wait_ready
from tests.serving.conftest import PlaneProcess, features

X = np.ones((4, 2), "f4")


def make(ws: hs.Workspace, plane: PlaneProcess, gate: Path, **limits: int) -> None:
    """A model that computes rows of twos only once `gate` exists."""
    place = str(gate)

    def model(rows: np.ndarray) -> np.ndarray:
        import os
        import time

        while (rows == 2).any() and not os.path.exists(place):
            time.sleep(0.01)
        return rows.sum(axis=1).astype("f4")

    with hs.run("train", ws=ws) as run:
        log_model(ws, "slow", model, X, run_id=run.id)
    wait_ready(ws, "slow", deploy(ws, "slow", **limits).generation)


def ask(plane: PlaneProcess, value: float, **more: Any) -> tuple[int, dict[str, str], Any]:
    request = {**features([[value, value]]), **more}
    status, headers, body = plane.request("POST", "/v2/models/slow/infer", msgspec.json.encode(request))
    return status, headers, msgspec.json.decode(body)


def counted(plane: PlaneProcess, name: str) -> int:
    text = plane.request("GET", "/metrics")[2].decode()
    return sum(int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"homeostat_{name}_total"))


def test_beyond_the_queue_requests_are_refused_with_when_to_come_back(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    make(ws, plane, gate, max_waiting=2)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(plane, 2)[0])) for _ in range(6)]
    for thread in threads:
        thread.start()
    while not counted(plane, "turned_away"):  # one computes, two wait, the others are turned away
        time.sleep(0.01)
    status, headers, answer = ask(plane, 1)
    while status == 200:  # pragma: no cover
        status, headers, answer = ask(plane, 1)
    assert status == 429
    assert int(headers["retry-after"]) >= 1 and headers["x-request-id"]
    assert "too many requests wait" in answer["error"]
    gate.touch()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429}
    assert ask(plane, 1)[0] == 200


def test_who_has_waited_for_too_long_is_told_so(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    make(ws, plane, gate)
    held: list[int] = []
    first = threading.Thread(target=lambda: held.append(ask(plane, 2)[0]))
    first.start()
    status, headers, answer = ask(plane, 2, parameters={"timeout": 1}, id="late\r\none")  # whether it waits or computes
    assert (status, headers["x-request-id"]) == (504, "lateone")
    assert "time limit" in answer["error"]
    assert counted(plane, "expired") >= 1
    gate.touch()
    first.join()
    assert held == [200]
    assert ask(plane, 1, parameters={"timeout": 60_000_000})[0] == 200
    status, _, answer = ask(plane, 1, parameters={"timeout": "soon"})
    assert status == 400
    assert "microseconds" in answer["error"]


def test_a_model_that_never_ends_is_ended(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    make(ws, plane, tmp_path / "never", timeout_ms=700)
    assert ask(plane, 2)[0] in (503, 504)
    status, _, answer = ask(plane, 1, parameters={"timeout": 60_000_000})
    assert (status, answer.get("outputs", [{}])[0].get("data")) == (200, [2.0]), answer


def test_limits_that_make_no_sense_are_refused(ws: hs.Workspace) -> None:
    log_model(ws, "slow", lambda rows: rows[:, 0], X)
    with pytest.raises(InvalidInput, match="max_waiting=0"):
        deploy(ws, "slow", max_waiting=0)
