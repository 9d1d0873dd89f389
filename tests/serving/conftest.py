from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import homeostat as hs
from homeostat.core.errors import Unavailable
from homeostat.serving import arms, endpoint


class PlaneProcess:
    """A real data plane on a free port."""

    def __init__(self, ws: hs.Workspace, log: Path, *paths: Path) -> None:
        """`paths` come before all others that it imports from."""
        self.ws = ws
        self.log = log
        self.paths = [str(path) for path in paths]
        self.start()

    def start(self, port: int = 0) -> None:
        paths = os.pathsep.join([*self.paths, *sys.path])
        environment = {**os.environ, "PYTHONPATH": paths, "HOMEOSTAT_HOME": str(self.ws.home)}
        with self.log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "homeostat.serving.plane", "--url", self.ws.url, "--port", str(port)],
                stderr=stderr, env=environment,
            )  # fmt: skip
        deadline = time.monotonic() + 300
        while True:
            try:
                self.url = endpoint(self.ws).rest_url
                if self.get("/v2/health/ready")[0] == 200:
                    return
            except (Unavailable, OSError):
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        status, _, body = self.request("GET", path)
        return status, msgspec.json.decode(body)

    def infer(self, model: str, request: dict[str, Any], version: int | None = None) -> tuple[int, Any]:
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version is not None else "") + "/infer"
        status, _, body = self.request("POST", path, msgspec.json.encode(request))
        return status, msgspec.json.decode(body)

    def flush(self, model: str) -> None:
        assert self.request("POST", f"/v2/models/{model}/flush")[0] == 200

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(300)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(300)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneProcess]:
    """One data plane for all tests of a module, which deploy models of their own names."""
    folder = tmp_path_factory.mktemp("shared")
    with hs.open(folder / "home") as ws:
        running = PlaneProcess(ws, folder / "plane.log")
        yield running
        assert running.stop() == 0, running.log.read_text()


@pytest.fixture
def plane(ws: hs.Workspace, tmp_path: Path) -> Iterator[PlaneProcess]:
    running = PlaneProcess(ws, tmp_path / "plane.log")
    yield running
    running.stop()


def features(rows: Any) -> dict[str, Any]:
    """A JSON request with the rows as one "features" tensor."""
    return {
        "inputs": [
            {"name": "features", "datatype": "FP32", "shape": [len(rows), len(rows[0])],
             "data": [float(v) for row in rows for v in row]}
        ]
    }  # fmt: skip


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test has no other clients, whose requests might still follow the weights before."""
    monkeypatch.setattr(arms, "SETTLE_MS", 0)
