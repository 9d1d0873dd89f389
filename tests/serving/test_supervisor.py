"""The data plane as a child: kept alive, ended with its parent, ended in order."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.serving import PredictionClient, Supervisor, count_predictions, deploy, endpoint, wait_ready
from homeostat.serving.plane import main
from homeostat.serving.supervisor import cores
from tests.ports import free_port
from tests.serving.conftest import PlaneProcess, features
from tests.serving.crowd import Crowd, requests_of
from tests.serving.models import register_logistic
from tests.serving.test_plane import WEIGHTS, deployed


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def supervisor(ws: hs.Workspace, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    running = Supervisor(ws.url, port=port, home=str(ws.home))
    yield running
    running.stop()


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_plane_that_is_killed_comes_back_on_its_port(
    ws: hs.Workspace, supervisor: Supervisor, port: int, tmp_path: Path
) -> None:
    version = register_logistic(ws, tmp_path, "delay", WEIGHTS)
    supervisor.start()
    supervisor.wait_listening()
    generation = deploy(ws, "delay", version.version).generation
    wait_ready(ws, "delay", generation)
    assert endpoint(ws).live
    assert endpoint(ws).rest_url == f"http://127.0.0.1:{port}"
    rows = np.ones((1, 3), "f4")
    with PredictionClient(endpoint(ws).rest_url) as client:
        (first,) = supervisor.pids
        answers = iter(client.iter_predict("delay", ((f"r{at}", {}, rows) for at in range(20_000))))
        next(answers)
        os.kill(first, signal.SIGKILL)
        assert sum(1 for _ in answers) == 19_999  # what was in flight is asked again
        client.flush("delay")
    assert supervisor.restarts == 1
    assert supervisor.pids != [first]
    assert count_predictions(ws, "delay") <= 20_000
    supervisor.stop()
    assert not supervisor.running
    with (
        pytest.raises(Unavailable, match="no data plane answers"),
        PredictionClient(f"http://127.0.0.1:{port}", retry_s=0) as client,
    ):
        client.predict("delay", rows)
    with pytest.raises(Unavailable, match="no data plane runs"):
        endpoint(ws)


def test_several_processes_share_the_port(
    ws: hs.Workspace, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    two = Supervisor(ws.url, port=port, processes=2)
    two.start()
    try:
        two.wait_listening()
        while len(wait_ready(ws, "delay", deploy(ws, "delay").generation)) < 2:
            time.sleep(0.02)
        assert len(two.pids) == 2
        for at in range(40):
            with PredictionClient(f"http://127.0.0.1:{port}") as client:
                client.predict("delay", np.ones((1, 3), "f4"), id=f"r{at}")
        with PredictionClient(f"http://127.0.0.1:{port}") as client:
            assert client.flush("delay") == 40  # of both processes, whichever answers
        assert count_predictions(ws, "delay") == 40
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        counts = [line for line in text.splitlines() if line.startswith("homeostat_requests_total")]
        assert {line.partition('process="')[2][0] for line in counts} == {"0", "1"}
        assert sum(int(line.rpartition(" ")[2]) for line in counts) == 40
    finally:
        two.stop()


def test_one_of_two_that_is_killed_fails_only_what_it_was_answering(
    ws: hs.Workspace, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    version = register_logistic(ws, tmp_path, "delay", WEIGHTS)
    two = Supervisor(ws.url, port=port, processes=2)
    two.start()
    body = msgspec.json.encode(features([[1, 1, 1]]))
    try:
        two.wait_listening()
        while len(wait_ready(ws, "delay", deploy(ws, "delay", version.version).generation)) < 2:
            time.sleep(0.02)
        with Crowd(port, "/v2/models/delay/infer", body) as crowd:
            killed = two.pids[0]
            os.kill(killed, signal.SIGKILL)
            while killed in two.pids or len(two.pids) < 2:
                time.sleep(0.01)
            # The new one takes requests too: its own count rises.
            while not requests_of(port, "0"):
                with PredictionClient(f"http://127.0.0.1:{port}", connections=1) as client:
                    client.predict("delay", np.ones((1, 3), "f4"))
    finally:
        two.stop()
    assert crowd.statuses == {200}  # nobody was refused or told to wait
    assert all(len(own) <= 2 for own in crowd.broken)  # the request in flight; one more that the kernel had queued


@pytest.mark.parametrize(("port", "processes"), [(8080, -1), (8080, 257), (0, 2)])
def test_numbers_of_processes_that_cannot_be_are_refused(port: int, processes: int) -> None:
    with pytest.raises(InvalidInput, match="processes"):
        Supervisor("./nowhere", port=port, processes=processes)
    assert Supervisor("./nowhere", processes=0).processes == cores() >= 1


def test_planes_end_when_their_supervisor_is_killed(ws: hs.Workspace, port: int) -> None:
    script = (
        "import sys, time; from homeostat.serving import Supervisor\n"
        f"s = Supervisor({ws.url!r}, port={port}); s.start(); s.wait_listening()\n"
        "print(s.pids[0], flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while not gone(child):  # the test's own time limit is the limit
        time.sleep(0.02)


def test_sigterm_answers_what_was_asked_and_keeps_the_log(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    deployed(ws, tmp_path)
    rows = np.ones((1, 3), "f4")
    answered: list[int] = []

    def ask() -> None:
        with PredictionClient(plane.url, retry_s=0) as client:
            try:
                for at, _ in enumerate(client.iter_predict("delay", ((f"r{n}", {}, rows) for n in range(200_000)))):
                    answered.append(at)
            except Unavailable:
                pass

    thread = threading.Thread(target=ask)
    thread.start()
    while len(answered) < 1000:
        time.sleep(0.01)
    assert plane.stop() == 0
    thread.join()
    assert count_predictions(ws, "delay") >= len(answered) >= 1000


def test_a_port_in_use_and_an_open_address_end_with_words(
    ws: hs.Workspace, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))
        held.listen()
        assert main(["--url", ws.url, "--port", str(port)]) == Unavailable.exit_code
    told = capsys.readouterr().err
    assert f"port {port} for the data plane is already in use" in told
    assert "--serve-port" in told
    assert main(["--url", ws.url, "--host", "0.0.0.0", "--port", str(port)]) == InvalidInput.exit_code
    assert "no tokens to ask them for" in capsys.readouterr().err


def ask(port: int, token: str) -> tuple[int, bool]:
    """The status that a request with this token gets, and whether it is told when to come again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("GET", "/v2/models/delay", headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After") is not None
    finally:
        connection.close()


def test_beyond_loopback_a_token_is_asked_for(
    ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    made = ws.team.create_token("ann")
    deploy(ws, "delay")
    port = free_port()
    outside = Supervisor(ws.url, host="0.0.0.0", port=port)
    outside.start()
    try:
        outside.wait_listening()
        wait_ready(ws, "delay")
        rows = np.ones((1, 3), "f4")
        for token, status in (("", "401"), ("hst_wrong", "401"), (made.secret, "")):
            with PredictionClient(f"http://127.0.0.1:{port}", token=token) as client:
                if status:
                    with pytest.raises(hs.HomeostatError, match="token"):
                        client.predict("delay", rows)
                else:
                    assert len(client.predict("delay", rows)) == 1
        # However many wrong ones come from an address, the right one is let in from there.
        told = [ask(port, f"hst_{number}") for number in range(1200)]
        assert [status for status, _ in told[:19]] == [401] * 19
        assert {(429, True), (401, False)} >= set(told[19:])
        assert (429, True) in told
        assert ask(port, made.secret)[0] == 200
        assert ask(port, "")[0] == 401
    finally:
        outside.stop()
    assert features([[1]])
