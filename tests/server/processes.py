"""`homeostat up` as a process of its own."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.ports import free_port


class Up:
    """A started `homeostat up`; both planes answer when the constructor returns, or with `control_only` the first.

    `within` are the words of a command that runs the one after it.
    """

    def __init__(
        self,
        home: Path | str,
        port: int | None = None,
        *more: str,
        serve_port: int | None = None,
        control_only: bool = False,
        within: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.serve_port = serve_port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            [*within, *command(home, self.port, self.serve_port, *more)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        self._wait(self.port, "/health")
        self.answered_s = time.monotonic()
        if not control_only:
            self._wait(self.serve_port, "/v2/health/live")

    def stop(self, signal: int) -> tuple[int, str]:
        """Send `signal`; the exit code and what was said."""
        self.process.send_signal(signal)
        _, said = self.process.communicate(timeout=300)
        return self.process.returncode, said

    def _wait(self, port: int, path: str) -> None:
        deadline = time.monotonic() + 300
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError(f"it ended: {self.process.communicate()[1]}") from None
                assert time.monotonic() < deadline, f"nothing answers on port {port}"
                time.sleep(0.02)
            finally:
                connection.close()


def command(home: Path | str, port: int, serve_port: int, *more: str) -> list[str]:
    """The words that start it."""
    options = ["--home", str(home), "--port", str(port), "--serve-port", str(serve_port), *more]
    return [sys.executable, "-m", "homeostat.cli.main", "up", *options]
