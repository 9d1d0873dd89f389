"""Replicas follow the load: the decision by itself, and real worker processes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.registry import log_model
from homeostat.serving import deploy, states, wait_ready
from homeostat.serving.autoscale import DOWN_S, TARGET, Autoscaler
from tests.serving.conftest import PlaneProcess, features
from tests.serving.crowd import samples
from tests.serving.test_supervisor import gone


def follow(scaler: Autoscaler, loads: list[tuple[float, float]], replicas: int = 1, in_flight: int = 1000) -> list[int]:
    """The replicas at every half second, when so many replicas would be kept busy for so many seconds."""
    found: list[int] = []
    now = busy = 0.0
    for seconds, load in loads:
        for _ in range(round(2 * seconds)):
            now += 0.5
            busy += 0.5 * min(load, replicas)
            replicas = scaler.look(now, busy, in_flight if load else 0, replicas)
            found.append(replicas)
    return found


@given(load=st.floats(0.05, 20), least=st.integers(1, 4), more=st.integers(0, 30))
def test_a_steady_load_is_met_soon_and_then_left_alone(load: float, least: int, more: int):
    most = least + more
    found = follow(Autoscaler(least, most), [(300, load)], replicas=least)
    assert all(least <= replicas <= most for replicas in found)
    enough = min(most, load / (1.1 * TARGET))  # within the tolerance of the target
    assert found[-1] >= enough - 1e-6
    assert found[-1] <= max(least, load / TARGET / 0.9 + 1)
    assert len(set(found[-2 * round(DOWN_S) :])) == 1  # no going up and down


def test_it_goes_up_at_once_and_down_after_a_while():
    found = follow(Autoscaler(1, 8), [(20, 4.0), (70, 0.5), (20, 4.0)])
    up, down = found[:40], found[40:180]
    assert found.index(6) <= 30  # as many as keep 4 busy for 70 % of their time
    assert max(up) == 6
    assert down[: round(2 * (DOWN_S - 3))] == [6] * round(2 * (DOWN_S - 3))
    assert down[-1] == 1


def test_a_short_pause_costs_no_replica():
    assert set(follow(Autoscaler(1, 8), [(30, 4.0), (20, 0.0), (30, 4.0)])[40:]) == {6}


def test_one_client_that_asks_without_a_pause_gets_one_replica():
    assert set(follow(Autoscaler(1, 8), [(60, 1.0)], in_flight=1)) == {1}


def test_numbers_of_replicas_that_cannot_be_are_refused(ws: hs.Workspace, tmp_path: Path):
    with hs.run("train", ws=ws) as run:
        log_model(ws, "m", lambda rows: rows.sum(axis=1).astype("f4"), np.ones((4, 2), "f4"), run_id=run.id)
    for least, most in ((-1, 1), (2, 1), (0, 0), (1, 257)):
        with pytest.raises(InvalidInput, match="replicas"):
            deploy(ws, "m", min_replicas=least, max_replicas=most)
    with pytest.raises(InvalidInput, match="idle_s"):
        deploy(ws, "m", idle_s=-1)
    assert deploy(ws, "m", min_replicas=2, max_replicas=3).max_replicas == 3


def gated(ws: hs.Workspace, gate: Path, pids: Path) -> None:
    """A model that computes rows of twos only once `gate` exists, and leaves its process id in `pids`."""
    place, folder = str(gate), str(pids)

    def model(rows: np.ndarray) -> np.ndarray:
        import os
        import time

        open(f"{folder}/{os.getpid()}", "w").close()
        while (rows == 2).any() and not os.path.exists(place):
            time.sleep(0.01)
        return rows.sum(axis=1).astype("f4")

    pids.mkdir()
    with hs.run("train", ws=ws) as run:
        log_model(ws, "slow", model, np.ones((4, 2), "f4"), run_id=run.id)
    for mark in pids.iterdir():  # of whoever computed the sample
        mark.unlink()


def replicas(plane: PlaneProcess) -> float:
    return sum(value for _, value in samples(plane.port, "homeostat_replicas"))


def test_worker_processes_follow_the_load_to_zero_and_back(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    gate, pids = tmp_path / "gate", tmp_path / "pids"
    gated(ws, gate, pids)
    wait_ready(ws, "slow", deploy(ws, "slow", max_replicas=3).generation)
    assert replicas(plane) == 1
    answers: list[tuple[int, float]] = []

    def ask() -> None:
        status, answer = plane.infer("slow", features([[2, 2]]))
        answers.append((status, answer["outputs"][0]["data"][0] if status == 200 else answer["error"]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while replicas(plane) < 3:  # each is as busy as can be, and others wait: the test's own time limit is the limit
        time.sleep(0.05)
    while {state.reason for state in states(ws, "slow")} != {"3 replicas"}:
        time.sleep(0.05)
    gate.touch()
    for thread in threads:
        thread.join()
    assert answers == [(200, 4.0)] * 8
    workers = [int(path.name) for path in pids.iterdir()]
    assert len(workers) >= 2  # of three; the last may have come when nobody waited any more

    deploy(ws, "slow", idle_s=0.1)
    while {state.state for state in states(ws, "slow")} != {"unloaded"}:
        time.sleep(0.05)
    while not all(gone(pid) for pid in workers):
        time.sleep(0.05)
    assert replicas(plane) == 0
    ask()
    assert answers[-1] == (200, 4.0)  # held while a worker was started
    assert sum(value for _, value in samples(plane.port, "homeostat_held_total")) == 1


def test_as_many_as_there_must_be_are_there_from_the_start(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    gate, pids = tmp_path / "gate", tmp_path / "pids"
    gated(ws, gate, pids)
    wait_ready(ws, "slow", deploy(ws, "slow", min_replicas=2, max_replicas=2).generation)
    assert replicas(plane) == 2
    threads = [threading.Thread(target=plane.infer, args=("slow", features([[2, 2]]))) for _ in range(2)]
    for thread in threads:
        thread.start()
    # Both compute at once: neither of them ends before the gate opens.
    while len(list(pids.iterdir())) < 2:
        time.sleep(0.02)
    gate.touch()
    for thread in threads:
        thread.join()
    assert plane.infer("slow", features([[1, 2]]))[1]["outputs"][0]["data"] == [3.0]
