"""`homeostat up` beside the demo, ending with it however it ends."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from pathlib import Path

from homeostat.core.errors import Unavailable
from homeostat.core.server_lock import ServerLock
from homeostat.server.up import listen

_PATIENCE = 75  # times 0.2 s


class Servers:
    """The control plane and the data plane of `home`, as a child process."""

    def __init__(self, home: Path, port: int, serve_port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._home, self._port, self._serve_port = home, port, serve_port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start them and wait until both answer. Raises: Unavailable with the last lines they wrote."""
        home = self._home
        home.mkdir(parents=True, exist_ok=True)
        self._wait_until_free()
        command = [sys.executable, "-m", "homeostat.cli.main", "up", "--home", str(home)]
        command += ["--port", str(self._port), "--serve-port", str(self._serve_port), "--with-parent"]
        with open(home / "servers.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for port, path in ((self._port, "/healthz"), (self._serve_port, "/v2/health/live")):
            self._wait_until_healthy(port, path)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _wait_until_free(self) -> None:
        # Servers of an earlier start that was killed end by themselves, and need a moment for it.
        for attempt in range(_PATIENCE + 1):
            try:
                ServerLock(self._home).close()
                listen("127.0.0.1", self._port, "control plane", "--port").close()
                listen("127.0.0.1", self._serve_port, "data plane", "--serve-port").close()
                return
            except Unavailable:
                if attempt == _PATIENCE:
                    raise
                time.sleep(0.2)

    def _wait_until_healthy(self, port: int, path: str) -> None:
        assert self._process is not None
        for _ in range(600):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            if self._process.poll() is not None:
                tail = (self._home / "servers.log").read_text(errors="replace").strip().splitlines()[-5:]
                raise Unavailable(
                    "the servers did not start: " + " / ".join(tail), hint=f"see {self._home}/servers.log"
                )
            time.sleep(0.1)
        raise Unavailable(f"nothing answers on port {port}", hint=f"see {self._home}/servers.log")
