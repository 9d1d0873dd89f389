"""`homeostat up`: starts, refuses, stops, and loses nothing that it has answered."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import Corrupt, InvalidInput, Unavailable
from tests.ports import free_port
from tests.server.processes import Up, command
from tests.serving.conftest import features
from tests.serving.crowd import Crowd, requests_of
from tests.serving.models import register_logistic


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def begin(*more: str) -> Up:
        started.append(Up(tmp_path / "home", None, *more))
        return started[-1]

    yield begin
    for up in started:
        if up.process.poll() is None:
            up.process.kill()
            up.process.communicate()


def refused(home: Path, port: int, serve_port: int, *more: str) -> tuple[int, str]:
    """The exit code and the words of a server that does not start."""
    done = subprocess.run(
        command(home, port, serve_port, *more), capture_output=True, text=True, timeout=300, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(start: Callable[..., Up], number: int):
    up = start()
    code, said = up.stop(number)
    assert code == 0
    assert said.splitlines()[0].startswith(f"control plane  {up.url}")
    assert said.splitlines()[1].startswith(f"data plane     http://127.0.0.1:{up.serve_port}")
    assert len(said.splitlines()) == 2
    for port in (up.port, up.serve_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_an_open_page_does_not_hold_up_the_end(start: Callable[..., Up]):
    up = start()
    page = http.client.HTTPConnection("127.0.0.1", up.port, timeout=300)
    page.request("GET", "/api/v1/events")
    assert page.getresponse().readline() == b"retry: 2000\n"
    code, said = up.stop(signal.SIGTERM)
    page.close()
    assert (code, "Traceback" in said) == (0, False)


def test_a_second_server_on_a_home_names_the_first(start: Callable[..., Up], tmp_path: Path):
    up = start()
    code, said = refused(tmp_path / "home", free_port(), free_port())
    assert code == Unavailable.exit_code
    named = f"another server already runs on {tmp_path / 'home'} (process {up.process.pid}, {up.url}, since 20"
    assert named in said
    assert f"kill {up.process.pid}" in said
    with hs.open(up.url) as remote:
        assert remote.data.list_tables() == []


def test_after_a_kill_the_next_server_starts_in_its_place(start: Callable[..., Up], tmp_path: Path):
    """On the same home and the same ports: neither the lock nor a socket outlives its process."""
    first = start()
    assert first.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    second = Up(tmp_path / "home", first.port, serve_port=first.serve_port)
    try:
        with hs.open(second.url) as remote:
            assert remote.data.list_tables() == []
    finally:
        assert second.stop(signal.SIGTERM)[0] == 0


def test_one_data_plane_of_two_that_is_killed_is_not_missed(start: Callable[..., Up], tmp_path: Path):
    with hs.open(tmp_path / "home") as ws:
        register_logistic(ws, tmp_path, "delay", np.array([0.5, -0.25, 1.0]))
        ws.serving.deploy("delay")
    up = start("--processes", "2")
    with hs.open(up.url) as remote:
        while len(remote.serving.wait_ready("delay")) < 2:
            time.sleep(0.02)
    body = json.dumps(features([[1, 1, 1]])).encode()
    with Crowd(up.serve_port, "/v2/models/delay/infer", body) as crowd:
        killed = processes_of(up)[0]
        os.kill(killed, signal.SIGKILL)
        while killed in processes_of(up) or len(processes_of(up)) < 2:
            time.sleep(0.01)
        while not requests_of(up.serve_port, "0"):  # on connections of its own each: one reaches the new process
            urllib.request.urlopen(f"http://127.0.0.1:{up.serve_port}/v2/models/delay/infer", body).read()
    assert crowd.statuses == {200}
    assert all(len(own) <= 2 for own in crowd.broken)
    code, said = up.stop(signal.SIGTERM)
    assert code == 0
    assert "(Open Inference Protocol; 2 processes)" in said


def processes_of(up: Up) -> list[int]:
    """The data planes, by their number on the port."""
    found: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == up.process.pid and b"homeostat.serving.plane" in words:
            found[int(words[words.index(b"--index") + 1])] = int(folder.name)
    return [pid for _, pid in sorted(found.items())]


def test_a_number_of_data_planes_that_cannot_be_is_told(tmp_path: Path):
    code, said = refused(tmp_path / "home", free_port(), free_port(), "--processes", "-1")
    assert (code, "-1 data-plane processes" in said) == (InvalidInput.exit_code, True)


@pytest.mark.parametrize("which", ["control plane", "data plane"])
def test_a_port_in_use_is_told(tmp_path: Path, which: str):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        ports = (taken, free_port()) if which == "control plane" else (free_port(), taken)
        code, said = refused(tmp_path / "home", *ports)
    assert code == Unavailable.exit_code
    assert f"port {taken} for the {which} is already in use" in said
    assert ("--port" if which == "control plane" else "--serve-port") in said


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_a_port_that_cannot_be_is_told(tmp_path: Path, port: int):
    code, said = refused(tmp_path / "home", port, free_port())
    assert (code, "--port takes 0 to 65535" in said) == (InvalidInput.exit_code, True)


def test_it_opens_nothing_to_the_world_without_tokens(tmp_path: Path):
    code, said = refused(tmp_path / "home", free_port(), free_port(), "--host", "0.0.0.0")
    assert code == InvalidInput.exit_code
    assert "can be reached by others" in said
    assert "create-token" in said


def test_a_home_that_cannot_be_is_told(tmp_path: Path):
    (tmp_path / "home").write_text("x")
    code, said = refused(tmp_path / "home", free_port(), free_port())
    assert (code, "is a file, not a folder" in said) == (InvalidInput.exit_code, True)


def test_a_damaged_database_is_told_before_anything_listens(tmp_path: Path):
    with hs.open(tmp_path / "home") as ws:
        ws.tracking.create_run()
    file = tmp_path / "home" / "homeostat.db"
    for log in tmp_path.glob("home/homeostat.db-*"):
        log.unlink()
    file.write_bytes(file.read_bytes()[:40_000])
    code, said = refused(tmp_path / "home", free_port(), free_port())
    assert (code, "the database is damaged" in said) == (Corrupt.exit_code, True)
    assert "control plane" not in said


class Writers:
    """Threads that create runs over HTTP and remember every one that was answered."""

    def __init__(self, port: int, count: int) -> None:
        self.answered: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(mine,)) for mine in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, mine: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        step = 0
        try:
            while not self._stop.is_set():
                name = f"{os.getpid()}-{mine}-{step}-{id(self)}"
                body = json.dumps({"name": name, "params": {"step": str(step)}})
                connection.request("POST", "/api/v1/tracking/create_run", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.answered.append(name)
                step += 1
        except (OSError, http.client.HTTPException):
            return  # the server was killed
        finally:
            connection.close()

    def join(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(300)


def test_killed_under_writing_it_loses_no_answered_write(tmp_path: Path):
    answered: list[str] = []
    for round_ in range(4):
        up = Up(tmp_path / "home")
        writers = Writers(up.port, 4)
        deadline = threading.Event()
        while len(writers.answered) < 40 * (round_ + 1):
            assert up.process.poll() is None
            deadline.wait(0.01)
        code, _ = up.stop(signal.SIGKILL)
        writers.join()
        assert code == -signal.SIGKILL
        answered += writers.answered
    up = Up(tmp_path / "home")
    try:
        with hs.open(up.url) as remote:
            names: set[str] = set()
            after = None
            while True:
                page = remote.tracking.search_runs(limit=500, after=after)
                names |= {run.name for run in page.runs}
                if (after := page.next) is None:
                    break
    finally:
        assert up.stop(signal.SIGTERM)[0] == 0
    assert set(answered) <= names
    with hs.open(tmp_path / "home") as ws:
        from homeostat.core.doctor import examine

        assert [f for f in examine(ws, full=True) if f.state == "bad" and f.check != "disk"] == []
        created = ws.tracking.search_runs(limit=1).runs
        assert created[0].params.keys() == {"step"}


def test_what_was_asked_for_is_finished_at_the_end(start: Callable[..., Up]):
    """SIGTERM under load: every request that was answered is kept, and none is answered with a fault."""
    up = start()
    writers = Writers(up.port, 4)
    wait = threading.Event()
    while len(writers.answered) < 40:
        wait.wait(0.01)
    code, said = up.stop(signal.SIGTERM)
    writers.join()
    assert (code, "Traceback" in said) == (0, False)
    home = Path(up.process.args[up.process.args.index("--home") + 1])
    with hs.open(home) as ws:
        kept = {run.name for run in ws.tracking.search_runs(limit=500).runs}
    assert set(writers.answered[-100:]) <= kept
